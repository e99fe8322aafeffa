"""Profile files: what a model of device can do, from a flat table to a domain value.

Rules:
- A profile of the site's own goes before a shipped one of the same id.
- The columns every driver shares are read here; all others are the driver's, which checks them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from config.files import Document, KeyPath, parse
from config.models import PointRow, ProfileFile
from config.problems import Problems, unknown, validate
from gateway.domain.errors import ConfigError, Problem
from gateway.domain.profile import PointSpec, Profile, SetpointSpec
from gateway.ports import DriverKind

SHIPPED = Path(__file__).parent / "profiles"

# Columns that say how a point is driven, and mean nothing for one that is only read.
DRIVEN = (
    "length_ms",
    "secures",
    "minimum",
    "maximum",
    "values",
    "write_every_min",
    "settles_ms",
)


def load_profiles(kinds: Mapping[str, DriverKind], folder: Path = SHIPPED) -> dict[str, Profile]:
    """Every profile of a folder by id. Raises ConfigError with all that is wrong."""
    problems = Problems()
    texts = {f"profiles/{path.name}": _read(path) for path in sorted(folder.glob("*.yaml"))}
    profiles = profiles_of(texts, kinds, problems)
    if problems.refusing:
        raise ConfigError(problems.in_order())
    return profiles


def profiles_of(
    texts: Mapping[str, str], kinds: Mapping[str, DriverKind], problems: Problems
) -> dict[str, Profile]:
    """The valid profiles among texts by id; what is wrong with the others is added."""
    profiles: dict[str, Profile] = {}
    for name, text in texts.items():
        document, wrong = parse(name, text)
        problems.found.extend(wrong)
        if wrong:
            continue
        profile = _profile_of(document, kinds, problems)
        if profile is not None:
            profiles[profile.id] = profile
    return profiles


def _profile_of(
    document: Document, kinds: Mapping[str, DriverKind], problems: Problems
) -> Profile | None:
    before = len(problems.found)
    model = validate(ProfileFile, document, (), document.data, problems)
    if model is None:
        return None
    stem = PurePosixPath(document.file).stem
    if model.id != stem:
        said = f"found {model.id!r}, expected {stem!r}, as the file is named"
        problems.add(document, ("id",), said)
    for name, row in model.points.items():
        _check_row(document, ("points", name), row, problems)
    profile = Profile(
        id=model.id,
        title=model.title,
        driver=model.driver,
        points={name: _spec_of(name, row) for name, row in model.points.items()},
        binding=model.device,
        traits=model.traits,
        source=model.source,
    )
    if model.driver not in kinds:
        problems.add(document, ("driver",), unknown(model.driver, "a kind of driver", kinds))
    else:
        check = kinds[model.driver].check_profile
        for problem in told_by(model.driver, "driver", lambda: check(profile)):
            problems.found.append(placed(problem, document))
    new = problems.found[before:]
    return profile if all(problem.warning for problem in new) else None


def told_by(driver: str, key: str, check: Callable[[], Iterable[Problem]]) -> list[Problem]:
    """What a driver kind finds. A bug in a third party's check is told, not raised."""
    try:
        return list(check())
    except Exception as error:  # whatever it is, the site is not the one to blame
        what = f"{type(error).__name__}: {error}"
        return [Problem("", key, f"the driver {driver} failed to judge it, by a bug in it: {what}")]


def placed(problem: Problem, document: Document, path: KeyPath | None = None) -> Problem:
    """A problem that another room found, with its file, line and key as it is written."""
    key, line = document.locate(path_of(problem.key) if path is None else path)
    return replace(problem, file=document.file, key=key, line=problem.line or line)


def path_of(key: str) -> KeyPath:
    """A key as drivers write it, `points.relay_1.address`, as a path."""
    return tuple(key.split(".")) if key else ()


def _check_row(document: Document, path: KeyPath, row: PointRow, problems: Problems) -> None:
    if row.setpoint is None:
        for column in DRIVEN:
            if column in row.model_fields_set:
                said = "found on a point that is only read, expected beside setpoint"
                problems.add(document, (*path, column), said)
    elif row.minimum is not None and row.maximum is not None and row.minimum > row.maximum:
        said = f"found {row.minimum}, expected at most the maximum {row.maximum}"
        problems.add(document, (*path, "minimum"), said)


def _spec_of(name: str, row: PointRow) -> PointSpec:
    setpoint = None
    if row.setpoint is not None:
        setpoint = SetpointSpec(
            kind=row.setpoint,
            length_ms=row.length_ms,
            secures=tuple(row.secures),
            minimum=row.minimum,
            maximum=row.maximum,
            values=tuple(row.values),
            write_every_min=row.write_every_min,
            settles_ms=row.settles_ms,
        )
    return PointSpec(
        name=name,
        kind=row.value,
        unit=row.unit,
        poll=row.poll,
        edge=row.edge,
        setpoint=setpoint,
        binding=row.own,
        deadband=row.deadband,
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def wanted(texts: Mapping[str, str], ids: Iterable[str]) -> dict[str, str]:
    """The profiles among a site's texts and the shipped ones that have one of these ids."""
    own = {name: text for name, text in texts.items() if name.startswith("profiles/")}
    for one in ids:
        path = SHIPPED / f"{one}.yaml"
        if f"profiles/{one}.yaml" not in own and path.is_file():
            own[f"profiles/{one}.yaml"] = _read(path)
    return own


def shipped_ids() -> set[str]:
    """The ids of all shipped profiles."""
    return {path.stem for path in SHIPPED.glob("*.yaml")}
