"""What a circuit carries beside our outlets, as far as it may be believed (RULES C4).

Meter and chargers are read one after another. So for a moment their difference holds what a car
began to draw, or ceased to: the first would be granted to others twice, the second would switch
them off. A change is believed once it has lasted for two rounds of polls, and no more of it than
was there all the time. A meter that rises above what a phase may carry is believed at once.
"""

from dataclasses import replace
from typing import NamedTuple

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.domain.charging import CircuitLoad
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.power import Circuit, PerPhase
from gateway.domain.profile import PollClass

SLACK_MS = SECOND_MS


def believed(draft: Draft, circuit: Circuit, ours: PerPhase) -> PerPhase:
    """As metered, less what our outlets are seen to draw; as declared while no meter says."""
    known = draft.get(CircuitLoad, circuit.id)
    found = [outlets.number(draft, ref) for ref in circuit.meter]
    metered = [round(one) for one in found if one is not None]
    if not metered or len(metered) < len(found):
        if known is not None and known.read:
            draft.put(replace(known, read=False))
        return circuit.other_ma
    flows = _phases(*metered)
    apart = _phases(*(max(0, all_ - its) for all_, its in zip(flows, ours, strict=True)))
    if known is not None and (flows, apart, apart, True) == (
        known.metered_ma,
        known.beside_ma,
        known.toward_ma,
        known.read,
    ):
        return apart
    if known is None:
        began = (Elapsed.started(draft.now),) * 3
        known = CircuitLoad(circuit.id, circuit.other_ma, circuit.other_ma, began)
    followed = []
    for phase, (flow, difference) in enumerate(zip(flows, apart, strict=True)):
        before = _Phase(known.beside_ma[phase], known.toward_ma[phase], known.since[phase])
        over = flow > max(circuit.limit_ma[phase], known.metered_ma[phase])
        followed.append(_followed(draft, before, difference, at_once=over))
    now, toward, since = zip(*followed, strict=True)
    draft.put(CircuitLoad(circuit.id, _phases(*now), _phases(*toward), since, flows))
    return _phases(*now)


def due_in_ms(draft: Draft, load: CircuitLoad) -> int | None:
    """How long until a change that goes on is believed; None where nothing changes, or is read."""
    circuit = draft.site.circuits.get(load.id)
    if circuit is None or not circuit.meter:
        return None
    if any(outlets.number(draft, ref) is None for ref in circuit.meter):
        return None
    changing = zip(load.beside_ma, load.toward_ma, load.since, strict=True)
    since = [since for now, toward, since in changing if now != toward]
    waits = (_lasts_ms(draft) - one.at(draft.now) for one in since)
    return max(0, min(waits)) if since else None


class _Phase(NamedTuple):
    """What is believed of a phase, and a change of it since then."""

    now: int
    toward: int
    since: Elapsed


def _followed(draft: Draft, known: _Phase, found: int, *, at_once: bool) -> _Phase:
    """The change so far, believed if it has lasted."""
    now, toward, since = known
    if found == now:
        return known if toward == now else _Phase(now, now, since)
    rises = found > now
    goes_on = toward != now and (toward > now) is rises
    nearest = (min if rises else max)(toward, found) if goes_on else found
    if at_once and rises:
        return _Phase(found, found, since)
    if not goes_on:
        since = Elapsed.started(draft.now)
    elif since.at(draft.now) >= _lasts_ms(draft):
        return _Phase(nearest, nearest, since)
    return _Phase(now, nearest, since)


def _lasts_ms(draft: Draft) -> int:
    """Two rounds of polls."""
    return 2 * draft.site.settings.poll_ms[PollClass.SENSOR] + SLACK_MS


def _phases(*found: int) -> PerPhase:
    l1, l2, l3 = (*found, 0, 0, 0)[:3]
    return l1, l2, l3
