"""Validated pieces become the domain's values. Only called once nothing is wrong with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from config.base import Strict
from config.charging import CircuitFile, ProfileOf, TariffFile, circuit_of, outlet_of, tariff_of
from config.draft import Draft, Item
from config.figures import SettingsFile
from config.hours import parse_hours
from config.models import (
    CallPointFile,
    ChannelFile,
    DeviceFile,
    DoorFile,
    EscalationFile,
    FacilityFile,
    FireZoneFile,
    LinkFile,
    NameFile,
    PlaceFile,
    SiteFile,
)
from config.references import profile_of
from gateway.domain.now import HOUR_MS, SECOND_MS
from gateway.domain.points import PointRef, refs
from gateway.domain.profile import Profile
from gateway.domain.site import (
    AccessSettings,
    BookingSettings,
    CallOutputs,
    CallPoint,
    Channel,
    ChannelKind,
    Device,
    Door,
    DoorPoints,
    DoorRules,
    EmergencySettings,
    Equipment,
    Escalation,
    Facility,
    FireZone,
    Link,
    Name,
    Place,
    PresenceSensor,
    QuotaSettings,
    Safety,
    Settings,
    Site,
    Step,
)

M = TypeVar("M", bound=Strict)

# Channels that work with no internet unless the site says otherwise.
OFFLINE = frozenset({ChannelKind.OUTPUT, ChannelKind.DESK})


def site_of(draft: Draft, profiles: Mapping[str, Profile]) -> Site:
    """The whole site."""
    head = _model(draft.of(SiteFile)["site"])

    def profile_at(ref: PointRef) -> Profile | None:
        return profile_of(draft, profiles, ref.device)

    tariffs = {one.id: tariff_of(one.id, model) for one, model in draft.valid(TariffFile)}
    return Site(
        id=head.id,
        zone=head.zone,
        places={one.id: _place(one, model) for one, model in draft.valid(PlaceFile)},
        doors={one.id: _door(one, model) for one, model in draft.valid(DoorFile)},
        facilities={
            one.id: replace(
                _facility(one, model, profile_at), tariff=tariffs.get(model.tariff or "")
            )
            for one, model in draft.valid(FacilityFile)
        },
        equipment=Equipment(
            links={one.id: link_of(one, model) for one, model in draft.valid(LinkFile)},
            devices={one.id: device_of(one, model) for one, model in draft.valid(DeviceFile)},
            profiles=profiles,
            heartbeat=refs(head.heartbeat),
        ),
        safety=_safety(draft, profiles),
        settings=_settings(head.settings),
        circuits={one.id: circuit_of(one.id, model) for one, model in draft.valid(CircuitFile)},
    )


def link_of(item: Item[LinkFile], model: LinkFile) -> Link:
    """A link, with what is its driver's own."""
    return Link(item.id, model.driver, model.own)


def device_of(item: Item[DeviceFile], model: DeviceFile) -> Device:
    """A device, with what is its driver's own."""
    return Device(
        id=item.id,
        profile=model.profile,
        link=model.link,
        place=model.place,
        name=_name(model.name),
        binding=model.own,
        repair_ms=model.repair_ms,
    )


def works_offline(model: ChannelFile) -> bool:
    """A channel reaches people with no internet: as it says, else as its kind does."""
    return model.kind in OFFLINE if model.offline is None else model.offline


def supervision_of(model: CallPointFile, profile: Profile | None) -> int:
    """Silence after which a call point gives no cover (E5).

    As the site says, else 2.2 times the interval in which its model reports by itself; what is
    polled is heard all the time.
    """
    if model.supervision_ms is not None:
        return model.supervision_ms
    if not model.wiring.reports_by_itself:
        return 180 * SECOND_MS
    every_s = profile.binding.get("expected_s") if profile is not None else None
    if isinstance(every_s, int | float) and every_s > 0:
        return min(round(every_s * 2.2 * SECOND_MS), 25 * HOUR_MS)
    return 25 * HOUR_MS


def _model(item: Item[M]) -> M:
    assert item.model is not None
    return item.model


def _name(model: NameFile) -> Name:
    return Name(model.zh, model.en)


def _ref(text: str | None) -> PointRef | None:
    return None if text is None else PointRef.parse(text)


def _place(item: Item[PlaceFile], model: PlaceFile) -> Place:
    return Place(item.id, _name(model.name), model.parent)


def _door(item: Item[DoorFile], model: DoorFile) -> Door:
    points, rules = model.points, model.rules
    return Door(
        id=item.id,
        place=item.within,
        name=_name(model.name),
        points=DoorPoints(
            strike=PointRef.parse(points.strike),
            contact=_ref(points.contact),
            lock=_ref(points.lock),
            exit_button=_ref(points.exit_button),
            hold=_ref(points.hold),
            readers=refs(points.readers),
        ),
        rules=DoorRules(
            egress=rules.egress,
            fails=rules.fails,
            mode=rules.mode,
            fire=rules.fire,
            open_hours=None if rules.open_hours is None else parse_hours(rules.open_hours),
            release_ms=rules.release_ms,
            enter_within_ms=rules.enter_within_ms,
            held_open_ms=rules.held_open_ms,
        ),
    )


def _facility(item: Item[FacilityFile], model: FacilityFile, profile_at: ProfileOf) -> Facility:
    return Facility(
        id=item.id,
        place=model.place,
        name=_name(model.name),
        booking=model.booking,
        capacity=model.capacity,
        doors=tuple(model.doors),
        way=tuple(model.way),
        sensors=tuple(
            PresenceSensor(PointRef.parse(one.point), one.kind, one.hold_ms, one.threshold)
            for one in model.sensors
        ),
        open_hours=None if model.open_hours is None else parse_hours(model.open_hours),
        outlet=None if model.outlet is None else outlet_of(model.outlet, profile_at),
    )


def _safety(draft: Draft, profiles: Mapping[str, Profile]) -> Safety:
    return Safety(
        call_points={
            one.id: _call_point(
                one, model, profile_of(draft, profiles, PointRef.parse(model.point).device)
            )
            for one, model in draft.valid(CallPointFile)
        },
        escalations={one.id: _escalation(one, model) for one, model in draft.valid(EscalationFile)},
        channels={
            one.id: Channel(one.id, model.kind, works_offline(model), model.own)
            for one, model in draft.valid(ChannelFile)
        },
        fire_zones={
            one.id: FireZone(
                id=one.id,
                place=one.within,
                input=PointRef.parse(model.input),
                doors=tuple(model.doors),
                active=model.active,
                outlets=tuple(model.outlets),
            )
            for one, model in draft.valid(FireZoneFile)
        },
    )


def _call_point(
    item: Item[CallPointFile], model: CallPointFile, profile: Profile | None
) -> CallPoint:
    outputs = model.outputs
    return CallPoint(
        id=item.id,
        place=item.within,
        name=_name(model.name),
        point=PointRef.parse(model.point),
        escalation=model.escalation,
        wiring=model.wiring,
        outputs=CallOutputs(refs(outputs.sirens), refs(outputs.lamps), tuple(outputs.releases)),
        supervision_ms=supervision_of(model, profile),
        reset_key=_ref(model.reset_key),
    )


def _escalation(item: Item[EscalationFile], model: EscalationFile) -> Escalation:
    steps = tuple(Step(one.after_ms, tuple(one.channels)) for one in model.steps)
    return Escalation(item.id, steps, model.repeat_ms)


def _settings(model: SettingsFile) -> Settings:
    return Settings(
        access=AccessSettings(**model.access.model_dump()),
        booking=BookingSettings(**model.booking.model_dump()),
        emergency=EmergencySettings(**model.emergency.model_dump()),
        quota=QuotaSettings(**model.quota.model_dump()),
        poll_ms=model.poll_class_ms(),
        listen=model.listen,
        retention_days={str(name): days for name, days in model.retention_days.items()},
        uplink=model.uplink,
        store_reopen_ms=model.store_reopen_ms,
    )
