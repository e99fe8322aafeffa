"""What a reader is told of what was presented at it.

Rules:
- Said once, QoS 0, never retained: a message, not a state. No broker keeps it for an absent reader.
- It leaves at once or never: not to a reader known to be away, not over a link that is down or
  takes no more, not when the person may have left. What is dropped is counted.
- Nothing of what was presented goes back, nor anything that was not declared (RULES U5).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from drivers.mqtt.health import DeviceState
from drivers.mqtt.rows import put, split
from drivers.mqtt.session import Outgoing
from gateway.domain.feedback import Answer, Feedback
from gateway.domain.points import Value

LATE_MS = 5_000
_EXACT = 2**53  # a larger number is no time, and another JSON reader would see a different one


class Teller:
    """Tells one reader, on its topic, what its profile declares: name → path."""

    def __init__(
        self,
        state: DeviceState,
        topic: str,
        paths: Mapping[str, str],
        say: Callable[[Outgoing], bool],
    ) -> None:
        """`say` publishes now; False where it cannot leave now."""
        self._state = state
        self._topic = topic
        self._paths = {name: split(path) for name, path in paths.items()}
        self._say = say

    def answer(self, at: Any) -> Answer:
        """Takes the answer to what is presented now; `at` is the reader's own time of it."""
        state = self._state
        since_ms = state.clock.mono_ms()
        known_at = at if type(at) is int and abs(at) < _EXACT else None

        def tell(feedback: Feedback) -> None:
            left_ms = since_ms + LATE_MS - state.clock.mono_ms()
            if left_ms <= 0:
                state.sink.count("feedback_late", state.device)
            elif not (state.reachable and self._say(self._message(feedback, known_at, left_ms))):
                state.sink.count("feedback_dropped", state.device)
            else:
                state.sink.count("feedback", state.device)

        return tell

    def _message(self, feedback: Feedback, at: int | None, left_ms: int) -> Outgoing:
        values: dict[str, Value | None] = {
            "result": feedback.result.value,
            "code": feedback.reason.code,
            "zh": feedback.reason.zh,
            "en": feedback.reason.en,
            "retry_after_s": feedback.retry_after_s,
            "door": feedback.door,
            "at": at,
        }
        body: dict[str, Any] = {}
        for name, path in self._paths.items():
            if values[name] is not None:
                put(body, path, values[name])
        text = json.dumps(body, ensure_ascii=False)
        return Outgoing(self._topic, text, expiry_s=max(1, left_ms // 1000))
