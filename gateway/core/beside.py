"""What a circuit carries beside our outlets, as far as it may be believed (RULES C4).

Meter and chargers are read one after another. So for a moment their difference holds what a car
began to draw, or ceased to: the first would be granted to others twice, the second would switch
them off. A change is believed once it has lasted for two rounds of polls, and no more of it than
was there all the time. A meter that rises above what a phase may carry is believed at once.
"""

from dataclasses import replace

from gateway.core import outlets
from gateway.core.draft import Draft
from gateway.domain.charging import CircuitLoad
from gateway.domain.now import SECOND_MS, Elapsed
from gateway.domain.power import Circuit, PerPhase
from gateway.domain.profile import PollClass

SLACK_MS = SECOND_MS


def believed(draft: Draft, circuit: Circuit, ours: PerPhase) -> PerPhase:
    """As metered, less what our outlets are seen to draw; as declared while no meter says."""
    found = [outlets.number(draft, ref) for ref in circuit.meter]
    metered = [round(one) for one in found if one is not None]
    if not metered or len(metered) < len(found):
        return circuit.other_ma
    flows = _phases(*metered)
    apart = _phases(*(max(0, all_ - own) for all_, own in zip(flows, ours, strict=True)))
    known = draft.get(CircuitLoad, circuit.id)
    if known is None:
        began = (Elapsed.started(draft.now),) * 3
        known = CircuitLoad(circuit.id, circuit.other_ma, circuit.other_ma, began)
    for phase, flow in enumerate(flows):
        over = flow > max(circuit.limit_ma[phase], known.metered_ma[phase])
        known = _followed(draft, known, phase, apart[phase], at_once=over)
    draft.put(replace(known, metered_ma=flows))
    return known.beside_ma


def _followed(
    draft: Draft, known: CircuitLoad, phase: int, found: int, *, at_once: bool
) -> CircuitLoad:
    """One phase: the change so far, believed if it has lasted."""
    now, toward = known.beside_ma[phase], known.toward_ma[phase]
    if found == now:
        return known if toward == now else _put(known, phase, now, now, known.since[phase])
    rises = found > now
    goes_on = toward != now and (toward > now) is rises
    nearest = (min if rises else max)(toward, found) if goes_on else found
    since = known.since[phase] if goes_on else Elapsed.started(draft.now)
    if at_once and rises:
        return _put(known, phase, found, found, since)
    if since.at(draft.now) >= _lasting_ms(draft):
        return _put(known, phase, nearest, nearest, since)
    return _put(known, phase, now, nearest, since)


def _lasting_ms(draft: Draft) -> int:
    return 2 * draft.site.settings.poll_ms[PollClass.SENSOR] + SLACK_MS


def _put(known: CircuitLoad, phase: int, beside: int, toward: int, since: Elapsed) -> CircuitLoad:
    return replace(
        known,
        beside_ma=_with(known.beside_ma, phase, beside),
        toward_ma=_with(known.toward_ma, phase, toward),
        since=(*known.since[:phase], since, *known.since[phase + 1 :]),
    )


def _with(phases: PerPhase, phase: int, ma: int) -> PerPhase:
    return _phases(*phases[:phase], ma, *phases[phase + 1 :])


def _phases(*found: int) -> PerPhase:
    l1, l2, l3 = (*found, 0, 0, 0)[:3]
    return l1, l2, l3
