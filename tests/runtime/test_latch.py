"""The call latch: no press is lost between the button and the journal (RULES E1)."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.points import PointRef
from gateway.runtime.latch import CallLatch, latch_file

HALL, BATH, ROOF = PointRef("relay", "input_1"), PointRef("relay", "input_2"), PointRef("sos", "x")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.latch"


def test_a_press_is_found_until_it_is_durable(file: Path) -> None:
    latch = CallLatch(file)
    hall, bath = latch.press(HALL), latch.press(BATH)
    assert set(CallLatch(file).found) == {HALL, BATH}
    latch = CallLatch(file)
    assert set(latch.found) == {HALL, BATH}
    latch.found_durable()
    assert CallLatch(file).found == ()
    del hall, bath


def test_each_durable_press_is_taken_out_of_the_file_by_itself(file: Path) -> None:
    latch = CallLatch(file)
    hall, bath = latch.press(HALL), latch.press(BATH)
    hall()
    assert file.read_text() == "+relay/input_1\n+relay/input_2\n-relay/input_1\n"
    bath()
    assert file.read_bytes() == b""
    latch.press(ROOF)
    assert CallLatch(file).found == (ROOF,)


def test_a_point_is_there_once_however_often_it_is_pressed(file: Path) -> None:
    latch = CallLatch(file)
    presses = [latch.press(HALL) for _ in range(1000)]
    assert file.read_text() == "+relay/input_1\n"
    for durable in presses[:-1]:
        durable()
    assert file.read_text() == "+relay/input_1\n"  # the last one is still under way
    presses[-1]()
    assert file.read_bytes() == b""


def test_a_press_while_a_found_one_is_not_durable_stays_when_that_is(file: Path) -> None:
    CallLatch(file).press(HALL)
    latch = CallLatch(file)
    latch.press(HALL)
    latch.found_durable()
    assert CallLatch(file).found == (HALL,)


@pytest.mark.parametrize(
    "torn",
    [
        "+relay/inp",
        "-relay/input_1",
        "+\n",
        "nonsense\n",
        "\n",
        "+/x\n",
        "?relay/input_2\n",
        "\x00\x00\n",
    ],
)
def test_a_line_that_is_not_whole_or_makes_no_sense_is_passed_over(file: Path, torn: str) -> None:
    file.write_bytes(b"+relay/input_1\n" + torn.encode())
    assert CallLatch(file).found == (HALL,)


def test_bytes_that_are_no_text_are_passed_over(file: Path) -> None:
    file.write_bytes(b"+relay/input_1\n\xff\xfe\xff\n+sos/x\n")
    assert CallLatch(file).found == (HALL, ROOF)


def test_a_file_that_cannot_be_written_stands_in_no_presss_way(tmp_path: Path) -> None:
    latch = CallLatch(tmp_path / "none" / "calls.latch")
    latch.press(HALL)()
    (tmp_path / "none").mkdir()
    latch.press(BATH)
    assert CallLatch(tmp_path / "none" / "calls.latch").found == (BATH,)


def test_the_file_stays_small_while_one_press_is_never_durable(file: Path) -> None:
    """RULES X1: with the store lost nothing becomes durable, for days."""
    latch = CallLatch(file)
    latch.press(ROOF)
    for _ in range(3000):
        latch.press(HALL)()
    assert file.stat().st_size < 20_000
    assert CallLatch(file).found == (ROOF,)


def test_a_killed_process_leaves_its_presses(file: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from gateway.domain.points import PointRef
from gateway.runtime.latch import CallLatch
latch = CallLatch(Path(sys.argv[1]))
latch.press(PointRef("relay", "input_1"))()
latch.press(PointRef("relay", "input_2"))
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    assert killed.returncode == -9
    assert CallLatch(file).found == (BATH,)


def test_the_file_lies_in_the_runtime_directory_where_there_is_one(tmp_path: Path) -> None:
    assert latch_file(tmp_path, {}) == tmp_path / "calls.latch"
    assert latch_file(tmp_path, {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path(
        "/run/a/calls.latch"
    )
