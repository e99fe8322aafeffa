"""A site folder becomes a Site, or a list of everything that is wrong with it.

Rules:
- All problems are found at once; only then is the site refused.
- What is a driver's own is checked by its driver kind, which finds what would fail at run time.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from config.assemble import device_of, link_of, site_of
from config.checks import check_rules
from config.draft import Draft, draft_of
from config.files import read_texts
from config.models import DeviceFile, LinkFile, SiteFile
from config.paths import anchored
from config.problems import unknown
from config.profiles import path_of, placed, profiles_of, shipped_ids, told_by, wanted
from config.references import check_references
from gateway.domain.errors import ConfigError, Problem
from gateway.domain.profile import Profile
from gateway.domain.site import Site
from gateway.ports import DriverKind

Kinds = Mapping[str, DriverKind]
# Checks of settings that are another room's own (`uplink`), by their name under `settings`.
Sections = Mapping[str, Callable[[Mapping[str, Any]], Iterable[Problem]]]


def load_site(
    folder: Path,
    kinds: Kinds,
    *,
    demo: bool = False,
    overrides: Mapping[str, Any] | None = None,
    sections: Sections | None = None,
) -> Site:
    """The site of a folder. Raises ConfigError with all that is wrong.

    `overrides` are merged into site.yaml before it is judged: another host or port of a link.
    `demo` allows what is only fit for a first look (the embedded broker). `sections` check the
    settings that are another room's own.
    """
    texts, unread = read_texts(folder)
    site, problems = judge(texts, kinds, demo=demo, overrides=overrides, sections=sections)
    if site is None or unread:
        raise ConfigError((*unread, *(one for one in problems if not one.warning)))
    return anchored(site, folder)


def check_site(
    folder: Path, kinds: Kinds, *, demo: bool = False, sections: Sections | None = None
) -> list[Problem]:
    """All that is wrong with a site, and what is doubtful about it (warnings).

    `sections` check the settings that are another room's own.
    """
    texts, unread = read_texts(folder)
    return [*unread, *judge(texts, kinds, demo=demo, sections=sections)[1]]


def judge(
    texts: Mapping[str, str],
    kinds: Kinds,
    *,
    demo: bool = False,
    overrides: Mapping[str, Any] | None = None,
    sections: Sections | None = None,
) -> tuple[Site | None, tuple[Problem, ...]]:
    """The site of these texts, None if it is refused; and every problem and warning."""
    draft = draft_of(texts, overrides)
    profiles, known = _profiles(draft, texts, kinds)
    check_references(draft, profiles, known)
    _check_links(draft, profiles, kinds)
    _check_sections(draft, sections or {})
    check_rules(draft, profiles, demo=demo)
    problems = draft.problems.in_order()
    return (None if draft.problems.refusing else site_of(draft, profiles)), problems


def _profiles(
    draft: Draft, texts: Mapping[str, str], kinds: Kinds
) -> tuple[dict[str, Profile], set[str]]:
    used = {model.profile for _, model in draft.valid(DeviceFile)}
    candidates = wanted(texts, used)
    profiles = profiles_of(candidates, kinds, draft.problems)
    return profiles, {Path(name).stem for name in candidates} | shipped_ids()


def _check_links(draft: Draft, profiles: Mapping[str, Profile], kinds: Kinds) -> None:
    for item, model in draft.valid(LinkFile):
        if model.driver not in kinds:
            draft.wrong(item, ("driver",), unknown(model.driver, "a kind of driver", kinds))
            continue
        devices = [
            (one, its)
            for one, its in draft.valid(DeviceFile)
            if its.link == item.id and its.profile in profiles
        ]
        kind = kinds[model.driver]
        fit = [pair for pair in devices if kinds.get(profiles[pair[1].profile].driver) is kind]
        for one, its in devices:
            if (one, its) not in fit:
                said = f"found a profile for {profiles[its.profile].driver}, expected one for "
                said += f"{model.driver}, as the link {item.id} is"
                draft.wrong(one, ("profile",), said)
        link, their = link_of(item, model), [device_of(*pair) for pair in fit]
        check = partial(kind.check_link, link, their, profiles)
        _place(draft, told_by(model.driver, f"links.{item.id}", check))


def _check_sections(draft: Draft, sections: Sections) -> None:
    head = draft.of(SiteFile).get("site")
    if head is None or head.model is None:
        return
    for name, check in sections.items():
        if section := getattr(head.model.settings, name):
            for problem in check(section):
                path = ("settings", *path_of(problem.key))
                draft.problems.found.append(placed(problem, head.document, path))


def _place(draft: Draft, found: Iterable[Problem]) -> None:
    """Add other rooms' problems with the line and the written key.

    A key `devices.<id>.<key>` of no file is in that device's own, any other in site.yaml.
    """
    for problem in found:
        file, path = problem.file, path_of(problem.key)
        if not file and path[:1] == ("devices",):
            file, path = f"devices/{path[1]}.yaml", path[2:]
        document = draft.documents.get(file or "site.yaml")
        draft.problems.found.append(placed(problem, document, path) if document else problem)
