"""Doors and what opens them (RULES A3 to A8)."""

from collections.abc import Iterator, Mapping

from config.draft import Draft, Item
from config.figures import SettingsFile
from config.models import DoorFile, FacilityFile, FireZoneFile, SiteFile
from config.problems import lasting
from config.references import spec_of
from gateway.domain.profile import Profile
from gateway.domain.site import AccessSettings, DoorMode, FireRole

HOURS_A_YEAR = 24 * 365
ODDS_MAX = 0.01


def check_access(draft: Draft, profiles: Mapping[str, Profile]) -> None:
    """Add what is wrong or doubtful about each door, and the odds of a guessed PIN."""
    releasing = {name for _, zone in draft.valid(FireZoneFile) for name in zone.doors}
    led_to = {name for _, one in draft.valid(FacilityFile) for name in (*one.doors, *one.way)}
    for item, door in draft.valid(DoorFile):
        _check_fire(draft, item, door, listed=item.id in releasing)
        _check_mode(draft, item, door)
        _check_strike(draft, profiles, item, door)
        if door.points.contact is None and door.points.lock is None:
            said = "neither contact nor lock: an entering cannot be seen, nor a door forced"
            draft.wrong(item, ("points",), said, "A6", warns=True)
        if item.id not in led_to and not draft.problems.refusing:
            said = "no facility has this door or leads through it: only staff may pass"
            draft.wrong(item, (), said, warns=True)
    _check_readers(draft)
    _check_odds(draft)


def _check_fire(draft: Draft, item: Item[DoorFile], door: DoorFile, *, listed: bool) -> None:
    rules = door.rules
    if rules.fails == "safe" and rules.fire_release is None:
        said = "found a fail-safe lock, expected fire_release: hardwired beside it"
        draft.wrong(item, ("rules", "fails"), said, "A3")
    if not draft.complete(FireZoneFile):
        return
    if rules.fire is FireRole.RELEASES and not listed:
        said = "found releases, but no fire zone lists this door: nothing would release it"
        draft.wrong(item, ("rules", "fire"), said, "A3")
    if rules.fire is FireRole.STAYS and listed:
        said = "a fire zone lists this door, but it stays as it is on fire (fire: stays)"
        draft.wrong(item, ("rules",), said, "A3", warns=True)


def _check_mode(draft: Draft, item: Item[DoorFile], door: DoorFile) -> None:
    rules = door.rules
    if rules.mode is not DoorMode.PER_PERSON and door.points.hold is None:
        said = f"found {rules.mode}, expected points.hold beside it: a level that keeps it unlocked"
        draft.wrong(item, ("rules", "mode"), said, "A8")
    if rules.mode is DoorMode.SCHEDULED and not rules.open_hours:
        said = "found scheduled, expected open_hours beside it"
        draft.wrong(item, ("rules", "mode"), said, "A8")
    if rules.mode is not DoorMode.SCHEDULED and rules.open_hours:
        said = f"found hours, expected mode: scheduled beside them (mode is {rules.mode})"
        draft.wrong(item, ("rules", "open_hours"), said, "A8")


def _check_strike(
    draft: Draft, profiles: Mapping[str, Profile], item: Item[DoorFile], door: DoorFile
) -> None:
    spec = spec_of(draft, profiles, door.points.strike)
    longest = spec.setpoint.length_ms if spec is not None and spec.setpoint is not None else None
    if longest is not None and not 0 < door.rules.release_ms <= longest:
        said = f"found {lasting(door.rules.release_ms)}, expected up to {lasting(longest)}, "
        said += f"as the device bounds {door.points.strike}"
        draft.wrong(item, ("rules", "release_ms"), said, "A4")
    if door.rules.enter_within_ms < door.rules.release_ms:
        said = f"found {lasting(door.rules.enter_within_ms)}, expected at least release_ms "
        said += f"({lasting(door.rules.release_ms)}): who enters late would be a door forced"
        draft.wrong(item, ("rules", "enter_within_ms"), said, "A6")


def _readers(draft: Draft) -> Iterator[tuple[Item[DoorFile], int, str]]:
    for item, door in draft.valid(DoorFile):
        for number, reader in enumerate(door.points.readers):
            yield item, number, reader


def _check_readers(draft: Draft) -> None:
    """A credential at a reader asks for one door."""
    first: dict[str, str] = {}
    for item, number, reader in _readers(draft):
        if reader in first:
            said = f"found {reader!r}, which is the reader of the door {first[reader]!r} already"
            draft.wrong(item, ("points", "readers", number), said)
        first.setdefault(reader, item.id)


def _check_odds(draft: Draft) -> None:
    head = draft.of(SiteFile).get("site")
    if head is None or head.model is None or not any(_readers(draft)):
        return
    odds = yearly_odds(head.model.settings)
    if odds > ODDS_MAX:
        pins = head.model.settings.pins
        said = (
            f"the yearly odds of a guessed PIN are {odds:.1%} a reader, expected at most "
            f"{ODDS_MAX:.0%}: PINs of {pins.digits} digits, {pins.valid_max} of them valid at a "
            "time; longer PINs, or a lower access.tamper_failures_per_hour, bring it down"
        )
        draft.wrong(head, ("settings", "pins"), said, "A5", warns=True)


def yearly_odds(settings: SettingsFile) -> float:
    """The odds that somebody who guesses PINs all year at one reader gets in (A5).

    They stay under what is a tamper fault, or under the reader's longest wait, whichever is less.
    """
    figures = AccessSettings(**settings.access.model_dump())
    waits_an_hour = 3_600_000 / max(figures.slow_max_ms, 1)
    tries = min(figures.tamper_failures_per_hour, waits_an_hour) * HOURS_A_YEAR
    hit = min(1.0, settings.pins.valid_max / 10**settings.pins.digits)
    return float(1 - (1 - hit) ** tries)
