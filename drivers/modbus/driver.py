"""One Modbus link: polls by schedule, writes before reads, one request in flight.

Rules:
- Urgent writes go first, then other writes, then patterns that are played, then reads.
- A pulse is written once: too late it is refused, unanswered it is unknown (RULES A4).
- A device that is silent costs its own time-outs only; a lost link is opened again, for ever.
"""

import asyncio
import heapq
from random import Random

from drivers.modbus import frames
from drivers.modbus.bus import BusDevice, PolledGroup, bus_devices
from drivers.modbus.frames import ExceptionReply, Garbage, LinkLost, Request, Silent
from drivers.modbus.link import comm_params, line_of
from drivers.modbus.player import OFF, PATTERNS, Player
from drivers.modbus.schedule import Backoff, Schedule
from drivers.modbus.wire import Wire
from gateway.domain.errors import MalformedError
from gateway.domain.faults import Health
from gateway.domain.points import Lease, Level, Pulse, Setpoint, WriteOutcome, WriteResult
from gateway.ports import LinkSetup

RECONNECT_MAX_MS = 2_000  # a lost host is tried again soon: calls may hang on it (RULES E5)

_Queued = tuple[int, int, Setpoint, "asyncio.Future[WriteOutcome]"]


class ModbusDriver:
    """The `Driver` of one link."""

    def __init__(self, setup: LinkSetup, random: Random) -> None:
        self._setup = setup
        self._sink = setup.sink
        self._clock = setup.clock
        self._devices = {device.name: device for device in bus_devices(setup)}
        self._backoff = Backoff(random)
        self._schedule = Schedule(self._devices.values(), self._backoff)
        self._player = Player()
        self._writes: list[_Queued] = []
        self._order = 0
        self._wake = asyncio.Event()
        self._wire: Wire | None = None
        self._last_frame_ms: dict[str, int] = {}

    async def run(self) -> None:
        """Serve the link until cancelled, reconnecting for ever."""
        misses, told = 0, False
        while True:
            try:
                await self._connected()
            except LinkLost as error:
                if self._was_up or not told:
                    told, misses = True, 0
                    self._sink.link_health(Health.SILENT, str(error))
            misses += 1
            wait_ms = self._backoff.wait_ms(misses, RECONNECT_MAX_MS)
            await asyncio.sleep(wait_ms / 1000)
            self._sink.count("reconnects")

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        """Write one setpoint, ahead of reads."""
        if self._wire is None:
            return WriteOutcome(WriteResult.REFUSED, "not connected")
        future: asyncio.Future[WriteOutcome] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._writes, (0 if urgent else 1, self._order, setpoint, future))
        self._wake.set()
        return await future

    # --- a connection -------------------------------------------------------------------------

    _was_up = False

    async def _connected(self) -> None:
        """Serve one connection. Raises LinkLost when it ends."""
        self._was_up = False
        link = self._setup.link
        wire = Wire(comm_params(link), line_of(link), self._wake.set)
        try:
            await wire.open()
            self._wire, self._was_up = wire, True
            self._sink.link_health(Health.ONLINE)
            self._schedule.start(self._clock.mono_ms())
            while not wire.is_lost:
                await self._turn(wire)
            raise LinkLost("connection lost")
        finally:
            self._wire = None
            wire.close()
            self._drop_writes()
            for device in self._devices.values():
                device.lost()

    def _drop_writes(self) -> None:
        for _, _, _, future in self._writes:
            if not future.done():
                future.set_result(WriteOutcome(WriteResult.REFUSED, "not connected"))
        self._writes.clear()

    async def _turn(self, wire: Wire) -> None:
        """One request, or a wait until there is one."""
        now_ms = self._clock.mono_ms()
        if self._writes:
            await self._write_next(wire)
            return
        for lease in self._player.due(now_ms):
            await self._give(wire, lease)
            return
        group = self._schedule.next(now_ms)
        if group is not None:
            assert isinstance(group, PolledGroup)
            await self._poll(wire, group)
            return
        await self._sleep(now_ms)

    async def _sleep(self, now_ms: int) -> None:
        self._wake.clear()
        due = [ms for ms in (self._schedule.due_ms(), self._player.due_ms()) if ms is not None]
        wait_ms = max(0, min(due) - now_ms) if due else 1_000
        if self._writes or not wait_ms:
            return
        timer = asyncio.get_running_loop().call_later(wait_ms / 1000, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _exchange(self, wire: Wire, device: BusDevice, request: Request) -> bytes:
        if device.gap_ms:
            earliest = self._last_frame_ms.get(device.name, 0) + device.gap_ms
            wait_ms = earliest - self._clock.mono_ms()
            if wait_ms > 0:
                await asyncio.sleep(wait_ms / 1000)
        try:
            return await wire.exchange(device.unit, request, device.timeout_s)
        finally:
            if device.gap_ms:
                self._last_frame_ms[device.name] = self._clock.mono_ms()

    # --- reads --------------------------------------------------------------------------------

    async def _poll(self, wire: Wire, group: PolledGroup) -> None:
        device, schedule, sink = group.member, self._schedule, self._sink
        try:
            raw = await self._exchange(wire, device, group.request)
        except Silent as error:
            sink.count("timeouts", device.name)
            schedule.missed(group, self._clock.mono_ms())
            self._health(device, device.condition.silent(), str(error))
        except Garbage as error:
            sink.count("garbage", device.name)
            schedule.missed(group, self._clock.mono_ms())
            self._health(device, device.condition.garbage(), str(error))
        except ExceptionReply as error:
            now_ms = self._clock.mono_ms()
            schedule.refused(group, now_ms)
            group.refused(self._clock.wall_ms(), now_ms, sink)
            self._health(device, device.condition.answered(), str(error))
        else:
            self._answered(group, raw)

    def _answered(self, group: PolledGroup, raw: bytes) -> None:
        now_ms = self._clock.mono_ms()
        self._sink.count("polls")
        group.freshness.heard_ms = now_ms
        if raw != group.raw or group.settles_ms is not None:
            group.take(raw, self._clock.wall_ms(), now_ms, self._sink)
        self._schedule.answered(group, now_ms)
        if group.settles_ms is not None:
            self._schedule.soon(group, group.settles_ms)
        condition = group.member.condition
        if not condition.well:
            self._health(group.member, condition.answered(), "")

    def _health(self, device: BusDevice, changed: bool, detail: str) -> None:
        if not changed:
            return
        condition = device.condition
        if condition.health is Health.SILENT:
            device.lost()
        self._sink.device_health(device.name, condition.health, condition.reason_code, detail)

    # --- writes -------------------------------------------------------------------------------

    async def _write_next(self, wire: Wire) -> None:
        _, _, setpoint, future = heapq.heappop(self._writes)
        outcome = WriteOutcome(WriteResult.UNKNOWN, "the link was lost")
        try:
            outcome = await self._write(wire, setpoint)
        finally:
            if not future.done():
                future.set_result(outcome)

    async def _write(self, wire: Wire, setpoint: Setpoint) -> WriteOutcome:
        now_ms = self._clock.mono_ms()
        match setpoint:
            case Pulse() if now_ms >= setpoint.until_mono_ms:
                return WriteOutcome(WriteResult.REFUSED, "too late")
            case Pulse():
                return await self._send(wire, setpoint, setpoint.length_ms)
            case Lease():
                return await self._lease(wire, setpoint, now_ms)
            case Level():
                return await self._send(wire, setpoint, 0)

    async def _lease(self, wire: Wire, lease: Lease, now_ms: int) -> WriteOutcome:
        if lease.value != OFF and lease.value not in PATTERNS:
            return WriteOutcome(WriteResult.REFUSED, f"no pattern {lease.value!r}")
        if not self._player.play(lease, now_ms):
            return WriteOutcome(WriteResult.SENT, "renewed")
        outcome = await self._give(wire, lease)
        if outcome.result is not WriteResult.SENT:
            self._player.failed(lease)
        return outcome

    async def _give(self, wire: Wire, lease: Lease) -> WriteOutcome:
        pulse_ms = 0 if lease.value == OFF else PATTERNS[str(lease.value)].pulse_ms
        return await self._send(wire, lease, pulse_ms)

    async def _send(self, wire: Wire, setpoint: Setpoint, length_ms: int) -> WriteOutcome:
        device = self._devices[setpoint.ref.device]
        try:
            request = request_of(device, setpoint, length_ms)
            await self._exchange(wire, device, request)
        except MalformedError as error:
            return WriteOutcome(WriteResult.REFUSED, str(error))
        except ExceptionReply as error:
            return WriteOutcome(WriteResult.REFUSED, str(error))
        except (Silent, Garbage) as error:
            self._sink.count("write_failures", device.name)
            return WriteOutcome(WriteResult.UNKNOWN, str(error))
        self._sink.count("writes")
        for group in device.groups:
            self._schedule.soon(group, self._clock.mono_ms())
        return WriteOutcome(WriteResult.SENT)


def request_of(device: BusDevice, setpoint: Setpoint, length_ms: int) -> Request:
    """The frame of a write. A row with `tick_ms` takes a time: the board counts it down itself.

    Raises MalformedError.
    """
    point = setpoint.ref.point
    row, binding = device.rows[point], device.profile.points[point].binding
    if not isinstance(setpoint, Level):
        ticks = max(1, round(length_ms / binding["tick_ms"])) if length_ms else 0
        off = binding.get("off_address")
        if not ticks and off is not None:
            return frames.write_coil(int(off), frames.COIL_OFF)
        return frames.write_coil(row.address, ticks)
    value = not setpoint.value if point in device.invert else setpoint.value
    data = row.encode(value)
    if row.table.bits:
        return frames.write_coil(row.address, frames.COIL_ON if data[0] else frames.COIL_OFF)
    return frames.write_registers(row.address, data)
