"""What simulated devices look like in Modbus registers: as their profile's rows say.

What is written to a row goes to the thing behind it, if the profile lets it have that value. A row
that is missing inside a device's range reads as 0, beyond it as an illegal address, and more than
the profile's `max_read` at once is refused, as real devices do.

A relay board follows its manual (Waveshare Modbus RTU/POE ETH Relay): coils 0-7, flash on at
0x0200 + n and flash off at 0x0400 + n with a value of 100 ms steps, inputs 0-7, the device address
in 0x4000 and the software version in 0x8000.
"""

import struct
from collections.abc import Callable, Sequence

from drivers.codec import Row, row_of, written_row
from gateway.domain.points import PointRef, Value
from gateway.domain.profile import SetpointSpec
from gateway.domain.site import Device
from simulators.modbus_wire import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, Refusal, Unit
from simulators.models.relay import Relay
from simulators.town import Town, channel_of

FLASH_STEP_MS = 100
FLASH_ON, FLASH_OFF, ALL_RELAYS = 0x0200, 0x0400, 0x00FF
DEVICE_ADDRESS, SOFTWARE_VERSION = 0x4000, 0x8000


def unit_of(town: Town, device: Device, now_ms: Callable[[], int]) -> Unit:
    """The unit that a device is on its bus."""
    points = town.site.equipment.profiles[device.profile].points
    if any("tick_ms" in spec.binding for spec in points.values()):
        return RelayBoardUnit(town, device, now_ms)
    return RegisterUnit(town, device, now_ms)


class RegisterUnit:
    """A sensor or meter: every row of its profile shows what the thing behind it does."""

    def __init__(self, town: Town, device: Device, now_ms: Callable[[], int]) -> None:
        self._town = town
        self._device = device
        self._now_ms = now_ms
        profile = town.site.equipment.profiles[device.profile]
        columns = {**profile.binding, **device.binding}
        self._inverted = frozenset(columns.get("invert", ()))
        self._read_most = int(columns.get("max_read", 125))
        self._points = profile.points
        self._defaults = profile.binding
        self._rows = [
            row_of(spec, profile.binding)
            for spec in profile.points.values()
            if spec.binding.get("access") != "write"
        ]

    def read_bits(self, table: str, address: int, count: int) -> Sequence[bool]:
        """Coils or inputs."""
        bits = [False] * count
        for row in self._within(table, address, count):
            bits[row.address - address] = bool(self._bytes(row)[0])
        return bits

    def read_words(self, table: str, address: int, count: int) -> Sequence[int]:
        """Registers."""
        image = bytearray(2 * count)
        for row in self._within(table, address, count):
            start = 2 * (row.address - address)
            for index, byte in enumerate(self._bytes(row), start):
                if 0 <= index < len(image):
                    image[index] |= byte  # rows may be bits of one register
        return struct.unpack(f">{count}H", image)

    def write_coil(self, address: int, value: int) -> None:
        """A row that is a coil."""
        if value not in (0xFF00, 0x0000):
            raise Refusal(ILLEGAL_VALUE)
        self._write("coil", address, bytes((value >> 15,)))

    def write_words(self, address: int, words: Sequence[int]) -> None:
        """A whole row of registers, or the switch beside one."""
        for name, spec in self._points.items():
            if spec.binding.get("enable_address") == address:
                if list(words) not in ([0], [1]):
                    raise Refusal(ILLEGAL_VALUE)
                self._town.switches[self._ref(name)](words[0] == 1, self._now_ms())
                return
        self._write("holding", address, struct.pack(f">{len(words)}H", *words))

    def _write(self, table: str, address: int, data: bytes) -> None:
        self._town.hear(self._device.id, self._now_ms())
        written = {
            name: written_row(spec, self._defaults)
            for name, spec in self._points.items()
            if spec.setpoint is not None
        }
        if not any(row.table == table for row in written.values()):
            raise Refusal(ILLEGAL_FUNCTION)
        for name, row in written.items():
            size = 1 if row.table.bits else 2 * row.count
            if (row.table, row.address, size) == (table, address, len(data)):
                value = self._meant(row).decoder(address)(data)
                self._take(name, value)
                return
        raise Refusal(ILLEGAL_ADDRESS)

    def _take(self, name: str, value: Value | None) -> None:
        setpoint = self._points[name].setpoint
        assert setpoint is not None
        if value is None or not _allowed(value, setpoint):
            raise Refusal(ILLEGAL_VALUE)
        self._town.write(self._ref(name), value, self._now_ms())

    def _meant(self, row: Row) -> Row:
        """What a row means by the value of the row it hangs on."""
        return row if row.by is None else row.variants[self._shown(row.by)]

    def _shown(self, name: str) -> Value:
        return self._town.value(self._ref(name), self._now_ms())

    def _ref(self, name: str) -> PointRef:
        return PointRef(self._device.id, name)

    def _within(self, table: str, address: int, count: int) -> list[Row]:
        self._town.hear(self._device.id, self._now_ms())
        rows = [row for row in self._rows if row.table == table]
        if not rows:
            raise Refusal(ILLEGAL_FUNCTION)
        if count > self._read_most:
            raise Refusal(ILLEGAL_VALUE)
        ends = max(row.address + row.count for row in rows)
        if address < min(row.address for row in rows) or address + count > ends:
            raise Refusal(ILLEGAL_ADDRESS)
        return [
            row
            for row in rows
            if row.address < address + count and address < row.address + row.count
        ]

    def _bytes(self, row: Row) -> bytes:
        value = self._shown(row.name)
        if isinstance(value, bool) and row.name in self._inverted:
            value = not value
        return self._meant(row).encode(value)


def _allowed(value: Value, setpoint: SetpointSpec) -> bool:
    if value in setpoint.values:
        return True
    if isinstance(value, bool | str) or setpoint.minimum is None:
        return not setpoint.values
    return setpoint.minimum <= value <= (setpoint.maximum or value)


class RelayBoardUnit:
    """A relay board with inputs, as its registers show it."""

    def __init__(self, town: Town, device: Device, now_ms: Callable[[], int]) -> None:
        self._town = town
        self._device = device
        self._now_ms = now_ms
        self._inverted = frozenset(device.binding.get("invert", ()))
        self._points = town.site.equipment.profiles[device.profile].points
        refs = [PointRef(device.id, point) for point in self._points]
        last = max((channel_of(ref) or 0 for ref in refs), default=0)
        numbers = range(1, last + 1)
        self._relays = [town.relays.setdefault((device.id, n), Relay()) for n in numbers]

    def read_bits(self, table: str, address: int, count: int) -> Sequence[bool]:
        """Relays, or inputs as they are wired."""
        if address + count > len(self._relays):
            raise Refusal(ILLEGAL_ADDRESS)
        wanted = range(address, address + count)
        if table == "coil":
            now_ms = self._now_ms()
            return [self._relays[index].on(now_ms) for index in wanted]
        return [self._input(f"input_{index + 1}") for index in wanted]

    def read_words(self, table: str, address: int, count: int) -> Sequence[int]:
        """Its address and version."""
        known = {DEVICE_ADDRESS: int(self._device.binding.get("unit", 1)), SOFTWARE_VERSION: 200}
        if table != "holding" or count != 1 or address not in known:
            raise Refusal(ILLEGAL_ADDRESS)
        return [known[address]]

    def write_coil(self, address: int, value: int) -> None:
        """A level, or a flash that the board times by itself."""
        now_ms = self._now_ms()
        if address in {ALL_RELAYS, *range(len(self._relays))}:
            if value not in (0xFF00, 0x0000):
                raise Refusal(ILLEGAL_VALUE)
            wanted = self._relays if address == ALL_RELAYS else [self._relays[address]]
            for relay in wanted:
                relay.write(value == 0xFF00, now_ms)
            return
        for base, on in ((FLASH_ON, True), (FLASH_OFF, False)):
            if base <= address < base + len(self._relays):
                self._relays[address - base].flash(on, value * FLASH_STEP_MS, now_ms)
                return
        raise Refusal(ILLEGAL_ADDRESS)

    def write_words(self, address: int, words: Sequence[int]) -> None:
        """Nothing to write: the simulated board keeps its address."""
        del address, words
        raise Refusal(ILLEGAL_ADDRESS)

    def _input(self, point: str) -> bool:
        if point not in self._points:
            return False
        closed = bool(self._town.value(PointRef(self._device.id, point), self._now_ms()))
        return closed is not (point in self._inverted)
