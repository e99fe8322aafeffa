"""One Modbus link: polls by schedule, writes ahead of reads, and opens what was lost, for ever.

Rules:
- One request is in flight. Urgent writes go first, then other writes (after eight in a row a read
  that is due), then what leases play, then reads by their deadlines.
- A write waits at most until its pulse's or lease's `until`, a level 1 s; what did not reach the
  wire by then is refused: nothing has happened.
- A device that does not answer is parked (`schedule`). A pulse is sent to it all the same, for a
  person waits at the door; an urgent write once a second; anything else is refused meanwhile.
- A link on which nothing at all was answered is opened afresh, first after 5 s, then more rarely;
  one on which any unit answers never is.
"""

import asyncio
from random import Random

from drivers.modbus import frames
from drivers.modbus.bus import (
    SAFETY_RETRY_MAX_MS,
    BusDevice,
    PolledGroup,
    PolledPoint,
    bus_devices,
)
from drivers.modbus.frames import BrokenStream, ExceptionReply, LinkLost, Request, Silent, Unsent
from drivers.modbus.link import comm_params, line_of
from drivers.modbus.player import OFF, Played, Player, pattern, rewriting
from drivers.modbus.schedule import Backoff, Group, Schedule
from drivers.modbus.wire import TRANSACTIONS, Wire, transactions
from drivers.modbus.writes import (
    Job,
    Queue,
    Spent,
    check_value,
    off_request,
    pulse_request,
    refusal,
    value_requests,
)
from gateway.domain.errors import DeviceError, MalformedError
from gateway.domain.faults import Health
from gateway.domain.points import (
    Lease,
    Level,
    PointRef,
    Pulse,
    Setpoint,
    Value,
    WriteOutcome,
    WriteResult,
)
from gateway.domain.reasons import reason
from gateway.ports import LinkSetup

LEVEL_WAITS_MS = 1_000
WRITES_IN_A_ROW = 8
URGENT_EVERY_MS = 1_000
MUTE_MS, MUTE_MAX_MS = 5_000, 60_000
RECONNECT_MAX_MS = 10_000


class Mute(LinkLost):
    """Nothing was answered for so long that the connection is tried afresh."""


class ModbusDriver:
    """The `Driver` of one link."""

    def __init__(self, setup: LinkSetup, random: Random) -> None:
        self._setup = setup
        self._sink = setup.sink
        self._clock = setup.clock
        self._devices = {device.name: device for device in bus_devices(setup)}
        self._backoff = Backoff(random)
        self._transactions = transactions(random.randrange(1, TRANSACTIONS))
        self._schedule = Schedule(self._devices.values(), self._backoff)
        self._player = Player()
        self._queue = Queue()
        self._spent = Spent()
        self._row = 0  # writes in a row
        self._wake = asyncio.Event()
        self._health = Health.UNKNOWN
        self._failures = 0  # connections in a row on which nothing was answered
        self._heard_ms = 0
        self._mute_ms = MUTE_MS
        self._gapped = any(device.gap_ms for device in self._devices.values())
        self._last: tuple[int, int] = (0, 0)  # when the last frame ended, and its device's gap

    async def run(self) -> None:
        """Serve the link until cancelled, reconnecting for ever."""
        fresh = True
        while True:
            try:
                await self._serve_connection(fresh)
            except Mute:
                fresh = False
            except LinkLost as error:
                fresh = True
                self._link(Health.SILENT, str(error))
            self._failures += 1
            await asyncio.sleep(self._backoff.wait_ms(self._failures, self._retry_max_ms) / 1_000)
            self._sink.count("reconnects")

    async def write(self, setpoint: Setpoint, *, urgent: bool = False) -> WriteOutcome:
        """Write one setpoint, ahead of reads."""
        now_ms = self._clock.mono_ms()
        if early := self._without_wire(setpoint):
            return early
        until_ms = now_ms + LEVEL_WAITS_MS
        if isinstance(setpoint, Pulse):
            until_ms = setpoint.until_mono_ms
        job = Job(setpoint, urgent, until_ms)
        self._queue.put(job)
        self._wake.set()
        timer = asyncio.get_running_loop().call_later(
            max(0, until_ms - now_ms) / 1_000, self._expire, job
        )
        try:
            return await job.outcome
        finally:
            timer.cancel()

    def _without_wire(self, setpoint: Setpoint) -> WriteOutcome | None:
        """The outcome of a write that needs no wire, or may not have one."""
        ref = setpoint.ref
        device = self._devices.get(ref.device)
        spec = device.profile.points.get(ref.point) if device else None
        if spec is None or spec.setpoint is None:
            return WriteOutcome(WriteResult.REFUSED, f"{ref} cannot be written")
        if isinstance(setpoint, Pulse):
            if setpoint.boot != self._clock.now().boot:
                return WriteOutcome(WriteResult.REFUSED, "of another boot")
            if written := self._spent.of(setpoint.token):
                return written
            if self._clock.mono_ms() >= setpoint.until_mono_ms:
                return WriteOutcome(WriteResult.REFUSED, "too late")
        if isinstance(setpoint, Lease):
            drifted = device is not None and device.disagrees(ref.point, setpoint.value)
            if self._player.renewed(setpoint) and not drifted:
                return WriteOutcome(WriteResult.SENT, "renewed")
            self._player.stop(ref)
        return None

    def _expire(self, job: Job) -> None:
        if not job.started:
            why = "too late" if self._health is Health.ONLINE else "not connected"
            job.end(WriteResult.REFUSED, why)

    # --- a connection ---------------------------------------------------------------------------

    @property
    def _retry_max_ms(self) -> int:
        caps = [device.cap_ms for device in self._devices.values()]
        return min([*caps, RECONNECT_MAX_MS])

    async def _serve_connection(self, fresh: bool) -> None:
        """Serve one connection. Raises LinkLost when it ends."""
        link = self._setup.link
        wire = Wire(comm_params(link), line_of(link), self._wake.set, self._transactions)
        try:
            await wire.open()
            self._link(Health.ONLINE, "")
            now_ms = self._heard_ms = self._clock.mono_ms()
            if fresh:
                self._schedule.start(now_ms)
            while not wire.is_lost:
                await self._turn(wire)
            raise LinkLost(wire.why)
        except LinkLost:
            for device in self._devices.values():
                device.lost()
            raise
        finally:
            wire.close()

    def _link(self, health: Health, detail: str) -> None:
        if health is not self._health:
            self._health = health
            self._sink.link_health(health, detail)

    async def _turn(self, wire: Wire) -> None:
        """One request, or a wait until there is one."""
        now_ms = self._clock.mono_ms()
        group: Group | None = None
        if self._queue or self._player:
            if self._row >= WRITES_IN_A_ROW:
                group = self._schedule.next(now_ms)
            if group is None and await self._write_one(wire, now_ms):
                self._row += 1
                return
        self._row = 0
        group = group or self._schedule.next(now_ms)
        if group is None:
            await self._idle(now_ms)
        else:
            assert isinstance(group, PolledGroup)
            await self._poll(wire, group)

    async def _write_one(self, wire: Wire, now_ms: int) -> bool:
        """Write what is first in line; False if nothing is."""
        if job := self._queue.take():
            await self._work(wire, job)
            return True
        if played := self._player.next(now_ms, self._parked):
            await self._beat(wire, played)
            return True
        return False

    @property
    def _parked(self) -> frozenset[str]:
        return frozenset(device.name for device in self._devices.values() if device.parked)

    async def _idle(self, now_ms: int) -> None:
        self._wake.clear()
        due = [self._schedule.due_ms()]
        if self._player:
            due.append(self._player.due_ms(self._parked))
        wait_ms = min((ms for ms in due if ms is not None), default=now_ms + 1_000) - now_ms
        if self._queue or wait_ms <= 0:
            return
        timer = asyncio.get_running_loop().call_later(wait_ms / 1_000, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _exchange(self, wire: Wire, device: BusDevice, request: Request) -> bytes:
        """One request on a link where some device needs quiet between frames."""
        ended_ms, gap_ms = self._last
        wait_ms = ended_ms + max(gap_ms, device.gap_ms) - self._clock.mono_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1_000)
        try:
            return await wire.exchange(device.unit, request, device.timeout_s)
        finally:
            self._last = (self._clock.mono_ms(), device.gap_ms)

    # --- reads ----------------------------------------------------------------------------------

    async def _poll(self, wire: Wire, group: PolledGroup) -> None:
        device = group.member
        try:
            if self._gapped:
                raw = await self._exchange(wire, device, group.request)
            else:
                raw = await wire.exchange(device.unit, group.request, device.timeout_s)
        except ExceptionReply as reply:
            self._refused(group, reply)
        except DeviceError as error:
            self._failed(device, group, error)
        else:
            self._answered(group, raw)

    def _answered(self, group: PolledGroup, raw: bytes) -> None:
        now_ms = self._clock.mono_ms()
        device, sink = group.member, self._sink
        sink.count("polls", device.name)
        group.freshness.heard_ms = self._heard_ms = now_ms
        was_away = device.parked or self._failures > 0
        self._schedule.answered(group, now_ms)
        if raw != group.raw or group.settles_ms is not None:
            group.take(raw, self._clock.wall_ms(), now_ms, sink)
            if group.settles_ms is not None:
                self._schedule.soon(group, group.settles_ms)
            for point in group.kept:
                if point.told is not None and point.told != point.keep:
                    self._restore(point, now_ms)
        if was_away or not device.condition.well:
            self._well(device, now_ms, was_away)

    def _restore(self, point: PolledPoint, now_ms: int) -> None:
        """A setting is not as it must be: after a restart, say."""
        assert point.keep is not None
        level = Level(point.ref, point.keep, True, reason("ok"))
        self._queue.put(Job(level, False, now_ms + LEVEL_WAITS_MS))

    def _well(self, device: BusDevice, now_ms: int, was_away: bool, detail: str = "") -> None:
        """The device answered something."""
        self._heard_ms = now_ms
        self._failures, self._mute_ms = 0, MUTE_MS
        if was_away:
            self._player.resume(device.name, now_ms)
        if device.condition.answered():
            self._tell(device, detail)

    def _refused(self, group: PolledGroup, reply: ExceptionReply) -> None:
        device, now_ms = group.member, self._clock.mono_ms()
        if reply.code in frames.UNIT_SILENT:
            self._heard_ms = now_ms  # the gateway before it lives
            self._failed(device, group, Silent(str(reply)))
            return
        self._sink.count("refused", device.name)
        was_away = device.parked
        self._schedule.refused(group, now_ms)
        group.refused(self._clock.wall_ms(), now_ms, self._sink)
        self._well(device, now_ms, was_away, str(reply))

    def _failed(self, device: BusDevice, group: PolledGroup | None, error: DeviceError) -> None:
        """A request brought no answer. Raises LinkLost when the link itself is to blame."""
        now_ms = self._clock.mono_ms()
        if isinstance(error, LinkLost) and not isinstance(error, BrokenStream):
            raise error
        silent = isinstance(error, Silent)
        self._sink.count("timeouts" if silent else "garbage", device.name)
        plays = self._player and self._player.plays(device.name)
        cap_ms = min(device.cap_ms, SAFETY_RETRY_MAX_MS) if plays else device.cap_ms
        self._schedule.missed(device, group, now_ms, cap_ms)
        if device.condition.silent() if silent else device.condition.garbage():
            self._tell(device, str(error))
        if isinstance(error, LinkLost):
            raise error
        if not silent:
            self._heard_ms = now_ms  # somebody is there
        elif now_ms - self._heard_ms > self._mute_ms:
            self._mute_ms = min(2 * self._mute_ms, MUTE_MAX_MS)
            raise Mute("nothing answers")

    def _tell(self, device: BusDevice, detail: str) -> None:
        condition = device.condition
        if condition.health is Health.SILENT:
            device.lost()
        self._sink.device_health(device.name, condition.health, condition.reason_code, detail)

    # --- writes ---------------------------------------------------------------------------------

    async def _work(self, wire: Wire, job: Job) -> None:
        """Do one write and answer whoever waits for it."""
        setpoint, now_ms = job.setpoint, self._clock.mono_ms()
        device = self._devices[setpoint.ref.device]
        if early := self._without_wire(setpoint):
            job.end(early.result, early.detail)
            return
        if device.parked and not self._may_disturb(device, job, now_ms):
            job.end(WriteResult.REFUSED, "the device is silent; nothing was sent")
            return
        job.started = True
        outcome = WriteOutcome(WriteResult.UNKNOWN, "the link was lost")
        try:
            match setpoint:
                case Pulse():
                    request = pulse_request(device, setpoint.ref, setpoint.length_ms)
                    outcome = await self._send(wire, device, request)
                case Level():
                    check_value(device, setpoint)
                    outcome = await self._set(wire, device, setpoint.ref, setpoint.value)
                case Lease():
                    outcome = await self._lease(wire, device, setpoint)
        except MalformedError as error:
            outcome = WriteOutcome(WriteResult.REFUSED, str(error))
        except Unsent as error:
            outcome = WriteOutcome(WriteResult.REFUSED, str(error))
            raise
        finally:
            if isinstance(setpoint, Pulse):
                self._spent.note(setpoint.token, outcome)
            job.end(outcome.result, outcome.detail)

    def _may_disturb(self, device: BusDevice, job: Job, now_ms: int) -> bool:
        """A silent device may be tried for a person, and once a second for what is urgent."""
        if isinstance(job.setpoint, Pulse):
            return True
        return job.urgent and now_ms - device.tried_ms >= URGENT_EVERY_MS

    async def _set(
        self, wire: Wire, device: BusDevice, ref: PointRef, value: Value
    ) -> WriteOutcome:
        """Write a value, and have its next reading now: the truth comes from that."""
        outcome = WriteOutcome(WriteResult.SENT)
        for request in value_requests(device, ref, value):
            outcome = await self._send(wire, device, request)
            if outcome.result is not WriteResult.SENT:
                break
        for group in device.groups:
            if any(point.ref == ref for point in group.points):
                self._schedule.soon(group, self._clock.mono_ms())
        return outcome

    async def _send(self, wire: Wire, device: BusDevice, request: Request) -> WriteOutcome:
        """Send one write, once; never raises for what the device does."""
        device.tried_ms = self._clock.mono_ms()
        try:
            await self._exchange(wire, device, request)
        except ExceptionReply as reply:
            if reply.code not in frames.UNIT_SILENT:
                self._alive(device)
            return refusal(reply)
        except DeviceError as error:
            self._failed(device, None, error)
            return WriteOutcome(WriteResult.UNKNOWN, str(error))
        self._sink.count("writes", device.name)
        self._alive(device)
        return WriteOutcome(WriteResult.SENT)

    def _alive(self, device: BusDevice) -> None:
        now_ms = self._clock.mono_ms()
        was_away = device.parked
        if was_away:
            self._schedule.back(device, now_ms)
        self._well(device, now_ms, was_away)

    async def _lease(self, wire: Wire, device: BusDevice, lease: Lease) -> WriteOutcome:
        now_ms = self._clock.mono_ms()
        spec = device.profile.points[lease.ref.point]
        timed = "tick_ms" in spec.binding
        if timed and lease.value == OFF:
            return await self._send(wire, device, off_request(device, lease.ref))
        length_ms = spec.setpoint.length_ms if spec.setpoint else None
        beat = pattern(lease.value, length_ms) if timed else rewriting(length_ms or 0)
        if beat is None:
            raise MalformedError(f"{lease.ref}: there is no pattern {lease.value!r}")
        if not timed:
            check_value(device, lease)
        outcome = await self._play(wire, device, self._player.start(lease, beat, now_ms))
        if outcome.result is not WriteResult.SENT:
            self._player.stop(lease.ref)  # the next renewal tries again
        return outcome

    async def _beat(self, wire: Wire, played: Played) -> None:
        device = self._devices[played.lease.ref.device]
        try:
            outcome = await self._play(wire, device, played)
        except MalformedError:
            return  # its lease ends within a tick
        if outcome.result is WriteResult.REFUSED:
            self._player.stop(played.lease.ref)

    async def _play(self, wire: Wire, device: BusDevice, played: Played) -> WriteOutcome:
        ref = played.lease.ref
        if not played.beat.pulse_ms:
            return await self._set(wire, device, ref, played.lease.value)
        length_ms = played.pulse_ms(self._clock.mono_ms())
        return await self._send(wire, device, pulse_request(device, ref, length_ms))
