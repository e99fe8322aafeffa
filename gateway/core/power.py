"""Share the current of a tree of circuits among outlets (RULES C4). Pure: no state, no clock.

Two questions, one after the other:
- *Where to?* Everybody's target, as if all did at once what they are told. Switched loads that are
  on stay on, newest shed first where even that is too much. Modulated ones get their minimum, in
  turns where not all minimums fit, and then fair shares of the rest, weighted by need.
- *What now?* A lower target is granted at once. A higher one only as far as what all others may
  still draw (`counted`) leaves room on every phase of every circuit up the tree.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gateway.domain.now import MINUTE_MS
from gateway.domain.power import NO_CURRENT, Circuit, Load, LoadKind, PerPhase

TURN_MS = 15 * MINUTE_MS
START_MARGIN_MA = 500  # what is off needs so much more than its minimum: no flapping at the edge
RAISE_MA = 500  # less is what meters read beside one another: no limit follows their noise

_Spot = tuple[str, int]  # a circuit and a phase of it


class Claim(NamedTuple):
    """What one outlet asks of its circuit.

    `wanted_ma`: the most it can use now, 0 for nothing; what a switched load takes when on.
    `counted_ma`: what it may draw until less has been read. `held_ms`: since it was last switched
    on or off. `since_ms` orders them: the newest is the last. `weight`: how much it needs.
    `deaf`: why it does not do as it is told, by reason code; it is taken as it is counted.
    """

    outlet: str
    load: Load
    wanted_ma: int
    granted_ma: int = 0
    counted_ma: int = 0
    held_ms: int = 0
    since_ms: int = 0
    weight: int = 1
    deaf: str = ""

    @property
    def idle(self) -> bool:
        """It wants nothing, has nothing, and draws nothing."""
        return not (self.wanted_ma or self.granted_ma or self.counted_ma or self.deaf)

    @property
    def on(self) -> bool:
        """It has power now."""
        return self.granted_ma > 0

    @property
    def switched(self) -> bool:
        """It is on or off, and nothing between."""
        return self.load.kind is LoadKind.SWITCHED


class Share(NamedTuple):
    """What an outlet is granted now, where that is heading, and why it is not what it wanted.

    `limited_by`: a reason code; "" where it gets all it can use.
    """

    granted_ma: int
    target_ma: int
    limited_by: str = ""


_NOTHING = Share(0, 0)


def share(
    circuits: Mapping[str, Circuit],
    claims: Iterable[Claim],
    beside: Mapping[str, PerPhase],
    turn_ms: int = TURN_MS,
) -> dict[str, Share]:
    """The share of each claim by outlet. `beside`: what flows on a circuit that is not ours."""
    ordered = sorted(claims, key=lambda claim: claim.outlet)
    taking = [claim for claim in ordered if not claim.idle]
    shares = {claim.outlet: _NOTHING for claim in ordered if claim.idle}
    if not taking:
        return shares
    spots = {claim.outlet: _spots(circuits, claim.load) for claim in taking}
    room = _Room(circuits, beside)
    targets = _targets(taking, spots, room, turn_ms)
    return shares | _now(taking, spots, _Room(circuits, beside), targets)


class _Room:
    """What is left on each phase of each circuit."""

    def __init__(self, circuits: Mapping[str, Circuit], beside: Mapping[str, PerPhase]) -> None:
        self.left: dict[_Spot, int] = {}
        self._soft: dict[_Spot, int] = {}  # how much of it lies above the soft limit
        for circuit in circuits.values():
            other = beside.get(circuit.id, NO_CURRENT)
            for phase, limit in enumerate(circuit.limit_ma):
                spot = (circuit.id, phase)
                self.left[spot] = limit - other[phase]
                self._soft[spot] = limit - limit * circuit.soft_percent // 100

    def take(self, spots: Iterable[_Spot], ma: int) -> None:
        """So much less is left on each of them."""
        for spot in spots:
            self.left[spot] -= ma

    def least(self, spots: Iterable[_Spot]) -> int:
        """What is left on the fullest of them."""
        return min(self.left[spot] for spot in spots)

    def least_soft(self, spots: Iterable[_Spot]) -> int:
        """The same below the soft limit."""
        return min(self.left[spot] - self._soft[spot] for spot in spots)


def _spots(circuits: Mapping[str, Circuit], load: Load) -> tuple[_Spot, ...]:
    """Every phase of every circuit that a load weighs on; all phases where its own are unknown."""
    found: list[_Spot] = []
    at: str | None = load.circuit
    while at is not None:
        circuit = circuits[at]
        known = [phase - 1 for phase in load.phases]
        there = [phase for phase in range(3) if circuit.limit_ma[phase]]
        found += [(at, phase) for phase in known or there]
        at = circuit.parent
    return tuple(found)


# --- where to -------------------------------------------------------------------------------------


def _targets(
    claims: list[Claim], spots: Mapping[str, tuple[_Spot, ...]], room: _Room, turn_ms: int
) -> dict[str, tuple[int, str]]:
    targets: dict[str, tuple[int, str]] = {claim.outlet: (0, "") for claim in claims}
    for claim in claims:
        if claim.deaf:
            room.take(spots[claim.outlet], claim.counted_ma)
            targets[claim.outlet] = (_at_most_now(claim), claim.deaf)
    wanting = [claim for claim in claims if claim.wanted_ma > 0 and not claim.deaf]
    switched = [claim for claim in wanting if claim.switched]
    modulated = [claim for claim in wanting if not claim.switched]
    for claim in sorted(switched, key=_oldest_first):
        if claim.on:
            fits = room.least(spots[claim.outlet]) >= claim.wanted_ma
            targets[claim.outlet] = _switch(claim, spots, room, fits=fits, else_by="circuit_full")
    admitted = _admit([c for c in modulated if c.on and c.held_ms < turn_ms], spots, room)
    for claim in sorted((c for c in switched if not c.on), key=_oldest_first):
        fits = room.least_soft(spots[claim.outlet]) >= claim.wanted_ma
        targets[claim.outlet] = _switch(claim, spots, room, fits=fits, else_by="soft_limit")
    turning = [c for c in modulated if not (c.on and c.held_ms < turn_ms)]
    admitted += _admit(sorted(turning, key=_turns(turn_ms)), spots, room)
    shares = _fill(admitted, spots, room)
    for claim in modulated:
        found = shares.get(claim.outlet, 0)
        full = "circuit_full" if found else "waits_for_turn"
        targets[claim.outlet] = (found, "" if found >= _most(claim) else full)
    return targets


def _at_most_now(claim: Claim) -> int:
    """What a deaf one is told: never more than before."""
    if claim.switched:
        return claim.granted_ma if claim.wanted_ma else 0
    told = _floor(min(claim.wanted_ma, claim.granted_ma), claim.load)
    return told if told >= claim.load.minimum_ma else 0


def _oldest_first(claim: Claim) -> tuple[int, str]:
    return claim.since_ms, claim.outlet


def _turns(turn_ms: int) -> Callable[[Claim], tuple[int, int, int, str]]:
    """Who waited for a turn's time, longest first; then who is on, shortest first; then others."""

    def key(claim: Claim) -> tuple[int, int, int, str]:
        if claim.on:
            return 1, claim.held_ms, claim.since_ms, claim.outlet
        return 0 if claim.held_ms >= turn_ms else 2, -claim.held_ms, claim.since_ms, claim.outlet

    return key


def _switch(
    claim: Claim,
    spots: Mapping[str, tuple[_Spot, ...]],
    room: _Room,
    *,
    fits: bool,
    else_by: str,
) -> tuple[int, str]:
    if not fits:
        return 0, else_by
    room.take(spots[claim.outlet], claim.wanted_ma)
    return claim.load.maximum_ma, ""


def _admit(claims: list[Claim], spots: Mapping[str, tuple[_Spot, ...]], room: _Room) -> list[Claim]:
    """Those whose minimum fits, in this order; it is taken."""
    admitted = []
    for claim in claims:
        minimum = claim.load.minimum_ma
        needed = minimum if claim.on else minimum + START_MARGIN_MA
        if _most(claim) >= minimum and room.least(spots[claim.outlet]) >= needed:
            room.take(spots[claim.outlet], minimum)
            admitted.append(claim)
    return admitted


def _fill(
    claims: list[Claim], spots: Mapping[str, tuple[_Spot, ...]], room: _Room
) -> dict[str, int]:
    """Raise all from their minimum side by side, by weight, until a phase is full or they are."""
    shares = {claim.outlet: claim.load.minimum_ma for claim in claims}
    rising = [claim for claim in claims if _most(claim) > claim.load.minimum_ma]
    while rising:
        pull: dict[_Spot, int] = {}
        for claim in rising:
            for spot in spots[claim.outlet]:
                pull[spot] = pull.get(spot, 0) + claim.weight
        # so much a unit of weight, at the spot or claim that is full first
        by_spot = min(room.left[spot] // weight for spot, weight in pull.items())
        by_claim = min(-(-(_most(c) - shares[c.outlet]) // c.weight) for c in rising)
        unit = max(0, min(by_spot, by_claim))
        for claim in rising:
            more = min(unit * claim.weight, _most(claim) - shares[claim.outlet])
            shares[claim.outlet] += more
            room.take(spots[claim.outlet], more)
        rising = [
            claim
            for claim in rising
            if shares[claim.outlet] < _most(claim)
            and all(room.left[spot] >= pull[spot] for spot in spots[claim.outlet])
        ]
    return _in_steps(claims, spots, room, shares)


def _in_steps(
    claims: list[Claim],
    spots: Mapping[str, tuple[_Spot, ...]],
    room: _Room,
    shares: dict[str, int],
) -> dict[str, int]:
    """Round down to what each can be told; what that leaves goes to whoever can use it."""
    for claim in claims:
        rest = shares[claim.outlet] - _floor(shares[claim.outlet], claim.load)
        shares[claim.outlet] -= rest
        room.take(spots[claim.outlet], -rest)
    for claim in sorted(claims, key=lambda claim: (-claim.weight, claim.outlet)):
        most = _most(claim) - shares[claim.outlet]
        more = _floor(max(0, min(most, room.least(spots[claim.outlet]))), claim.load)
        shares[claim.outlet] += more
        room.take(spots[claim.outlet], more)
    return shares


def _most(claim: Claim) -> int:
    """The most that a modulated load can be told to take."""
    return _floor(min(claim.wanted_ma, claim.load.maximum_ma), claim.load)


def _floor(ma: int, load: Load) -> int:
    return ma // load.step_ma * load.step_ma


# --- what now -------------------------------------------------------------------------------------


def _now(
    claims: list[Claim],
    spots: Mapping[str, tuple[_Spot, ...]],
    room: _Room,
    targets: Mapping[str, tuple[int, str]],
) -> dict[str, Share]:
    for claim in claims:
        room.take(spots[claim.outlet], claim.counted_ma)
    shares: dict[str, Share] = {}
    for claim in sorted(claims, key=_turns(0)):
        target, why = targets[claim.outlet]
        granted = target
        if target > claim.granted_ma:
            granted = _raised(claim, room.least(spots[claim.outlet]), target)
        flows = claim.wanted_ma if claim.switched and granted else granted
        room.take(spots[claim.outlet], max(0, flows - claim.counted_ma))
        shares[claim.outlet] = Share(granted, target, "lowering_first" if granted < target else why)
    return shares


def _raised(claim: Claim, left_ma: int, target: int) -> int:
    """As far towards its target as what the others may still draw allows."""
    may = claim.counted_ma + left_ma
    if claim.switched:
        return target if may >= claim.wanted_ma else claim.granted_ma
    found = min(target, _floor(max(0, may), claim.load))
    worth = found >= claim.granted_ma + RAISE_MA or found == _most(claim)
    return found if found >= claim.load.minimum_ma and worth else claim.granted_ma
