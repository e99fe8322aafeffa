"""What simulated devices look like in Modbus registers.

A relay board follows its manual (Waveshare Modbus RTU/POE ETH Relay): coils 0-7, flash on at
0x0200 + n and flash off at 0x0400 + n with a value of 100 ms steps, inputs 0-7, the device address
in 0x4000 and the software version in 0x8000.
"""

from collections.abc import Callable, Sequence

from gateway.domain.points import PointRef
from gateway.domain.site import Device
from simulators.modbus_wire import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal
from simulators.models.relay import Relay
from simulators.town import Town

FLASH_STEP_MS = 100
FLASH_ON, FLASH_OFF, ALL_RELAYS = 0x0200, 0x0400, 0x00FF
DEVICE_ADDRESS, SOFTWARE_VERSION = 0x4000, 0x8000


class RelayBoardUnit:
    """A relay board with inputs, as its registers show it."""

    def __init__(self, town: Town, device: Device, now_ms: Callable[[], int]) -> None:
        self._town = town
        self._device = device
        self._now_ms = now_ms
        self._inverted = frozenset(device.binding.get("invert", ()))
        self._points = town.site.equipment.profiles[device.profile].points
        self._relays = [town.relays.setdefault((device.id, n), Relay()) for n in range(1, 9)]

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
