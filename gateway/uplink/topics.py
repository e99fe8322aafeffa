"""The topics of one gateway: `commons/v1/<gateway>/up/…` and `…/down/…`."""

from dataclasses import dataclass

from gateway.uplink.envelope import BATCH_TYPE


@dataclass(frozen=True, slots=True)
class Topics:
    """Where this gateway's messages go, and come from."""

    gateway: str

    @property
    def status(self) -> str:
        """Retained: online with its figures, or offline (the will)."""
        return self._up("status")

    @property
    def journal(self) -> str:
        """Records in order, without gaps."""
        return self._up("journal")

    @property
    def urgent(self) -> str:
        """Records of calls, ahead of the backlog; each comes in its order on `journal` too."""
        return self._up("urgent")

    @property
    def unsaved(self) -> str:
        """Facts that no store holds yet (RULES X1)."""
        return self._up("unsaved")

    @property
    def answer(self) -> str:
        """Replies to what the platform asked."""
        return self._up("answer")

    @property
    def down(self) -> str:
        """Everything from the platform, as a filter."""
        return f"commons/v1/{self.gateway}/down/+"

    def _up(self, name: str) -> str:
        return f"commons/v1/{self.gateway}/up/{name}"


def content_type(topic: str) -> str:
    """What a topic carries."""
    return BATCH_TYPE if topic.endswith(("/journal", "/urgent", "/unsaved")) else "application/json"
