"""Mistakes that somebody could make in core, step or reconciler, each as one change of the source.

The world, or a property test, has to notice every one of them (`python tests/mutants/run.py`). A
mutant that nobody notices shows a rule that nothing looks at.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `path`, `old` (which stands there once) becomes `new`; `rule` is what it breaks."""

    name: str
    rule: str
    path: str
    old: str
    new: str


CORE, RUNTIME = "gateway/core", "gateway/runtime"

MUTANTS = (
    # --- doors and access
    Mutant(
        "a window closed at both ends",
        "A1",
        "gateway/domain/bookings.py",
        "return self.terms.start_ms <= wall_ms < self.terms.end_ms",
        "return self.terms.start_ms <= wall_ms <= self.terms.end_ms",
    ),
    Mutant(
        "a conflicted booking opens too",
        "A1",
        f"{CORE}/grounds.py",
        "        if booking.live and booking.covers(now.wall_ms):\n            return Ground(",
        "        if booking.covers(now.wall_ms):\n            return Ground(",
    ),
    Mutant(
        "who has no right is let in like a walk-in",
        "A1",
        f"{CORE}/grounds.py",
        "open_to_all = facility.booking is not BookingPolicy.REQUIRED",
        "open_to_all = True",
    ),
    Mutant(
        "a release is written again when nobody answered",
        "A4",
        f"{RUNTIME}/reconcile.py",
        "        if outcome.result is not WriteResult.REFUSED:\n            self._sent",
        "        if outcome.result is WriteResult.SENT:\n            self._sent",
    ),
    Mutant(
        "a release is not spent",
        "A4",
        f"{RUNTIME}/reconcile.py",
        "        self._spend(pulse, now)\n        driven.writing = True",
        "        driven.writing = True",
    ),
    Mutant(
        "a grant outlives the boot",
        "A4",
        f"{CORE}/derive.py",
        "    if given is None or given.boot != now.boot or given.until_mono_ms <= now.mono_ms:",
        "    if given is None or given.until_mono_ms <= now.mono_ms:",
    ),
    Mutant(
        "the fire latch is forgotten when its input falls",
        "A3",
        f"{CORE}/fire.py",
        "    draft.put(replace(latch, input_active=active))",
        "    draft.put(replace(latch, input_active=active, latched=active))",
    ),
    Mutant(
        "fire is reset over the uplink",
        "A3",
        f"{CORE}/fire.py",
        "    if not event.by.on_site:",
        "    if False:",
    ),
    Mutant(
        "a forced door is taken for an exit",
        "A6",
        f"{CORE}/doors.py",
        '        _fault(draft, door, "door_forced", Fact.DOOR_FORCED, urgent=True)',
        "        _exit(draft, door)",
    ),
    Mutant(
        "granted is entered",
        "A6",
        f"{CORE}/doors.py",
        "    if state is DoorState.CLOSED:\n        _closed(draft, door)",
        "    if state is DoorState.CLOSED:\n"
        "        _entered(draft, door) if status.grants else None\n"
        "        _closed(draft, door)",
    ),
    # --- bookings
    Mutant(
        "an old revision is applied",
        "B1",
        f"{CORE}/authority.py",
        "    if event.revision <= authority.revision:",
        "    if event.revision == authority.revision:",
    ),
    Mutant(
        "a snapshot removes what lies outside its window",
        "B1",
        f"{CORE}/authority.py",
        "    touches = terms.start_ms < window_ms[1] and window_ms[0] < terms.end_ms",
        "    touches = True",
    ),
    Mutant(
        "an empty snapshot is believed",
        "B1",
        f"{CORE}/authority.py",
        "    return len(coming.intersection(gone)) * 2 > len(coming)",
        "    return False",
    ),
    Mutant(
        "who asked last has the room",
        "B2",
        f"{CORE}/overlaps.py",
        "    return (booking.checked_in_ms is None, booking.rank)",
        "    return (booking.checked_in_ms is None, (0, -booking.terms.revision, booking.id))",
    ),
    Mutant(
        "one more than the capacity",
        "B2",
        f"{CORE}/overlaps.py",
        "            if len(there) >= capacity:",
        "            if len(there) > capacity:",
    ),
    Mutant(
        "a no-show is judged though the grace time was not watched",
        "B6",
        f"{CORE}/grace.py",
        "grace_observed=False",
        "grace_observed=True",
    ),
    Mutant(
        "a command runs twice",
        "B8",
        f"{CORE}/commands.py",
        "    if seen is not None:\n        return _repeated(draft, seen)",
        "    if seen is not None and seen.expires_ms < 0:\n        return _repeated(draft, seen)",
    ),
    # --- charging
    Mutant(
        "power before the session is durable",
        "C1",
        f"{RUNTIME}/step.py",
        "            permissive = setpoint is not None and not setpoint.secures",
        "            permissive = False",
    ),
    Mutant(
        "a second session at the outlet",
        "C5",
        f"{CORE}/plugging.py",
        '        return Refusal(Result.CONCURRENT, reason("outlet_in_use"))',
        "        return None",
    ),
    Mutant(
        "a hazard that is past is forgotten at once",
        "C2",
        f"{CORE}/hazards.py",
        "    state = HazardState.COOLING if once else HazardState.LATCHED",
        "    state = HazardState.PAST",
    ),
    Mutant(
        "an impossible step is energy",
        "C3",
        f"{CORE}/metering.py",
        "    if 0 <= step <= _most_wh(outlet, meter, min(since_ms, SUDDEN_MS)):",
        "    if 0 <= step:",
    ),
    Mutant(
        "what could have flowed in hours of standing still did",
        "C3",
        f"{CORE}/metering.py",
        "    if 0 <= step <= _most_wh(outlet, meter, min(since_ms, SUDDEN_MS)):",
        "    if 0 <= step <= most_wh:",
    ),
    Mutant(
        "a new segment goes on from the old register",
        "C3",
        f"{CORE}/metering.py",
        "        fresh = Segment(serial, opened_wh, opened_wh, price, wall)",
        "        fresh = Segment(serial, 0, opened_wh, price, wall)",
    ),
    Mutant(
        "what flows in no session is nobody's business",
        "C5",
        f"{CORE}/metering.py",
        "            unattributed_wh=status.unattributed_wh + step,",
        "            unattributed_wh=status.unattributed_wh,",
    ),
    Mutant(
        "raised before the others are lowered",
        "C4",
        f"{CORE}/power.py",
        "        room.take(spots[claim.outlet], claim.counted_ma)\n    shares: dict",
        "        room.take(spots[claim.outlet], min(claim.counted_ma, targets[claim.outlet][0]))\n"
        "    shares: dict",
    ),
    Mutant(
        "a silent charger counts for nothing",
        "C4",
        f"{CORE}/loads.py",
        "        return max(status.counted_ma, status.granted_ma, outlet.load.failsafe_ma)",
        "        return 0",
    ),
    Mutant(
        "nobody gives way to what draws on though it was told less",
        "C4",
        f"{CORE}/straying.py",
        "    if amiss.beyond is None or amiss.beyond.at(draft.now) < STAYS_AFTER_MS:\n",
        "    if True:\n",
    ),
    Mutant(
        "a share is made once, whatever follows from it",
        "C4",
        f"{CORE}/loads.py",
        "STANDS_AFTER = 4 ",
        "STANDS_AFTER = 1 ",
    ),
    Mutant(
        "a circuit above is not looked at",
        "C4",
        f"{CORE}/power.py",
        "        at = circuit.parent\n",
        "        at = None\n",
    ),
    Mutant(
        "a session is closed on the register it had before it was off",
        "C3",
        f"{CORE}/charging.py",
        "def _closing(draft: Draft, facility: Facility, session: ChargingSession) -> None:\n"
        "    if metering.seen_since(draft, facility, session.progress.since):",
        "def _closing(draft: Draft, facility: Facility, session: ChargingSession) -> None:\n"
        "    if session:",
    ),
    # --- emergency calls
    Mutant(
        "a press in an acknowledged call is only counted",
        "E4",
        f"{CORE}/emergency.py",
        '    if call.unanswered:\n        return _join(draft, call, "pressed", edge.count)\n'
        '    return _raise_again(draft, call, "pressed", edge.count)',
        '    return _join(draft, call, "pressed", edge.count)',
    ),
    Mutant(
        "who presses as the siren is silent is only counted",
        "E2",
        f"{CORE}/emergency.py",
        "    if call.climb.silenced:\n        call = replace",
        "    if False:\n        call = replace",
    ),
    Mutant(
        "a call is not raised again after a restart",
        "E3",
        f"{CORE}/emergency.py",
        "    for call in draft.all(Call):\n        if call.unanswered:\n            _go_on(",
        "    for call in draft.all(Call):\n        if False:\n            _go_on(",
    ),
    Mutant(
        "the ladder stays where it was when nobody attends",
        "E4",
        f"{CORE}/emergency.py",
        "        if call.climb.since.at(draft.now) >= settings.attend_within_ms:",
        "        if False:",
    ),
    Mutant(
        "a wearable opens the door",
        "E6",
        f"{CORE}/emergency.py",
        "    return call.origin is CallOrigin.FIXED and bool(call.call_point) and not call.test",
        "    return not call.test",
    ),
    Mutant(
        "a person who is fine stops the escalation",
        "E4",
        f"{CORE}/escalation.py",
        "    told, steps = call.climb.step, escalation.steps\n",
        "    told, steps = call.climb.step, escalation.steps\n"
        "    if call.climb.fine:\n        return 1 << 50\n",
    ),
    Mutant(
        "the siren goes on for ever",
        "E4",
        f"{CORE}/emergency.py",
        "    return max(0, limit_ms - call.climb.raised.at(draft.now))",
        "    return limit_ms",
    ),
    # --- step, reconciler, agenda
    Mutant(
        "a write that was taken is believed",
        "DESIGN 2.1",
        f"{RUNTIME}/reconcile.py",
        "        if reading.good and reading.value == level.value:\n            driven.next_ms = 0",
        "        if driven.last or (reading.good and reading.value == level.value):\n"
        "            driven.next_ms = 0",
    ),
    Mutant(
        "a reply before its record is durable",
        "U1",
        f"{RUNTIME}/step.py",
        "            place = out if waiting is None or self.lost else waiting",
        "            place = out",
    ),
    Mutant(
        "the call latch is emptied before the commit",
        "E2",
        f"{RUNTIME}/step.py",
        "            (waiting or out).durable.append(told)",
        "            out.durable.append(told)",
    ),
    Mutant(
        "what failed is not handed in again",
        "X1",
        f"{RUNTIME}/step.py",
        "        if self._failed is None:\n            return self._take_off()",
        "        self._failed = None\n        return self._take_off()",
    ),
    Mutant(
        "a restart switches what it has not read",
        "C1",
        f"{RUNTIME}/reconcile.py",
        "        waits = reading.value is None and now.mono_ms < first_ms",
        "        waits = False",
    ),
    Mutant(
        "a deadline is looked at once and never again",
        "DESIGN 5",
        f"{RUNTIME}/agenda.py",
        "                self._plan(key, now.mono_ms + SOONEST_MS)",
        "                pass",
    ),
    # --- utilization
    Mutant(
        "time that nobody watched is idle",
        "U2",
        f"{CORE}/utilization.py",
        "    if usage.state is UtilizationState.UNKNOWN:\n"
        "        return replace(usage, until_ms=until_ms)",
        "    if usage.state is UtilizationState.UNKNOWN:\n"
        "        usage = replace(usage, state=UtilizationState.IDLE)\n"
        "    if usage.state is UtilizationState.CLOSED and until_ms < 0:\n"
        "        return replace(usage, until_ms=until_ms)",
    ),
    Mutant(
        "held goes before in use",
        "U2",
        f"{CORE}/utilization.py",
        "    if _is_in_use(draft, facility):\n        booked",
        "    if _is_in_use(draft, facility) and not covering:\n        booked",
    ),
)
