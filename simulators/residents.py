"""People who live by their bookings: come, type a PIN, sit still, leave, forget, overstay, call.

Rules: what a person will do with a booking is planned beforehand from the stay, the habits and a
source of chance that is passed in, so that the same seed lives the same day. Times in a plan are
parts of the stay, so a stay of three minutes is lived like one of three hours. Whoever is not let
in tries again a few times and then goes home.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from gateway.domain.site import Site
from simulators.devices import SimulatedSite

TRIES_AT_DOOR = 3
PATIENCE_MS = 4_000


@dataclass(frozen=True, slots=True)
class Stay:
    """A booking as its holder knows it; wall times. `doors` are passed from outside inwards."""

    person: str
    pin: str
    place: str
    doors: tuple[str, ...]
    start_ms: int
    end_ms: int
    call_point: str = ""


@dataclass(frozen=True, slots=True)
class Habits:
    """How often people do what, as shares of all stays."""

    no_show: float = 0.08
    mistypes: float = 0.1
    goes_out_and_back: float = 0.25
    leaves_early: float = 0.3
    overstays: float = 0.1
    props_door: float = 0.03
    calls_for_help: float = 0.03


class Deed(StrEnum):
    """What a person does."""

    MISTYPE = "mistype"
    COME_IN = "come_in"
    SIT_STILL = "sit_still"
    STIR = "stir"
    CALL = "call"
    PROP = "prop"
    GO_OUT = "go_out"
    PLUG_IN = "plug_in"
    AUTHORISE = "authorise"
    STOP = "stop"
    UNPLUG = "unplug"


@dataclass(frozen=True, slots=True)
class Act:
    """A deed and its wall time."""

    at_ms: int
    deed: Deed


def stay_of(site: Site, facility: str, person: str, pin: str, window_ms: tuple[int, int]) -> Stay:
    """The stay that a booking of a facility means. Raises KeyError."""
    wanted = site.facilities[facility]
    near = [one for one in site.safety.call_points.values() if one.place == wanted.place]
    return Stay(
        person,
        pin,
        wanted.place,
        (*wanted.way, *wanted.doors),
        *window_ms,
        call_point=near[0].id if near else "",
    )


def plan(stay: Stay, habits: Habits, random: Random) -> tuple[Act, ...]:
    """What the holder will do, in order; nothing if they forget to come."""
    if random.random() < habits.no_show:
        return ()
    comes_ms = _at(stay, random.uniform(0.01, 0.12))
    acts = [Act(comes_ms + 2_000, Deed.COME_IN)]
    if random.random() < habits.mistypes:
        acts.insert(0, Act(comes_ms, Deed.MISTYPE))
    leaves_ms = _leaving(stay, habits, random)
    acts += _settled(comes_ms + 2_000, leaves_ms, random)
    if random.random() < habits.goes_out_and_back:
        out_ms = _at(stay, random.uniform(0.3, 0.55))
        back_ms = out_ms + (stay.end_ms - stay.start_ms) // 20
        acts += [Act(out_ms, Deed.GO_OUT), Act(back_ms, Deed.COME_IN)]
    if stay.call_point and random.random() < habits.calls_for_help:
        acts.append(Act(_at(stay, random.uniform(0.2, 0.8)), Deed.CALL))
    acts.append(Act(leaves_ms, Deed.GO_OUT))
    if random.random() < habits.props_door:
        acts.append(Act(leaves_ms + 500, Deed.PROP))
    return tuple(sorted(acts, key=lambda act: act.at_ms))


def _leaving(stay: Stay, habits: Habits, random: Random) -> int:
    chance = random.random()
    if chance < habits.overstays:
        return _at(stay, random.uniform(1.05, 1.2))
    if chance < habits.overstays + habits.leaves_early:
        return _at(stay, random.uniform(0.65, 0.85))
    return _at(stay, random.uniform(0.93, 0.99))


def _settled(from_ms: int, to_ms: int, random: Random) -> list[Act]:
    """Sitting still, with a stir now and then."""
    acts = []
    for number in range(1, 8):
        at_ms = from_ms + (to_ms - from_ms) * number // 8 + random.randrange(1_000)
        acts.append(Act(at_ms, Deed.SIT_STILL if number % 3 else Deed.STIR))
    return acts


def _at(stay: Stay, part: float) -> int:
    return stay.start_ms + round((stay.end_ms - stay.start_ms) * part)


async def live(
    acts: Iterable[Act], do: Callable[[Deed], Awaitable[None]], wall_ms: Callable[[], int]
) -> None:
    """Do each deed at its time; what is overdue is done at once."""
    for act in acts:
        wait_ms = act.at_ms - wall_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1_000)
        await do(act.deed)


class Resident:
    """One person in a simulated site, living one stay."""

    def __init__(self, world: SimulatedSite, stay: Stay, wall_ms: Callable[[], int]) -> None:
        self._world = world
        self._stay = stay
        self._wall_ms = wall_ms

    @property
    def inside(self) -> bool:
        """They are in the place they booked."""
        return self._world.town.whereabouts.get(self._stay.person) == self._stay.place

    async def live(self, acts: tuple[Act, ...]) -> None:
        """Do what was planned, each at its time; what is overdue is done at once."""
        await live(acts, self.do, self._wall_ms)

    async def do(self, deed: Deed) -> None:
        """One deed; what is done inside is left out by a person who is not there."""
        if deed is Deed.MISTYPE:
            await self._world.present_pin(self._stay.doors[-1], mistyped(self._stay.pin))
        elif deed is Deed.COME_IN:
            await self._come_in()
        elif deed is Deed.PROP:
            self._world.prop(self._stay.doors[-1])
        elif self.inside:
            await self._inside(deed)

    async def _inside(self, deed: Deed) -> None:
        room = self._world.town.rooms[self._stay.place]
        if deed is Deed.SIT_STILL:
            room.sit_still(self._stay.person, self._world.now_ms())
        elif deed is Deed.STIR:
            room.stir(self._stay.person, self._world.now_ms())
        elif deed is Deed.CALL:
            await self._world.press(self._stay.call_point)
        elif deed is Deed.GO_OUT:
            for door in reversed(self._stay.doors):
                await self._world.person_exits(door, self._stay.person)

    async def _come_in(self) -> None:
        for door in self._stay.doors:
            if not await self._pass(door):
                return

    async def _pass(self, door: str) -> bool:
        for _ in range(TRIES_AT_DOOR):
            if self._world.town.site.doors[door].points.readers:
                shown = await self._world.present_pin(door, self._stay.pin)
                if shown and shown.get("retry_after_s"):
                    await asyncio.sleep(shown["retry_after_s"])  # as the keypad asks of them
                    continue
            if await self._world.person_enters(door, self._stay.person, PATIENCE_MS):
                return True
        return False


def mistyped(pin: str) -> str:
    """The PIN with its last digit wrong."""
    return pin[:-1] + str((int(pin[-1]) + 1) % 10) if pin and pin[-1].isdigit() else pin + "0"
