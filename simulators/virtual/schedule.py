"""Virtual time: what happens next is what is due next, and nothing happens in between.

Rules: time is UTC milliseconds as they truly are, whatever a clock on site says. What is planned
for one instant happens in the order in which it was planned, so that a seed lives one life.
"""

import heapq
from collections.abc import Callable

Deed = Callable[[], None]


class Schedule:
    """The clock of a world, and all that is to come in it."""

    __slots__ = ("_heap", "_planned", "happened", "now_ms")

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.happened = 0
        self._heap: list[tuple[int, int, Deed]] = []
        self._planned = 0

    def at(self, at_ms: int, deed: Deed) -> None:
        """It happens then; what is overdue happens next."""
        self._planned += 1
        heapq.heappush(self._heap, (max(at_ms, self.now_ms), self._planned, deed))

    def after(self, wait_ms: int, deed: Deed) -> None:
        """It happens so long from now."""
        self.at(self.now_ms + wait_ms, deed)

    def run(self, until_ms: int) -> None:
        """Let everything happen up to an instant, and be there."""
        heap = self._heap
        while heap and heap[0][0] <= until_ms:
            self.now_ms, _, deed = heapq.heappop(heap)
            self.happened += 1
            deed()
        self.now_ms = max(self.now_ms, until_ms)
