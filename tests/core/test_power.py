"""Sharing current by rule (RULES C4): worked examples, and what must hold whatever comes."""

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.loads import STANDS_AFTER
from gateway.core.power import TURN_MS, Claim, Share, share
from gateway.domain.power import Circuit, Load, LoadKind, PerPhase

NOTHING: Mapping[str, PerPhase] = {}


def feeder(ma: int, id_: str = "f", parent: str | None = None) -> Circuit:
    return Circuit(id_, "garage", (ma, ma, ma), parent)


def car(id_: str, wanted: int = 16_000, **more: object) -> Claim:
    load = Load("f", LoadKind.MODULATED, (1,))
    return Claim(id_, load, wanted, **more)  # type: ignore[arg-type]


def bike(id_: str, wanted: int = 5_000, **more: object) -> Claim:
    load = Load("f", LoadKind.SWITCHED, (1,), minimum_ma=5_000, maximum_ma=5_000)
    return Claim(id_, load, wanted, **more)  # type: ignore[arg-type]


def shares(limit: int, *claims: Claim, beside: int = 0) -> dict[str, Share]:
    other = {"f": (beside, beside, beside)}
    return share({"f": feeder(limit)}, claims, other)


def granted(limit: int, *claims: Claim, beside: int = 0) -> dict[str, int]:
    return {id_: one.granted_ma for id_, one in shares(limit, *claims, beside=beside).items()}


# --- worked examples ------------------------------------------------------------------------------


def test_where_there_is_room_everybody_gets_all() -> None:
    assert granted(32_000, car("a"), car("b")) == {"a": 16_000, "b": 16_000}


def test_else_fair_shares() -> None:
    assert granted(20_000, car("a"), car("b")) == {"a": 10_000, "b": 10_000}


def test_who_can_use_little_leaves_the_rest_to_others() -> None:
    assert granted(24_000, car("a", 7_000), car("b")) == {"a": 7_000, "b": 16_000}


def test_who_needs_more_gets_more() -> None:
    """A car that leaves soon and lacks much, before one that stays until morning."""
    assert granted(21_000, car("a", weight=2), car("b")) == {"a": 12_000, "b": 9_000}


def test_what_flows_beside_is_not_ours() -> None:
    assert granted(32_000, car("a"), car("b"), beside=18_000) == {"a": 7_000, "b": 7_000}


def test_minimums_that_do_not_fit_take_turns() -> None:
    on = car("a", granted_ma=9_000, counted_ma=9_000, held_ms=TURN_MS - 1)
    found = shares(9_000, on, car("b", held_ms=TURN_MS))
    assert (found["a"].target_ma, found["b"].target_ma) == (9_000, 0)
    assert found["b"].limited_by == "waits_for_turn"
    found = shares(9_000, on._replace(held_ms=TURN_MS), car("b", held_ms=TURN_MS))
    assert (found["a"].target_ma, found["b"].target_ma) == (0, 9_000)
    assert (found["a"].granted_ma, found["b"].granted_ma) == (0, 0)  # not before it is seen to fall
    assert found["b"].limited_by == "lowering_first"


def test_a_raise_waits_for_the_others_to_fall() -> None:
    first = car("a", granted_ma=16_000, counted_ma=16_000)
    found = shares(20_000, first, car("b"))
    assert (found["a"].granted_ma, found["b"].granted_ma) == (10_000, 0)
    lowered = first._replace(granted_ma=10_000)
    assert shares(20_000, lowered, car("b"))["b"].granted_ma == 0
    assert shares(20_000, lowered._replace(counted_ma=10_000), car("b"))["b"].granted_ma == 10_000


def test_no_limit_follows_the_noise_of_meters() -> None:
    """Less than half an ampere more is not worth a write; less is, and so is all there is."""
    on = car("a", granted_ma=10_000, counted_ma=10_000)
    assert granted(10_400, on) == {"a": 10_000}
    assert granted(10_500, on) == {"a": 10_500}
    assert granted(9_900, on) == {"a": 9_900}
    assert granted(32_000, car("a", granted_ma=15_900, counted_ma=15_900)) == {"a": 16_000}


def test_a_silent_charger_is_counted_at_what_it_may_draw() -> None:
    gone = car("a", 0, counted_ma=16_000)
    assert granted(26_000, gone, car("b")) == {"a": 0, "b": 10_000}


def test_others_make_way_for_one_that_does_not_do_as_it_is_told() -> None:
    """It fell to its own failsafe current, or ignores its limit: counted as it is, told no more."""
    deaf = car("a", 10_000, granted_ma=10_000, counted_ma=16_000, deaf="outlet_unheard")
    other = car("b", granted_ma=14_000, counted_ma=14_000)
    found = shares(26_000, deaf, other)
    assert (found["a"].granted_ma, found["b"].granted_ma) == (10_000, 10_000)
    assert found["a"].limited_by == "outlet_unheard"
    assert granted(26_000, deaf._replace(wanted_ma=0), other) == {"a": 0, "b": 10_000}


def test_switched_loads_start_below_the_soft_limit_and_are_shed_newest_first() -> None:
    on = [bike(str(n), granted_ma=5_000, counted_ma=5_000, since_ms=n) for n in range(3)]
    assert shares(20_000, *on, bike("new", since_ms=9))["new"].limited_by == "soft_limit"
    assert granted(25_000, *on, bike("new", since_ms=9))["new"] == 5_000
    assert granted(20_000, *on, beside=6_000) == {"0": 5_000, "1": 5_000, "2": 0}


def test_cars_make_way_for_a_bike_and_it_starts_when_they_have() -> None:
    one = car("a", granted_ma=16_000, counted_ma=16_000)
    found = shares(20_000, one, bike("b"))
    assert found["b"].limited_by == "lowering_first"
    lowered = one._replace(granted_ma=15_000, counted_ma=15_000)
    assert shares(20_000, lowered, bike("b"))["b"].granted_ma == 5_000


def test_unknown_phases_count_on_all() -> None:
    load = Load("f", LoadKind.MODULATED)
    unknown = Claim("a", load, 16_000, 16_000, 16_000)
    other = Claim("b", Load("f", LoadKind.MODULATED, (3,)), 16_000)
    found = share({"f": feeder(22_000)}, [unknown, other], NOTHING)
    assert (found["a"].target_ma, found["b"].target_ma) == (11_000, 11_000)


def test_every_circuit_up_the_tree_holds() -> None:
    circuits = {"f": feeder(32_000, "f", "main"), "main": feeder(13_000, "main")}
    found = share(circuits, [car("a"), car("b")], NOTHING)
    assert [one.granted_ma for one in found.values()] == [6_500, 6_500]


# --- whatever comes -------------------------------------------------------------------------------

STEP = 100


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Circuit]:
    """Up to five circuits, each under an earlier one."""
    circuits: dict[str, Circuit] = {}
    for number in range(draw(st.integers(1, 5))):
        limit = tuple(draw(st.integers(6, 80)) * 1_000 for _ in range(3))
        parent = draw(st.sampled_from(sorted(circuits))) if circuits else None
        circuits[f"c{number}"] = Circuit(f"c{number}", "p", limit, parent)  # type: ignore[arg-type]
    return circuits


@st.composite
def loads(draw: st.DrawFn, circuits: Mapping[str, Circuit]) -> Load:
    phases = draw(st.sampled_from([(), (1,), (2,), (3,), (1, 2, 3)]))
    circuit = draw(st.sampled_from(sorted(circuits)))
    if draw(st.booleans()):
        rating = draw(st.integers(2, 10)) * 1_000
        return Load(circuit, LoadKind.SWITCHED, phases, rating, rating)
    step = draw(st.sampled_from([STEP, 1_000]))
    most = draw(st.sampled_from([10_000, 16_000, 32_000]))
    return Load(circuit, LoadKind.MODULATED, phases, 6_000, most, step)


@dataclass(slots=True)
class Real:
    """An outlet on a simulated feeder: it obeys at once, late, or never; what it draws is true."""

    id: str
    load: Load
    wanted: int
    granted: int = 0
    counted: int = 0
    held_ms: int = 0
    obeys: int = 0  # in so many steps; -1: it holds what it has
    pending: int = 0

    def claim(self, number: int) -> Claim:
        return Claim(
            self.id, self.load, self.wanted, self.granted, self.counted, self.held_ms, number
        )

    def told(self, granted_ma: int) -> None:
        turned = bool(granted_ma) != bool(self.granted)
        self.held_ms = 0 if turned else self.held_ms + 60_000
        self.granted = granted_ma
        self.counted = max(self.counted, granted_ma)
        self.pending = self.obeys

    def live(self) -> None:
        """A step of its life: a lower limit is seen once it has obeyed."""
        if self.counted > self.granted and self.obeys >= 0:
            if self.pending <= 0:
                self.counted = self.granted
            self.pending -= 1


def on_spots(circuits: Mapping[str, Circuit], load: Load) -> list[tuple[str, int]]:
    """Where a load weighs, found apart from the code under test."""
    spots, at = [], circuits[load.circuit]
    while True:
        spots += [(at.id, phase - 1) for phase in load.phases or (1, 2, 3)]
        if at.parent is None:
            return spots
        at = circuits[at.parent]


def check_limits(circuits: Mapping[str, Circuit], reals: list[Real]) -> None:
    """C4: what may flow never passes a limit, on any phase of any circuit."""
    flows: dict[tuple[str, int], int] = {}
    for real in reals:
        for spot in on_spots(circuits, real.load):
            flows[spot] = flows.get(spot, 0) + max(real.counted, real.granted)
    for (id_, phase), ma in flows.items():
        assert ma <= circuits[id_].limit_ma[phase], (id_, phase, ma)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_what_may_flow_never_passes_a_limit(data: st.DataObject) -> None:
    circuits = data.draw(trees())
    reals = [
        Real(f"o{n}", data.draw(loads(circuits)), 0) for n in range(data.draw(st.integers(1, 8)))
    ]
    for _ in range(12):
        for real in reals:
            wanted = (0, real.load.maximum_ma)
            real.wanted = data.draw(st.sampled_from(wanted))
            real.obeys = data.draw(st.sampled_from((0, 0, 1, 3, -1)))
        found = share(circuits, [r.claim(n) for n, r in enumerate(reals)], NOTHING)
        for real in reals:
            told = found[real.id].granted_ma
            smallest = min(real.load.minimum_ma, real.load.maximum_ma)
            assert told == 0 or smallest <= told <= real.load.maximum_ma
            assert told % real.load.step_ma == 0 or real.load.kind is LoadKind.SWITCHED
            real.told(told)
        check_limits(circuits, reals)
        for real in reals:
            real.live()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_it_settles_wastes_nothing_and_hangs_on_no_order(data: st.DataObject) -> None:
    circuits = data.draw(trees())
    found = [data.draw(loads(circuits)) for _ in range(data.draw(st.integers(1, 8)))]
    reals = [Real(f"o{n}", load, load.maximum_ma) for n, load in enumerate(found)]
    for _ in range(4):  # all obey at once
        claims = [real.claim(n) for n, real in enumerate(reals)]
        shares_ = share(circuits, claims, NOTHING)
        assert share(circuits, list(reversed(claims)), NOTHING) == shares_
        for real in reals:
            real.told(shares_[real.id].granted_ma)
            real.counted, real.held_ms = real.granted, 0
    settled = {real.id: real.granted for real in reals}
    again = share(circuits, [r.claim(n) for n, r in enumerate(reals)], NOTHING)
    assert {id_: one.granted_ma for id_, one in again.items()} == settled
    left = {(c.id, phase): c.limit_ma[phase] for c in circuits.values() for phase in range(3)}
    for real in reals:
        for spot in on_spots(circuits, real.load):
            left[spot] -= real.granted
    for real in reals:
        room = min(left[spot] for spot in on_spots(circuits, real.load))
        if real.load.kind is LoadKind.MODULATED and 0 < real.granted < real.load.maximum_ma:
            assert room < real.load.step_ma


@st.composite
def claims_under_way(draw: st.DrawFn, circuits: Mapping[str, Circuit], number: int) -> Claim:
    """An outlet at any moment: on or off, told something else than it does, served or waiting."""
    load = draw(loads(circuits))
    lowest, most = load.minimum_ma // load.step_ma, load.maximum_ma // load.step_ma
    on = most if load.kind is LoadKind.SWITCHED else draw(st.integers(lowest, most))
    granted = load.step_ma * draw(st.sampled_from((0, on)))
    may = draw(st.sampled_from((0, granted, load.maximum_ma)))
    wanted = draw(st.sampled_from((0, load.maximum_ma)))
    held_ms = draw(st.sampled_from((0, 60_000, TURN_MS, 2 * TURN_MS)))
    weight = draw(st.integers(1, 3))
    return Claim(f"o{number}", load, wanted, granted, max(granted, may), held_ms, number, weight)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.data())
def test_a_share_stands_before_anything_else_is_read(data: st.DataObject) -> None:
    """What is granted changes what the next share rests on: two of them, and it is at rest."""
    circuits = data.draw(trees())
    claims = [data.draw(claims_under_way(circuits, n)) for n in range(data.draw(st.integers(1, 8)))]
    draws = {one.outlet: one.counted_ma * (one.counted_ma > one.granted_ma) for one in claims}
    for _ in range(STANDS_AFTER):
        found = share(circuits, claims, NOTHING)
        told = {one.outlet: found[one.outlet].granted_ma for one in claims}
        before, claims = (
            claims,
            [
                one._replace(
                    granted_ma=told[one.outlet],
                    counted_ma=max(told[one.outlet], draws[one.outlet]),
                    held_ms=one.held_ms if bool(told[one.outlet]) == one.on else 0,
                )
                for one in claims
            ],
        )
    assert told == {one.outlet: one.granted_ma for one in before}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(2, 8), st.integers(7, 40))
def test_nobody_starves(cars: int, limit_a: int) -> None:
    """Over a day, everybody gets a turn, and no turn is shorter than a quarter of an hour."""
    circuits = {"f": feeder(limit_a * 1_000)}
    reals = [Real(f"o{n}", Load("f", LoadKind.MODULATED, (1,)), 16_000) for n in range(cars)]
    served = dict.fromkeys((real.id for real in reals), 0)
    for _ in range(24 * 60):
        found = share(circuits, [r.claim(n) for n, r in enumerate(reals)], NOTHING)
        for real in reals:
            off = real.granted > 0 and found[real.id].granted_ma == 0
            assert not off or real.held_ms >= TURN_MS
            real.told(found[real.id].granted_ma)
            real.counted = real.granted
            served[real.id] += real.granted > 0
    fair = 24 * 60 * min(1, (limit_a * 1_000 // 6_500) / cars)
    assert min(served.values()) >= fair * 0.7
