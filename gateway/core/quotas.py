"""What is left to a subject: held when a use begins, counted when it ends (RULES B3, C1).

    free = what the platform said was left + what it had booked as used     (its word)
           − what was used here − what running uses hold                    (ours)

- `used` is one odometer a quota, which only grows: the record that ends a use says what it took and
  where the odometer stands then, and a newer word of the platform says where it stood. So however
  far its word is behind, what was used since still counts, and nothing counts twice. Whoever has
  seen more of it is right: an emptied or restored gateway goes on from the platform's.
- A use holds a slice at a time, more as it goes on, and gives back what it did not take. What is
  held never passes what is left: where it would, the newest uses hold less.
- Several quotas that name a facility all count. One whose window is over starts nothing more; a use
  that began in time goes on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gateway.core.draft import Draft
from gateway.core.layout import layout
from gateway.domain.events import QuotaItem
from gateway.domain.now import HOUR_MS, MINUTE_MS
from gateway.domain.quotas import Counted, Hold, Quota
from gateway.domain.reasons import Reason, reason
from gateway.domain.site import Facility

_UNIT = {Counted.ENERGY: "wh", Counted.TIME: "ms"}


@dataclass(frozen=True, slots=True)
class Most:
    """How much a use may take: `asked` is held at once, `limit` is its own end; 0 for none."""

    counts: Counted
    asked: int = 0
    limit: int = 0


# --- the platform's word --------------------------------------------------------------------------


def put(draft: Draft, item: QuotaItem) -> None:
    """A quota is now so; what was used and is held here stays."""
    old = draft.get(Quota, item.id)
    same = old is not None and (old.subject, old.terms.counts) == (
        item.terms.subject,
        item.terms.counts,
    )
    if old is not None and not same:
        remove(draft, item.id)
    used = old.used if old is not None and same else 0
    draft.put(Quota(item.id, item.terms, max(used, item.terms.used)))
    _fit(draft, item.id)


def remove(draft: Draft, id_: str) -> None:
    """A quota is no more: what it stood for is free."""
    draft.drop(Quota, id_)
    for held in draft.where(Hold, "quota", id_):
        draft.drop(Hold, held.id)


# --- before a use ---------------------------------------------------------------------------------


def refusal(
    draft: Draft, subject: str, facility: Facility, wanted: Iterable[Most]
) -> Reason | None:
    """Why a use that wants so much may not begin."""
    for most in wanted:
        found = _of(draft, subject, facility, most.counts)
        running = [quota for quota in found if _runs(draft, quota)]
        if found and not running:
            return _out_of_time(draft, found)
        for quota in running:
            why = _shortage(draft, quota, most)
            if why is not None:
                return why
    return None


def hold(
    draft: Draft, use: str, subject: str, facility: Facility, wanted: Iterable[Most]
) -> list[dict[str, Any]] | None:
    """A use begins: it holds what was asked for, else a slice, of each quota that counts it."""
    told = []
    for most in wanted:
        amount = most.asked or capped(_slice(draft, most.counts), most.limit)
        for quota in _of(draft, subject, facility, most.counts):
            if _runs(draft, quota):
                held = min(amount, max(0, free(draft, quota)))
                id_ = f"{use}:{quota.id}"
                draft.put(Hold(id_, quota.id, use, held, since_ms=draft.now.wall_ms))
                told.append({"quota": quota.id, f"held_{_UNIT[most.counts]}": held})
    return told or None


def capped(amount: int, limit: int) -> int:
    """An amount within a limit; 0 is no limit."""
    return min(amount, limit) if limit else amount


# --- while it goes on -----------------------------------------------------------------------------


def used_up(draft: Draft, use: str, counts: Counted, taken: int, limit: int = 0) -> bool:
    """Hold more for a use as it goes on; True once it has taken all that there was for it."""
    slice_ = _slice(draft, counts)
    wanted = capped(taken + slice_, limit)
    over = False
    for held, quota in _held(draft, use, counts):
        amount = held.amount
        if amount - taken < slice_ // 2 and wanted > amount:
            amount += min(wanted - amount, max(0, free(draft, quota)))
            draft.put(replace(held, amount=amount))
        over = over or (taken >= amount and not (limit and amount >= limit))
    return over


def due_in_ms(draft: Draft, use: str, lasted_ms: int) -> int | None:
    """How long until `used_up` is worth asking for its time."""
    waits = []
    for held, _ in _held(draft, use, Counted.TIME):
        more_ms = held.amount - _slice(draft, Counted.TIME) // 2 - lasted_ms
        waits.append(more_ms if more_ms > 0 else held.amount - lasted_ms)
    return min(waits, default=None)


# --- and after it ---------------------------------------------------------------------------------


def settle(
    draft: Draft, use: str, taken: Mapping[Counted, int], *, over: bool = True
) -> list[dict[str, Any]] | None:
    """What a use took goes on the odometers, the rest is given back; what its record says of it.

    Not `over`: a last figure is still to come, and `settle` again then.
    """
    told = []
    for held in draft.where(Hold, "use", use):
        quota = draft.get(Quota, held.quota)
        assert quota is not None, "a hold goes with its quota"
        counts = quota.terms.counts
        amount = max(held.counted, taken.get(counts, 0))
        quota = replace(quota, used=quota.used + amount - held.counted)
        draft.put(quota)
        if over:
            draft.drop(Hold, held.id)
        else:
            draft.put(replace(held, amount=amount, counted=amount))
        _fit(draft, quota.id)
        unit = _UNIT[counts]
        told.append({"quota": quota.id, f"spent_{unit}": amount, f"used_{unit}": quota.used})
    return told or None


def free(draft: Draft, quota: Quota) -> int:
    """What a use that begins now could take."""
    return quota.left - sum(held.open for held in draft.where(Hold, "quota", quota.id))


# --- inside ---------------------------------------------------------------------------------------


def _of(draft: Draft, subject: str, facility: Facility, counts: Counted) -> list[Quota]:
    """The subject's quotas that count such a use of the facility."""
    names = {"*", facility.id, *facility.doors, *layout(draft.site).above[facility.place]}
    found = draft.where(Quota, "subject", subject)
    return sorted(
        (q for q in found if q.terms.counts is counts and names.intersection(q.terms.targets)),
        key=lambda quota: quota.id,
    )


def _shortage(draft: Draft, quota: Quota, most: Most) -> Reason | None:
    """Why there is not enough of a quota."""
    counts, left = most.counts, free(draft, quota)
    least = most.asked or _least(draft, counts)
    if left >= least:
        return None
    if most.asked:
        return reason("beyond_quota", asked=_text(counts, most.asked), left=_text(counts, left))
    code = "quota_held" if quota.left >= least else "quota_used_up"
    return reason(code, left=_text(counts, left))


def _runs(draft: Draft, quota: Quota) -> bool:
    """Nothing begins or expires on a clock that nobody trusts (DESIGN §6)."""
    return not draft.now.trusted or quota.terms.covers(draft.now.wall_ms)


def _out_of_time(draft: Draft, quotas: list[Quota]) -> Reason:
    wall = draft.now.wall_ms
    coming = [q.terms.from_ms for q in quotas if q.terms.from_ms and q.terms.from_ms > wall]
    if coming:
        return reason("quota_begins", start=draft.local_time(min(coming)))
    ended = max(q.terms.until_ms or 0 for q in quotas)
    return reason("quota_over", end=draft.local_time(ended))


def _held(draft: Draft, use: str, counts: Counted) -> list[tuple[Hold, Quota]]:
    found = ((held, draft.get(Quota, held.quota)) for held in draft.where(Hold, "use", use))
    return [(held, q) for held, q in found if q is not None and q.terms.counts is counts]


def _fit(draft: Draft, id_: str) -> None:
    """What is held never passes what is left: the newest uses give way."""
    quota = draft.get(Quota, id_)
    assert quota is not None
    room = max(0, quota.left)
    for held in sorted(draft.where(Hold, "quota", id_), key=lambda held: (held.since_ms, held.id)):
        if held.open > room:
            draft.put(replace(held, amount=held.counted + room))
        room -= min(held.open, room)


def _least(draft: Draft, counts: Counted) -> int:
    settings = draft.site.settings.quota
    return settings.least_wh if counts is Counted.ENERGY else settings.least_ms


def _slice(draft: Draft, counts: Counted) -> int:
    settings = draft.site.settings.quota
    return settings.slice_wh if counts is Counted.ENERGY else settings.slice_ms


def _text(counts: Counted, amount: int) -> str:
    amount = max(0, amount)
    if counts is Counted.ENERGY:
        return f"{amount // 100 / 10:.1f} kWh"
    hours, minutes = amount // HOUR_MS, amount % HOUR_MS // MINUTE_MS
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
