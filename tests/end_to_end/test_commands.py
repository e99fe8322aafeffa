"""The `commons` command, as a technician and the duty desk use it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from end_to_end.court import Court


async def commons(*words: object) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *(str(word) for word in words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def said(*words: object) -> Any:
    code, out, error = await commons(*words, "--json")
    assert code == 0, error
    return json.loads(out)


async def test_the_desk_answers_a_call_from_the_terminal(here: Court) -> None:
    await here.start()
    await here.ready()
    data = ("--data", here.data)
    assert await here.town.press("study_help")
    await here.sees("/calls", lambda calls: calls)
    (call,) = await said("call", "list", *data)
    wrong = ("call", "clear", call["id"], "--as", "Dora", "--outcome", "nonsense", *data)
    code, _, error = await commons(*wrong)
    assert code == 1
    assert error.startswith("outcome: found nonsense, expected 'genuine', 'false', 'test'")
    for words in (
        ("ack", call["id"], "--as", "Dora"),
        ("attend", call["id"], "--as", "Dora", "--responder", "Rolf"),
        ("clear", call["id"], "--as", "Dora", "--outcome", "false"),
    ):
        code, out, error = await commons("call", *words, *data)
        assert code == 0, (out, error)
    cleared = await here.has("call.cleared")
    assert cleared.data["outcome"] == "false"
    assert cleared.data["person"] == "Dora"
    status, verdict = await asyncio.gather(said("status", *data), said("journal", "verify", *data))
    assert status["storage"]["lost"] is False
    code, shown, _ = await commons("status", *data)
    assert (code, shown.splitlines()[0]) == (0, "test-court: all is well")
    assert "COMMONS_CLOCK vouches for it." in shown
    assert verdict["damages"] == []


async def test_a_technician_reads_writes_and_scans_from_the_ladder(here: Court) -> None:
    site = ("--site", here.folder)
    (code, out, _), listed, board = await asyncio.gather(
        commons("check", *site),
        said("devices", "list", *site),
        said("devices", "read", "board", *site),
    )
    assert (code, "sound" in out) == (0, True)
    assert {"board", "pir", "sos", "keypad"} <= {row["device"] for row in listed}
    assert {row["point"]: row["value"] for row in board}["input_3"] is False
    code, out, _ = await commons("devices", "write", "board/pulse_1", "true", "--yes", *site)
    assert (code, "sent" in out) == (0, True)
    assert here.town.door("study_door").pulses
    found, known = await asyncio.gather(
        said("devices", "scan", "relays", "--to", "2", *site),
        said("devices", "scan", "radio", *site),
    )
    assert [row["device"] for row in found] == ["unit_1"]
    assert any("z2m_sos_button" in row["profiles"] for row in known)


async def test_how_facilities_were_used_is_told_and_written(here: Court, tmp_path: Path) -> None:
    await here.start()
    await here.ready()
    data, file = ("--data", here.data), tmp_path / "use.csv"
    asked = ("--from", "2026-11-01", "--to", "2026-11-03")
    found = await said("report", *asked, "--csv", file, *data)
    assert [line["unknown"] for line in found["lines"]] == [1] * len(found["lines"])
    assert len(file.read_text().splitlines()) == 1 + len(found["lines"])
    code, out, _ = await commons("report", *asked, *data)
    assert (code, "unknown" in out.splitlines()[0]) == (0, True)
    code, _, error = await commons("report", "--from", "2026-11-03", "--to", "2026-11-01", *data)
    assert (code, "expected an instant before to" in error) == (1, True)


async def test_a_backup_is_brought_back_as_a_new_epoch(here: Court, tmp_path: Path) -> None:
    await here.start()
    await here.has("gateway.started")
    file = tmp_path / "backup"
    assert (await commons("backup", file, "--data", here.data))[0] == 0
    fresh = tmp_path / "fresh"
    (code, _, error), (restored, *_) = await asyncio.gather(
        commons("restore", file, "--data", here.data), commons("restore", file, "--data", fresh)
    )
    assert (code, "in use" in error, restored) == (1, True, 0)
    assert (await said("journal", "verify", "--data", fresh))["records"] >= 1


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("call", "list", "--data", "/nonexistent"), 3, "no gateway runs"),
        (("check", "--site", "/nonexistent"), 2, ""),
        (("devices", "read", "bord", "--site", "SITE"), 2, "board"),
        (("token", "add", "X", "--role", "resident", "--data", "DATA"), 1, "subject"),
    ],
)
async def test_wrong_use_is_told_what_was_expected(
    tmp_path: Path, words: tuple[str, ...], code: int, expected: str
) -> None:
    site = str(Path(__file__).parent / "site")
    named = [word.replace("SITE", site).replace("DATA", str(tmp_path)) for word in words]
    found, out, error = await commons(*named)
    assert found == code, (out, error)
    assert expected in error
    assert "Traceback" not in error
