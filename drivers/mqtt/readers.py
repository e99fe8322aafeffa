"""Where credentials come in: digested here, before an event exists (RULES U5).

Rules:
- A credential is taken only from a live message. One that a broker stored, sends again or retains,
  or that is older than 10 s, opens no door to an empty corridor.
- A reader has an allowance far above what people do (see `happenings`); what is over it is dropped
  and counted, so that neither tries nor answers to them can pile up.
"""

from collections.abc import Callable
from typing import Any

from drivers.mqtt.feedback import Teller
from drivers.mqtt.happenings import Allowance
from drivers.mqtt.health import DeviceState
from drivers.mqtt.routes import Message, Settle, decode_object
from drivers.mqtt.rows import MISSING, dig, split
from gateway.domain.errors import MalformedError
from gateway.domain.events import CredentialPresented
from gateway.domain.feedback import Feedback
from gateway.domain.points import PointRef
from gateway.domain.profile import PointSpec
from gateway.domain.reasons import reason
from gateway.domain.state import Result
from gateway.domain.subjects import Presented
from gateway.ports import Credentials

CREDENTIAL_AGE_MS = 10_000
TEXT_MAX = 4_096  # a signed pass; a PIN or card is far shorter
_STALE = Feedback(Result.EXPIRED, reason("credential_stale"))


class CredentialRoute:
    """One reader's topic."""

    def __init__(
        self,
        state: DeviceState,
        spec: PointSpec,
        credentials: Credentials,
        stalled: Callable[[], bool],
        teller: Teller | None = None,
    ) -> None:
        """`stalled` says that messages now read may have waited for us longer than that.

        `teller` answers the reader, where its profile declares how.
        """
        self._state = state
        self._ref = PointRef(state.device, spec.name)
        self._credentials = credentials
        self._stalled = stalled
        self._teller = teller
        self._allowance = Allowance(state)
        self._paths = {
            column: split(spec.binding[column])
            for column in ("pin", "card", "pass", "identifier", "outlet", "at")
            if column in spec.binding
        }

    def take(self, message: Message, settle: Settle | None) -> bool:  # noqa: ARG002 (a Route)
        """One presented credential."""
        state = self._state
        state.sink.count("messages", state.device)
        if message.retain or message.dup:
            state.sink.count("credentials_stale", state.device)
            return False
        try:
            body = decode_object(message.payload)
            if not self._allowance.spend():
                return False
            presented = self._presented(body)
            outlet = self._text(body, "outlet")
        except (ValueError, RecursionError, MalformedError):
            state.garbage()
            return False
        state.heard(state.clock.mono_ms(), retained=False)
        at = dig(body, self._paths.get("at", ()))
        answer = self._teller.answer(at) if self._teller else None
        stalled = self._stalled()
        if stalled or self._old(at):
            state.sink.count("credentials_stale", state.device)
            if answer is not None and not stalled:
                answer(_STALE)  # more likely the reader's clock than the person is late
            return False
        state.sink.presented(CredentialPresented(self._ref, presented, facility=outlet), answer)
        return False

    def _presented(self, body: dict[str, Any]) -> Presented:
        pin, card, token = (self._text(body, column) for column in ("pin", "card", "pass"))
        if pin:
            return self._credentials.pin(pin, self._text(body, "identifier") or None)
        if card:
            return self._credentials.card(card)
        if token:
            return self._credentials.signed_pass(token)
        raise MalformedError("nothing was presented")

    def _text(self, body: dict[str, Any], column: str) -> str:
        """The text at a column's path; "" if there is none. Raises MalformedError."""
        if column not in self._paths:
            return ""
        raw = dig(body, self._paths[column])
        if raw is MISSING or raw is None:
            return ""
        if isinstance(raw, int) and not isinstance(raw, bool):
            raw = str(raw)
        if not isinstance(raw, str) or len(raw) > TEXT_MAX:
            raise MalformedError(f"{column}: expected text")
        return raw

    def _old(self, at: Any) -> bool:
        """The reader says when, and that was too long ago by a clock we trust."""
        if isinstance(at, bool) or not isinstance(at, int | float):
            return False
        now = self._state.clock.now()
        return now.trusted and now.wall_ms - at > CREDENTIAL_AGE_MS
