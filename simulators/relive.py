"""Recorded sessions and a recorded room, put before the real core in virtual time."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from config.site import load_site
from drivers.registry import kinds
from gateway.domain.events import ChangesReceived, Started, Stream
from gateway.domain.now import MINUTE_MS, SECOND_MS
from gateway.domain.points import PointRef
from gateway.domain.records import Fact
from gateway.domain.secret import Secret
from gateway.domain.site import Site
from gateway.domain.subjects import Credential, CredentialKind, Presented, Subject
from gateway.domain.utilization import Usage, UtilizationState
from simulators.models.vehicles import Car
from simulators.traces import Minute, RealSession
from simulators.virtual.disk import MemoryDisk
from simulators.virtual.gateway import VirtualGateway
from simulators.virtual.schedule import Schedule
from simulators.virtual.site import VirtualSite

PIN = Presented(CredentialKind.PIN, Secret("pin"))
BEFORE_MS, AFTER_MS = MINUTE_MS, 3 * MINUTE_MS
DRIFT_MS, ROUND_MS = 5 * MINUTE_MS, 60 * MINUTE_MS
STIRS_MS = 4 * MINUTE_MS  # who sits in an office moves so often
IN_USE = (UtilizationState.IN_USE_BOOKED, UtilizationState.IN_USE_WALK_IN)

_SITE = """
id: traces
zone: Europe/Oslo
links:
  keba: {driver: modbus_tcp, host: 127.0.0.1}
  bus: {driver: modbus_rtu, port: /dev/ttyUSB0}
  radio: {driver: mqtt, host: 127.0.0.1}
circuits:
  feeder: {place: garage, limit_a: [32, 32, 32]}
settings: {poll_ms: {sensor: 1000, slow: 1000}}
"""
_PLACES = """
house: {name: {zh: 楼, en: House}}
garage: {name: {zh: 车库, en: Garage}, parent: house}
office: {name: {zh: 办公室, en: Office}, parent: house}
"""
_DEVICES = {
    "charger": "{profile: keba_p30, link: keba, place: garage, name: {zh: 桩, en: Charger}}",
    "air": "{profile: senseair_s8, link: bus, unit: 1, place: office, name: {zh: 气, en: Air}}",
    "pir": "{profile: icpdas_pir_130, link: bus, unit: 2, place: office, name: {zh: 动, en: PIR}}",
    "radar": "{profile: z2m_occupancy, link: radio, topic: z/radar, place: office,"
    " name: {zh: 达, en: Radar}}",
}
_BAY = """
place: garage
name: {zh: 充电位, en: Bay}
booking: none
outlet:
  circuit: feeder
  phases: [1, 2, 3]
  max_a: 32
  longest_h: 0
  points:
    limit: charger/limit
    state: charger/state
    power: charger/power
    energy: charger/energy
    currents: [charger/current_l1, charger/current_l2, charger/current_l3]
"""
SENSORS = {
    "co2 over 600 ppm": "{point: air/co2, kind: co2, threshold: 600, hold_min: 5}",
    "co2 over 700 ppm": "{point: air/co2, kind: co2, threshold: 700, hold_min: 5}",
    "co2 over 800 ppm": "{point: air/co2, kind: co2, threshold: 800, hold_min: 5}",
    "motion": "{point: pir/motion, kind: motion, hold_min: 5}",
    "radar": "{point: radar/presence, kind: presence, hold_min: 2}",
}


def trace_site(*sensors: str) -> Site:
    """A charger in a garage, and an office with some of `SENSORS`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "site.yaml").write_text(_SITE)
        (folder / "places.yaml").write_text(_PLACES)
        for name, text in _DEVICES.items():
            _write(folder / "devices" / f"{name}.yaml", text)
        _write(folder / "facilities" / "bay.yaml", _BAY)
        if sensors:
            rows = "\n".join(f"  - {SENSORS[sensor]}" for sensor in sensors)
            room = "place: office\nname: {zh: 办公室, en: Office}\nbooking: none\nsensors:\n"
            _write(folder / "facilities" / "office.yaml", room + rows)
        return load_site(folder, kinds(), demo=True)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


# --- sessions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lived:
    """What the gateway says of a session, and what the simulated meter counted meanwhile."""

    sessions: int
    energy_wh: int
    duration_ms: int
    metered_wh: float
    records: int


def relive_session(site: Site, session: RealSession) -> Lived:
    """One recorded session at the charger: plugged in, authorised, charged, plugged out."""
    assert session.duration_s is not None
    schedule = Schedule(session.start_ms - BEFORE_MS)
    place = VirtualSite(site, schedule, Random(session.id))  # noqa: S311  # to be repeated
    gateway = _start(place)
    car = Car(session.energy_wh / 0.99 + 1, 0, phases=3, most_a=32, tapers_from=1 - 1e-9)
    car.holds_wh = car.capacity_wh - session.energy_wh
    car.wakes_ms = 3_000
    ends_ms = session.start_ms + round(session.duration_s * SECOND_MS)

    def plug_in() -> None:
        place.plug_in("bay", car)
        place.present(None, PIN, lambda _reply: None, "bay")

    schedule.at(session.start_ms, plug_in)
    schedule.at(ends_ms, lambda: place.unplug("bay"))
    schedule.run(ends_ms + AFTER_MS)
    ended = [s.record.data for s in disk_of(gateway).stamped if s.record.fact is Fact.SESSION_ENDED]
    meter = place.town.connector("bay")
    return Lived(
        len(ended),
        sum(int(each["energy_wh"]) for each in ended),
        sum(int(each["duration_ms"]) for each in ended),
        meter.energy_wh,
        len(disk_of(gateway).stamped),
    )


def _start(place: VirtualSite) -> VirtualGateway:
    disk = MemoryDisk(Random(1))  # noqa: S311
    gateway = place.gateway = VirtualGateway(place.site, place.schedule, disk, "traces")
    gateway.round_ms, place.links.drifting.every_ms = ROUND_MS, DRIFT_MS
    gateway.start(place.links, Started("traces"), lambda: None)
    place.links.begin(gateway)
    digest = Secret("pin")
    known = (Subject("driver"), Credential("driver-pin", "driver", CredentialKind.PIN, digest))
    gateway.tell(ChangesReceived(Stream.SUBJECTS, "traces", 1, known, ()))
    return gateway


def disk_of(gateway: VirtualGateway) -> MemoryDisk:
    """The disk that a gateway of a trace writes to."""
    assert isinstance(gateway.disk, MemoryDisk)
    return gateway.disk


# --- the room -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agreement:
    """Minutes of a room, by what the gateway said and by who was there."""

    minutes: int
    occupied: int
    in_use: int
    both: int
    unknown: int

    @property
    def missed(self) -> int:
        """Somebody was there, and it was not in use."""
        return self.occupied - self.both

    @property
    def false(self) -> int:
        """It was in use, and nobody was there."""
        return self.in_use - self.both


def relive_room(minutes: Sequence[Minute], *sensors: str) -> Agreement:
    """The recorded room, with the sensors that it is given: its air as recorded, people as true."""
    site = trace_site(*sensors)
    schedule = Schedule(minutes[0].at_ms)
    place = VirtualSite(site, schedule, Random(1))  # noqa: S311
    ppm = minutes[0].co2_ppm
    place.town.sources[PointRef("air", "co2")] = lambda _now_ms: ppm
    gateway = _start(place)
    room = place.town.rooms["office"]
    there = False
    said: list[UtilizationState | None] = []
    for minute in minutes:
        schedule.run(minute.at_ms)
        ppm = minute.co2_ppm
        place.links.look("air")
        if minute.occupied and not there:
            room.enter("somebody", schedule.now_ms)
        elif there and not minute.occupied:
            place.see("office")
            room.leave("somebody", schedule.now_ms)
        elif there and schedule.now_ms % STIRS_MS < MINUTE_MS:
            room.stir("somebody", schedule.now_ms)
        there = minute.occupied
        place.see("office")
        schedule.run(minute.at_ms + 30 * SECOND_MS)
        usage = gateway.state.get(Usage, "office")
        said.append(usage.state if usage is not None else None)
    used = [state in IN_USE for state in said]
    return Agreement(
        len(minutes),
        sum(minute.occupied for minute in minutes),
        sum(used),
        sum(use and minute.occupied for use, minute in zip(used, minutes, strict=True)),
        sum(state in (None, UtilizationState.UNKNOWN) for state in said),
    )
