"""The files that a site names: a relative one lies in the site's folder."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gateway.domain.site import Channel, Link, Site

Bound = TypeVar("Bound", Link, Channel)

_CERTIFICATES = frozenset({"ca", "cert", "key"})


def anchored(site: Site, folder: Path) -> Site:
    """The site with the files of its links, channels and uplink as absolute paths."""
    folder = folder.absolute()

    def bound(named: Mapping[str, Bound]) -> dict[str, Bound]:
        return {
            name: replace(one, binding=_section(one.binding, folder)) for name, one in named.items()
        }

    return replace(
        site,
        equipment=replace(site.equipment, links=bound(site.equipment.links)),
        safety=replace(site.safety, channels=bound(site.safety.channels)),
        settings=replace(site.settings, uplink=_section(site.settings.uplink, folder)),
    )


def _section(found: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: _value(key, value, folder) for key, value in found.items()}


def _value(key: str, found: object, folder: Path) -> object:
    if isinstance(found, Mapping):
        return _section(found, folder)
    named = isinstance(found, str) and (key in _CERTIFICATES or key.endswith("_file"))
    return str(folder / str(found)) if named else found
