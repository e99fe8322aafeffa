"""An incident replayed from the input ring: as it was decided, and no secret in it (DESIGN §8)."""

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import hypothesis.strategies as st
import pytest
from core.harness import World
from core.test_any_order import Life, Watched
from fixtures.waiting import until
from hypothesis import HealthCheck, given, settings
from structlog.testing import capture_logs

from gateway.core import decide
from gateway.domain.events import (
    CallerFine,
    CommandReceived,
    CredentialPresented,
    Event,
    LinkHealthChanged,
)
from gateway.domain.faults import Health
from gateway.domain.now import Now, Trust
from gateway.domain.points import PointRef, Setpoint
from gateway.domain.secret import Secret
from gateway.domain.state import KINDS
from gateway.domain.subjects import Subject
from gateway.ports import Stamped
from gateway.runtime import ring as ring_module
from gateway.runtime.plain import Plain, value_of
from gateway.runtime.recording import Beginning, Input, RecordedStep
from gateway.runtime.replay import Recording, RingError, recordings, replay
from gateway.runtime.ring import (
    InputRing,
    files_of,
    line_of,
    lines_of,
    masked_with,
    open_ring,
)
from gateway.runtime.step import Step

BEGINS_EVERY = 40
Derived = dict[PointRef, Setpoint]


class Lines:
    """A recorder whose lines a test reads; with each input, what every point was to be after it."""

    def __init__(self, world: World) -> None:
        self.lines: list[bytes] = []
        self.derived: list[Derived] = []
        self._world = world
        self._plain = Plain(masked_with(b"nobody keeps this"))
        self._since = 0

    @property
    def wants_beginning(self) -> bool:
        return self._since >= BEGINS_EVERY

    def begin(self, beginning: Beginning) -> None:
        self.lines.append(line_of(beginning, self._plain, "0"))
        self._since = 0

    def add(self, input_: Input) -> None:
        self.lines.append(line_of(input_, self._plain, "0"))
        self.derived.append(wanted(self._world.step))
        self._since += 1


def wanted(step: Step) -> Derived:
    return {ref: setpoint for ref, setpoint in step._derived.items() if setpoint is not None}


class Recorded(Watched):
    """A world on the record."""

    def __init__(self) -> None:
        self.recorder = Lines(self)
        super().__init__()

    def _new_step(self) -> Step:
        return RecordedStep(self.site, self._load(), self.readings, self.recorder, lost="")


def check(world: Recorded) -> None:
    """What is replayed is what was decided: each fact with its instant, each setpoint."""
    found: list[Stamped] = []
    derived: list[Derived] = []
    for recording in recordings(world.recorder.lines):
        points = {one.ref: one for one in recording.beginning.setpoints}
        for replayed in replay(recording, world.site):
            assert replayed.same
            for ref, setpoint in replayed.setpoints.items():
                points.pop(ref, None)
                if setpoint is not None:
                    points[ref] = setpoint
            derived.append(dict(points))
            instants = [now for _, now in replayed.input.events]
            found += [
                Stamped(record, now)
                for now, decision in zip(instants, replayed.decisions, strict=True)
                for record in decision.records
            ]
    assert found == world.stamped
    assert derived == world.recorder.derived


class RecordedLife(Life):
    """Hours in a small building: people, slow and full disks, silent devices, restarts, a clock."""

    world_of = Recorded

    def teardown(self) -> None:
        world = self.world
        assert isinstance(world, Recorded)
        check(world)


RecordedLife.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestRecordedLife = RecordedLife.TestCase


# --- one input at a time ------------------------------------------------------------------------


def recorded(world: World) -> tuple[Recording, ...]:
    assert isinstance(world, Recorded)
    return tuple(recordings(world.recorder.lines))


def test_no_secret_is_in_a_recording_and_who_typed_the_same_is_still_known() -> None:
    """RULES U5: what stands for a PIN is the same for the same one, and nothing else."""
    world = Recorded()
    world.person("ann", pin="1111")
    world.book("b1", "study", "ann", "08:00", "10:00")
    assert world.pin("study", "1111").accepted
    assert not world.pin("study", "2222").accepted
    text = b"".join(world.recorder.lines)
    assert b"1111" not in text
    assert b"2222" not in text
    (recording,) = recorded(world)
    shown = [
        event.presented.digest
        for input_ in recording.inputs
        for event, _ in input_.events
        if isinstance(event, CredentialPresented)
    ]
    assert len(set(shown)) == 2
    assert "Secret(•••)" in repr(shown)
    check(world)


def test_a_store_that_opens_again_and_again_begins_no_new_recording() -> None:
    """A full card is opened every ten seconds: each time all that is true would go to the ring."""
    world = Recorded()
    world.disk.broken = True
    world.person("ann", pin="1111")
    for _ in range(3):
        world.reopen()
        world.book("b1", "study", "ann", "08:00", "10:00")
    assert world.pin("study", "1111").accepted
    (_,) = recorded(world)
    check(world)


def test_what_the_core_saw_of_readings_goes_with_the_input_that_saw_it() -> None:
    world = Recorded()
    world.wait(seconds=20)
    device = world.site.safety.call_points["help"].point.device
    heard = [
        (input_.at.mono_ms, input_.saw.heard[device])
        for recording in recorded(world)
        for input_ in recording.inputs
        if device in input_.saw.heard
    ]
    assert len(heard) > 2
    assert all(mono_ms == heard_ms for mono_ms, heard_ms in heard), "it answers all the time"
    check(world)


def test_a_decision_that_is_another_now_is_told() -> None:
    world = Recorded()
    world.press()
    (recording,) = recorded(world)
    silent = replace(world.site, safety=replace(world.site.safety, call_points={}))
    assert not all(replayed.same for replayed in replay(recording, silent))
    assert all(replayed.same for replayed in replay(recording, world.site))


def test_an_input_that_ended_the_gateway_ends_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §7: a bug in the core ends the process; the last input is the one to look at."""

    def bug(*_: object) -> None:
        raise ZeroDivisionError("what nobody may see")

    world = Recorded()
    monkeypatch.setitem(decide._RULES, CallerFine, bug)
    with pytest.raises(ZeroDivisionError):
        world.tell(CallerFine("call"))
    assert b"what nobody may see" not in b"".join(world.recorder.lines)
    (recording,) = recorded(world)
    *_, last = replay(recording, world.site)
    assert isinstance(last.failed, ZeroDivisionError)
    assert last.same
    monkeypatch.undo()
    *_, last = replay(recording, world.site)
    assert (last.failed, last.same) == (None, False), "mended since"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nonsense", "line 1: expected an input of the gateway"),
        (b'{"format": 99}', "expected format 1, found 99: use its own version"),
        (b'{"take": [1]}', "line 1: expected an input of the gateway"),
        (b'{"take": [1, 1, "holdover", 1, 0], "events": [[{"is": "Gone"}, []]]}', "line 1:"),
    ],
)
def test_what_is_no_recording_is_named(line: bytes, said: str) -> None:
    with pytest.raises(RingError, match=said):
        list(recordings([line]))


# --- on disk ------------------------------------------------------------------------------------


def beginning() -> Beginning:
    now = Now(1, 1, Trust.SYNCHRONISED, "boot")
    return Beginning(now, "site", "digest", (Subject("ada"),), ())


def an_input(serial: int) -> Input:
    """One that is large and hardly packs."""
    detail = random.Random(serial).randbytes(500).hex()
    now = Now(1, 1, Trust.SYNCHRONISED, "boot", serial)
    return Input("take", now, ((LinkHealthChanged("link", Health.SILENT, detail), now),))


async def fill(ring: InputRing, serials: range) -> None:
    """As a Step does: a beginning where one is wanted, each input after the last was taken."""
    for serial in serials:
        if serial == serials[0] or ring.wants_beginning:
            ring.begin(beginning())
        ring.add(an_input(serial))
        await until(ring._queue.empty)


def serials(lines: Iterable[bytes]) -> list[int]:
    return [one.at.serial for found in recordings(lines) for one in found.inputs]


async def test_the_ring_keeps_the_newest_inputs_in_files_of_their_own(tmp_path: Path) -> None:
    ring = InputRing(tmp_path / "inputs", "0", file_bytes=8_000, together=40_000)
    await fill(ring, range(200))
    ring.close()
    files = files_of(tmp_path / "inputs")
    found = serials(lines_of(tmp_path / "inputs"))
    assert 3 <= len(files) <= 5
    assert (
        sum(file.stat().st_size for file in files) <= 40_000 + 4_000
    )  # the last may take a little more
    assert found == list(range(found[0], 200))
    assert 20 < len(found) < 150
    for file in files:
        assert serials(lines_of(file)), "each is a recording of its own"
        assert file.stat().st_mode & 0o077 == 0


async def test_another_process_goes_on_beside_what_it_finds(tmp_path: Path) -> None:
    for start in (0, 5):
        ring = InputRing(tmp_path, "0")
        await fill(ring, range(start, start + 5))
        ring.close()
    assert serials(lines_of(tmp_path)) == list(range(10))
    assert [file.name for file in files_of(tmp_path)] == ["000001.jsonl.gz", "000002.jsonl.gz"]


@pytest.mark.parametrize("lost_bytes", [1, 8, 300])
async def test_a_file_without_its_end_is_read_up_to_there(tmp_path: Path, lost_bytes: int) -> None:
    ring = InputRing(tmp_path, "0")
    await fill(ring, range(5))
    ring.close()
    (file,) = files_of(tmp_path)
    file.write_bytes(file.read_bytes()[:-lost_bytes])
    found = serials(lines_of(tmp_path))
    assert found == list(range(len(found)))
    assert len(found) >= 4


async def test_what_it_cannot_keep_up_with_is_left_out_and_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whatever floods the gateway."""
    monkeypatch.setattr(ring_module, "WAITING_MAX", 3)
    monkeypatch.setattr(ring_module, "AFTER_S", 0.2)
    ring = InputRing(tmp_path, "0")
    ring.begin(beginning())
    for serial in range(100):
        ring.add(an_input(serial))
    await until(lambda: ring.wants_beginning)
    await fill(ring, range(100, 105))
    ring.close()
    found = serials(lines_of(tmp_path))
    assert found[-5:] == list(range(100, 105))
    assert len(found) < 20
    assert len(files_of(tmp_path)) == 2


async def test_a_folder_that_takes_nothing_is_told_once_and_stands_in_no_ones_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES X1: the gateway goes on; once there is room it keeps its inputs again."""
    monkeypatch.setattr(ring_module, "RETRY_S", 0.0)
    (tmp_path / "inputs").write_text("no folder")
    ring = InputRing(tmp_path / "inputs", "0")
    with capture_logs() as logs:
        for _ in range(3):
            await fill(ring, range(3))
            await until(lambda: ring.wants_beginning)
    assert [log["event"] for log in logs] == ["inputs_not_kept"]
    (tmp_path / "inputs").unlink()
    await fill(ring, range(3))
    ring.close()
    assert serials(lines_of(tmp_path / "inputs")) == [0, 1, 2]


async def test_a_ring_elsewhere_is_found_from_the_data_folder(tmp_path: Path) -> None:
    data, runtime = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    elsewhere = {"RUNTIME_DIRECTORY": str(runtime)}
    for environment in (elsewhere, elsewhere, {}):
        ring = open_ring(data, "0", environment)
        await fill(ring, range(2))
        ring.close()
        assert serials(lines_of(data / "inputs"))
    assert len(files_of(runtime / "inputs")) == 2
    assert not (data / "inputs").is_symlink()


# --- values -------------------------------------------------------------------------------------

st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(
    CommandReceived,
    st.builds(CommandReceived, arguments=st.dictionaries(st.text(), st.integers() | st.text())),
)
st.register_type_strategy(Secret, st.builds(Secret, st.text(min_size=1)))
st.register_type_strategy(
    PointRef, st.builds(PointRef, st.sampled_from(("board", "pir")), st.text("ab/", min_size=1))
)
EVENTS = [st.from_type(type_) for type_ in get_args(Event)]
ENTITIES = [st.from_type(type_) for type_ in KINDS.values()]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(*EVENTS, *ENTITIES))
def test_every_event_and_entity_comes_back_as_it_was(value: Any) -> None:
    plain = Plain(Secret.reveal)
    found = json.loads(json.dumps(plain(value)))
    assert value_of(type(value), found) == value
