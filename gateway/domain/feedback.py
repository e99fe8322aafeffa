"""What a reader may tell the person in front of it."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.reasons import Reason
from gateway.domain.state import Reply, Result


@dataclass(frozen=True, slots=True)
class Feedback:
    """The answer to a presented credential: nothing of the credential, nor whose it is (U5)."""

    result: Result
    reason: Reason
    door: str = ""
    retry_after_s: int = 0

    @classmethod
    def of(cls, reply: Reply) -> "Feedback":
        """What of a reply is for a reader's display, which anybody may see."""
        door, seconds = reply.data.get("door", ""), reply.data.get("retry_after_s", 0)
        return cls(reply.result, reply.reason, door, seconds)


Answer = Callable[[Feedback], None]
