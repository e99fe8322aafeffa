"""The devices on one bus as their driver sees them: reads with their points, ready to decode.

Rules:
- An answer with the same bytes as the one before costs one compare, unless an edge is unsettled.
- A reading is made only when a value passes its deadband or its quality changes. The reading of a
  point whose edge must settle follows the settled value.
- The reading is told before its edge, so that whoever acts on the edge finds it.
- A row that means something else by another row's value is decoded anew with each answer, and not
  before that other row was seen.
"""

from collections.abc import Mapping
from typing import Any, cast

from drivers.codec import Decode, Row, row_of, written_row
from drivers.edges import Settled, Watcher, watcher
from drivers.modbus import frames
from drivers.modbus.health import Condition
from drivers.modbus.plan import Limits, Span, plan, readable
from drivers.modbus.schedule import Group, Member
from gateway.domain.errors import MalformedError
from gateway.domain.points import PointRef, Quality, Reading, Value
from gateway.domain.profile import Edge, PollClass, Profile, ValueKind
from gateway.domain.site import POLL_MS, Device
from gateway.domain.uses import Watch
from gateway.ports import LinkSetup, Sink

TIMEOUT_MS = 300
RETRY_MAX_MS = 60_000
SAFETY_RETRY_MAX_MS = 2_000


class BusDevice(Member):
    """One device: its unit and manners, its rows, its reads, its health."""

    __slots__ = (
        "columns",
        "condition",
        "gap_ms",
        "invert",
        "points",
        "profile",
        "rows",
        "timeout_s",
        "tried_ms",
        "unit",
        "written",
    )

    groups: list["PolledGroup"]  # type: ignore[assignment]  # a list of the narrower kind

    def __init__(self, device: Device, profile: Profile, retry_max_ms: int) -> None:
        super().__init__(device.id, retry_max_ms)
        self.profile = profile
        self.columns: Mapping[str, Any] = {**profile.binding, **device.binding}
        self.unit = int(self.columns.get("unit", 1))
        self.timeout_s = self.columns.get("timeout_ms", TIMEOUT_MS) / 1_000
        self.gap_ms = int(self.columns.get("gap_ms", 0))
        self.invert = frozenset(self.columns.get("invert", ()))
        self.rows = {name: row_of(spec, profile.binding) for name, spec in profile.points.items()}
        self.written = {
            name: written_row(spec, profile.binding)
            for name, spec in profile.points.items()
            if spec.setpoint is not None
        }
        self.points: dict[str, PolledPoint] = {}
        self.condition = Condition()
        self.tried_ms = 0  # when a write was last sent to it

    def written_row(self, point: str) -> Row:
        """Where a point is written, and what it means there now. Raises MalformedError."""
        row = self.written[point]
        if row.by is None:
            return row
        shown = self.points[row.by].told if row.by in self.points else None
        if shown is None or shown not in row.variants:
            raise MalformedError(f"{self.name}/{point}: {row.by} says how, and was not read yet")
        return row.variants[shown]

    def disagrees(self, point: str, value: Value) -> bool:
        """What was last read at a point is something else."""
        shown = self.points[point].told if point in self.points else None
        return shown is not None and shown != value

    def lost(self) -> None:
        """It was out of reach: what it shows next is seen for the first time."""
        for group in self.groups:
            group.lost()


class PolledPoint:
    """One point of a read: how to decode it, watch it, and when to tell it."""

    __slots__ = ("by", "deadband", "decode", "keep", "quality", "ref", "told", "watcher")

    def __init__(self, ref: PointRef, decode: Decode, deadband: float, edge: Edge) -> None:
        self.ref = ref
        self.keep: Value | None = None  # what it must be, whoever changed it
        self.by: PolledPoint | None = None
        self.decode = decode
        self.deadband = deadband
        self.watcher: Watcher | None = watcher(edge)
        self.told: Value | None = None  # None where the next value is news, whatever it is
        self.quality = Quality.UNKNOWN

    def hangs_on(self, other: "PolledPoint", decoders: Mapping[Value, Decode]) -> None:
        """What this one's bytes mean is said by the other one's value."""
        self.by = other

        def decode(data: bytes) -> Value | None:
            told = other.told
            found = decoders.get(told) if told is not None else None
            return found(data) if found is not None else None

        self.decode = decode

    @property
    def waits(self) -> bool:
        """What says what it means was not seen yet."""
        return self.by is not None and self.by.told is None and self.by.quality is not Quality.BAD

    def moved(self, value: Value) -> bool:
        """The value is news: other than what was told, by its deadband at least."""
        told: Any = self.told
        if told is None:
            return True
        if not self.deadband:
            return bool(value != told)
        step: float = abs(cast(float, value) - told)
        return step >= self.deadband


class PolledGroup(Group):
    """One read of a device, and what was last found in its answer."""

    __slots__ = (
        "always",
        "freshness",
        "kept",
        "points",
        "raw",
        "request",
        "settles_ms",
        "span",
    )

    member: BusDevice

    def __init__(
        self, device: BusDevice, span: Span, watches: Mapping[PointRef, Watch], sink: Sink
    ) -> None:
        self.request = frames.read(span.table, span.address, span.count)
        super().__init__(device, span.period_ms, self.request.begins)
        self.span = span
        self.points = [_point(device, row, span.address, watches) for row in span.rows]
        self.kept = tuple(point for point in self.points if point.keep is not None)
        # the same bytes may be news
        self.always = bool(self.kept) or any(row.by is not None for row in span.rows)
        names = [row.name for row in span.rows]
        device.points.update(zip(names, self.points, strict=True))
        self.freshness = sink.freshness(device.name, names, span.period_ms)
        self.raw = b""
        self.settles_ms: int | None = None  # when to look again at an edge that is unsettled

    def take(self, raw: bytes, at_ms: int, mono_ms: int, sink: Sink) -> None:
        """Tell what an answer shows that was not known."""
        self.raw = b"" if self.always else raw
        self.settles_ms = None
        data = raw[2:]
        for point in self.points:
            value = point.decode(data)
            if value is None:
                self._bad(point, at_ms, mono_ms, sink)
            elif point.watcher is not None:
                self._watch(point, point.watcher, value, (at_ms, mono_ms), sink)
            elif value != point.told and point.moved(value):
                _tell(point, value, (at_ms, mono_ms), sink)

    def refused(self, at_ms: int, mono_ms: int, sink: Sink) -> None:
        """The device will not give this read: none of its points has a value."""
        self.raw = b""
        for point in self.points:
            self._bad(point, at_ms, mono_ms, sink)

    def lost(self) -> None:
        """The device was out of reach."""
        self.raw = b""
        self.settles_ms = None
        for point in self.points:
            point.told = None  # it is stale by now: tell it again
            if point.watcher is not None:
                point.watcher.lost()

    def _bad(self, point: PolledPoint, at_ms: int, mono_ms: int, sink: Sink) -> None:
        if point.quality is not Quality.BAD and not point.waits:
            point.quality, point.told = Quality.BAD, None
            sink.reading(Reading(point.ref, None, Quality.BAD, at_ms, mono_ms))
            if point.watcher is not None:
                point.watcher.lost()

    def _watch(
        self,
        point: PolledPoint,
        watching: Watcher,
        value: Value,
        times: tuple[int, int],
        sink: Sink,
    ) -> None:
        found = watching.take(value, times[1])
        settles_ms = watching.unsettled_ms
        if settles_ms is not None:
            self.settles_ms = min(self.settles_ms or settles_ms, settles_ms)
        shown = watching.value if isinstance(watching, Settled) else value
        if shown is not None and point.moved(shown):
            _tell(point, shown, times, sink)
        if found is not None:
            sink.edge(found.at(point.ref))


def _tell(point: PolledPoint, value: Value, times: tuple[int, int], sink: Sink) -> None:
    point.told, point.quality = value, Quality.GOOD
    sink.reading(Reading(point.ref, value, Quality.GOOD, *times))


def _point(
    device: BusDevice, row: Row, base: int, watches: Mapping[PointRef, Watch]
) -> PolledPoint:
    spec = device.profile.points[row.name]
    ref = PointRef(device.name, row.name)
    decode = row.decoder(base)
    if row.name in device.invert:
        decode = _inverted(decode)
    edge = watches[ref].edge if ref in watches else spec.edge
    numeric = spec.kind in (ValueKind.INT, ValueKind.FLOAT)
    point = PolledPoint(ref, decode, spec.deadband if numeric else 0.0, edge)
    point.keep = spec.binding.get("keep")
    return point


def _inverted(decode: Decode) -> Decode:
    def inverted(data: bytes) -> Value | None:
        value = decode(data)
        return None if value is None else not value

    return inverted


def bus_devices(setup: LinkSetup) -> list[BusDevice]:
    """The devices of a link with their reads planned."""
    return [_bus_device(setup, device) for device in setup.devices]


def _bus_device(setup: LinkSetup, device: Device) -> BusDevice:
    profile = setup.profiles[device.profile]
    polls = {
        name: setup.watches[ref].poll
        if (ref := PointRef(device.id, name)) in setup.watches
        else spec.poll
        for name, spec in profile.points.items()
    }
    retry_max_ms = int(setup.link.binding.get("retry_max_ms", RETRY_MAX_MS))
    if _covers(setup, device):
        retry_max_ms = min(retry_max_ms, SAFETY_RETRY_MAX_MS)
    made = BusDevice(device, profile, retry_max_ms)

    def period_of(poll: PollClass) -> int:
        return setup.poll_ms.get(poll, POLL_MS[poll])

    rows = [
        (made.rows[name], period_of(polls[name]))
        for name, spec in profile.points.items()
        if readable(spec)
    ]
    for span in plan(rows, Limits.of(made.columns)):
        PolledGroup(made, span, setup.watches, setup.sink)
    _tie(made)
    return made


def _tie(device: BusDevice) -> None:
    """Points that mean something by another point's value are told which one that is."""
    for group in device.groups:
        for row, point in zip(group.span.rows, group.points, strict=True):
            if row.by is not None:
                base = group.span.address
                decoders = {value: one.decoder(base) for value, one in row.variants.items()}
                point.hangs_on(device.points[row.by], decoders)


def _covers(setup: LinkSetup, device: Device) -> bool:
    """True for a device with call or fire points: it is tried again within 2 s."""
    return any(
        ref.device == device.id and watch.poll is PollClass.SAFETY
        for ref, watch in setup.watches.items()
    )
