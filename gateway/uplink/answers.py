"""What the gateway answers: the reply to what the platform asked, and what it expected instead."""

import json
from typing import Any

from gateway.domain.reasons import Reason, reason
from gateway.domain.state import Reply, Result
from gateway.uplink.messages import Asked, NonsenseError


def replied(asked: Asked, reply: Reply) -> bytes:
    """The engine's reply to what was asked."""
    data = dict(reply.data)
    rejected = data.pop("rejected", [])
    answer = _answer(asked.about, reply.result, reply.reason)
    return _encoded(answer | {"durable": reply.durable, "rejected": rejected, "data": data})


def nonsense(error: NonsenseError) -> bytes:
    """What was expected of a message that made no sense (RULES X2)."""
    why = reason("malformed", why="; ".join(error.expected))
    return _encoded(_answer(error.about, Result.INVALID, why) | {"expected": list(error.expected)})


def _answer(about: dict[str, Any], result: Result, why: Reason) -> dict[str, Any]:
    sentences = {"code": why.code, "zh": why.zh, "en": why.en}
    return {"about": about, "result": result.value, "reason": sentences}


def _encoded(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=str).encode()
