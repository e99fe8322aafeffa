"""What people are told of a call, as data and in sentences."""

from typing import Any

from gateway.domain.calls import Call
from gateway.domain.reasons import reason
from gateway.domain.site import Name, Site


def body(site: Site, call: Call, step: int, at_ms: int) -> dict[str, Any]:
    """A call as one step tells it; a test is marked so in every language (RULES E7)."""
    place = site.places.get(call.place)
    name = place.name if place is not None else Name(call.place, call.place)
    code = "call_test" if call.test else "call_raised"
    return {
        "gateway": site.id,
        "call": call.id,
        "call_point": call.call_point or None,
        "place": call.place,
        "place_name": {"zh": name.zh, "en": name.en},
        "state": call.state.value,
        "step": step,
        "raises": call.climb.raises,
        "presses": call.presses.count,
        "first_ms": call.presses.first_ms,
        "last_ms": call.presses.last_ms,
        "at_ms": at_ms,
        "test": call.test,
        "person_says_fine": call.climb.fine,
        "text": {"zh": reason(code, place=name.zh).zh, "en": reason(code, place=name.en).en},
    }
