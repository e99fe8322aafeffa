"""Faults on demand: how a device misbehaves on its wire."""

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """What is wrong with one device. All of them at rest: it behaves.

    `delay_ms` beyond the asker's time-out makes every answer a late one. `wrong_unit` answers in
    another unit's name, `short` leaves out the last value, `refuses` is the device's own no.
    """

    silent: bool = False
    delay_ms: int = 0
    garbage: bool = False
    wrong_unit: bool = False
    short: bool = False
    refuses: bool = False
    restarting: bool = False

    @property
    def mute(self) -> bool:
        """It says nothing at all."""
        return self.silent or self.restarting

    def heal(self) -> None:
        """It behaves again, once it has restarted."""
        self.silent = self.garbage = self.wrong_unit = self.short = self.refuses = False
        self.delay_ms = 0
