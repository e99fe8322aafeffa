"""Calls: that each is seen, is heard on site, and reaches people with no internet (RULES E)."""

from collections.abc import Mapping

from config.assemble import works_offline
from config.draft import Draft, Item
from config.models import (
    CallPointFile,
    ChannelFile,
    DeviceFile,
    DoorFile,
    EscalationFile,
    LinkFile,
    PlaceFile,
    SiteFile,
)
from config.problems import lasting
from gateway.domain.now import HOUR_MS
from gateway.domain.points import PointRef
from gateway.domain.profile import PollClass, Profile
from gateway.domain.site import POLL_MS, ChannelKind, Wiring

GAP_MAX_MS = 50
SUPERVISION_MAX_MS = 25 * HOUR_MS
TIMEOUT_USUAL_MS = 300

NEEDED: Mapping[ChannelKind, tuple[str, ...]] = {
    ChannelKind.MQTT: ("link", "topic"),
    ChannelKind.WEBHOOK: ("url", "secret_file"),
}


def check_emergency(draft: Draft, profiles: Mapping[str, Profile], *, demo: bool) -> None:
    """Add what is wrong or doubtful about call points, escalations and channels."""
    for item, model in draft.valid(CallPointFile):
        if not model.outputs.sirens:
            said = "found no siren, expected one that is heard where the call is made"
            draft.wrong(item, ("outputs", "sirens"), said, "E4")
        if not model.wiring.reports_by_itself:
            _check_wired(draft, profiles, item, model)
        if model.supervision_ms is not None and model.supervision_ms > SUPERVISION_MAX_MS:
            said = "longer than 25 h, the longest class of supervision"
            draft.wrong(item, ("supervision_ms",), said, "E5", warns=True)
        _check_releases(draft, item, model)
    for escalation, steps in draft.valid(EscalationFile):
        _check_steps(draft, escalation, steps)
    for channel, its in draft.valid(ChannelFile):
        _check_channel(draft, channel, its)
    _check_heartbeat(draft)
    for link, binding in draft.valid(LinkFile):
        if binding.own.get("demo") and not demo:
            said = "found a broker for the demo alone, which may lose a call; expected mosquitto"
            draft.wrong(link, ("demo",), said, "E1")


def _check_wired(
    draft: Draft, profiles: Mapping[str, Profile], item: Item[CallPointFile], model: CallPointFile
) -> None:
    """E1: a press is seen, however the bus is loaded."""
    ref = PointRef.parse(model.point)
    mates = _mates(draft, ref.device)
    for mate in mates:
        gap = _figure(draft, profiles, mate, "gap_ms", 0)
        if gap >= GAP_MAX_MS:
            said = f"shares a bus with {mate}, which needs {gap} ms between frames; expected less "
            draft.wrong(item, ("point",), said + f"than {GAP_MAX_MS} ms, or a bus of its own", "E1")
    if model.wiring is not Wiring.MOMENTARY:
        return
    if model.shortest_press_ms is None:
        said = "missing, expected: the shortest press of a momentary button, or wiring: latched"
        draft.wrong(item, ("shortest_press_ms",), said, "E1")
        return
    timeouts = [_figure(draft, profiles, mate, "timeout_ms", TIMEOUT_USUAL_MS) for mate in mates]
    worst = _safety_ms(draft) + max(timeouts, default=0)
    if model.shortest_press_ms < 2 * worst:
        said = f"found {lasting(model.shortest_press_ms)}, expected at least {lasting(2 * worst)}, "
        draft.wrong(
            item,
            ("shortest_press_ms",),
            said + f"twice the worst poll age of {lasting(worst)}",
            "E1",
        )


def _mates(draft: Draft, device: str) -> list[str]:
    """The other devices on the same link."""
    item = draft.of(DeviceFile).get(device)
    if item is None or item.model is None:
        return []
    link = item.model.link
    return [one.id for one, its in draft.valid(DeviceFile) if its.link == link and one.id != device]


def _figure(
    draft: Draft, profiles: Mapping[str, Profile], device: str, name: str, usual: int
) -> int:
    """What a device, else its profile, says of its place on the bus."""
    model = draft.of(DeviceFile)[device].model
    profile = None if model is None else profiles.get(model.profile)
    for said in (model.own if model else {}, profile.binding if profile else {}):
        found = said.get(name)
        if isinstance(found, int):
            return found
    return usual


def _safety_ms(draft: Draft) -> int:
    head = draft.of(SiteFile).get("site")
    if head is None or head.model is None:
        return POLL_MS[PollClass.SAFETY]
    return head.model.settings.poll_class_ms()[PollClass.SAFETY]


def _check_releases(draft: Draft, item: Item[CallPointFile], model: CallPointFile) -> None:
    """E6: a door is released only by a fixed call point inside it."""
    doors = draft.of(DoorFile)
    if model.wiring is Wiring.WEARABLE and model.outputs.releases:
        said = "found doors, expected none: a wearable may be anywhere"
        draft.wrong(item, ("outputs", "releases"), said, "E6")
        return
    for number, name in enumerate(model.outputs.releases):
        if name in doors and doors[name].within not in _places_around(draft, item.within):
            said = f"found {name!r}, the door of {doors[name].within}; expected a door of the "
            said += f"place the call point is in ({item.within})"
            draft.wrong(item, ("outputs", "releases", number), said, "E6")


def _places_around(draft: Draft, place: str) -> list[str]:
    """A place and those it is in, innermost first."""
    found: list[str] = []
    places = draft.of(PlaceFile)
    while place in places and place not in found:
        found.append(place)
        model = places[place].model
        place = (model.parent if model else None) or ""
    return found


def _check_steps(draft: Draft, item: Item[EscalationFile], model: EscalationFile) -> None:
    channels = draft.of(ChannelFile)
    told = [channels.get(name) for step in model.steps for name in step.channels]
    unsure = any(channel is None or channel.model is None for channel in told)
    offline = any(one and one.model and works_offline(one.model) for one in told)
    if not offline and not unsure:
        said = "found no step that works offline, expected a channel that needs no internet in one"
        draft.wrong(item, ("steps",), said, "E4")
    for number in range(1, len(model.steps)):
        before, after = model.steps[number - 1].after_ms, model.steps[number].after_ms
        if after <= before:
            said = (
                f"found {lasting(after)}, expected more than the step before it ({lasting(before)})"
            )
            draft.wrong(item, ("steps", number, "after_ms"), said, "E4")


def _check_channel(draft: Draft, item: Item[ChannelFile], model: ChannelFile) -> None:
    for name in NEEDED.get(model.kind, ()):
        if name not in model.own:
            draft.wrong(
                item, (name,), f"missing, expected: the {name} of a channel of kind {model.kind}"
            )
    if model.kind is ChannelKind.PLATFORM and model.offline:
        said = "found true, expected false: the platform is reached over the internet"
        draft.wrong(item, ("offline",), said, "E4")


def _check_heartbeat(draft: Draft) -> None:
    head = draft.of(SiteFile).get("site")
    if head is None or head.model is None or head.model.heartbeat:
        return
    if draft.of(CallPointFile):
        said = 'no "in service" lamp: nobody on site sees when the gateway is dead'
        draft.wrong(head, ("heartbeat",), said, "E8", warns=True)
