"""An incident on site is replayed from the input ring: record by record as it was (DESIGN §8)."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from end_to_end.court import Court
from end_to_end.test_commands import commons
from end_to_end.test_main_job import answer, booked, visit

from gateway.runtime.ring import FOLDER, lines_of

PIN, WRONG = "482913", "739154"
STORES_OWN = ("journal.",)  # what the store states of itself, no decision of the core


async def replayed(ring: Path, site: Path) -> list[dict[str, Any]]:
    """What `commons world --replay` decides, an input a line."""
    code, out, error = await commons("world", "--replay", ring, "--site", site, "--json")
    assert code == 0, error
    return [json.loads(line) for line in out.splitlines()]


def records_of(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records that a replay states, as the journal has them."""
    return [
        {
            **{name: told["at"][name] for name in ("boot", "mono_ms", "timeline", "trust")},
            "at_ms": told["at"]["wall_ms"],
            "type": record["fact"],
            "data": record["data"],
            "personal": record["personal"] or None,
        }
        for one in inputs
        for told in one["events"]
        for record in told["records"]
    ]


async def journal_of(here: Court) -> list[dict[str, Any]]:
    """What the gateway decided, as its journal has it."""
    code, out, error = await commons("journal", "export", "--personal", "--data", here.data)
    assert code == 0, error
    lines = [json.loads(line) for line in out.splitlines()]
    return [
        {**line["payload"], "personal": line["personal"]}
        for line in lines
        if not line["fact"].startswith(STORES_OWN)
    ]


async def test_what_is_replayed_is_what_the_gateway_decided(here: Court, tmp_path: Path) -> None:
    await booked(here)
    await here.town.present_pin("study_door", WRONG, patience_ms=0)
    await here.has("access.refused")
    await visit(here)
    await here.has("visit.closed")
    assert await here.town.press("study_help")
    await here.until(lambda: b'"call.raised"' in b"".join(lines_of(here.data / FOLDER)))
    await here.kill()
    await here.start()
    await here.has("call.raised_again")
    await here.ready()
    await answer(here, "study_help")
    await here.has("call.cleared")
    pulses = len(here.town.door("study_door").pulses)
    assert await here.stop() == 0

    ring = tmp_path / "incident.jsonl.gz"
    code, said, error = await commons("ring", ring, "--data", here.data)
    assert (code, "names persons, no secret" in said) == (0, True), error
    found = await replayed(ring, here.folder)
    assert all(one["same"] for one in found)
    decided, journal = records_of(found), await journal_of(here)
    (first, last) = dict.fromkeys(record["boot"] for record in journal)
    of = {boot: [r for r in journal if r["boot"] == boot] for boot in (first, last)}
    again = {boot: [r for r in decided if r["boot"] == boot] for boot in (first, last)}
    assert again[last] == of[last]
    most = min(len(of[first]), len(again[first]))  # the kill may have cut off the last of either
    assert again[first][:most] == of[first][:most]
    assert {"access.granted", "visit.closed", "call.raised"} <= {
        record["type"] for record in again[first][:most]
    }
    releases = {
        wanted["token"]
        for one in found
        for ref, wanted in one["setpoints"].items()
        if ref == "board/pulse_1" and wanted is not None
    }
    assert len(releases) == pulses


async def test_a_technician_reads_an_incident_and_no_secret_is_in_it(
    here: Court, tmp_path: Path
) -> None:
    """RULES U5: neither what was typed nor its digest; who typed the same twice can be seen."""
    await booked(here)
    await here.opens("study_door", PIN)
    await here.has("access.granted")
    assert await here.stop() == 0
    ring = tmp_path / "incident.jsonl.gz"
    assert (await commons("ring", ring, "--data", here.data))[0] == 0
    code, out, error = await commons("world", "--replay", ring, "--site", here.folder)
    assert code == 0, error
    assert "fact    access.granted door=study_door" in out
    assert '"Please come in."' not in out  # that is the reply's
    assert "reply   Accepted: Please come in." in out
    assert "set     board/pulse_1 pulse" in out
    code, everything, _ = await commons("world", "--replay", ring, "--site", here.folder, "--json")
    digests = digests_of(here)
    assert digests
    for secret in (PIN, *digests):
        assert secret not in everything

    (here.folder / "devices" / "sos.yaml").write_text(
        (here.folder / "devices" / "sos.yaml").read_text() + "\n# moved to the garden\n"
    )
    code, out, error = await commons("world", "--replay", ring, "--site", here.folder)
    assert (code, out) == (0, "")
    assert "1 recordings were made with other files of the site than" in error


def digests_of(here: Court) -> list[str]:
    """The keyed digests that the store holds."""
    with closing(sqlite3.connect(here.data / "gateway.db")) as connection:
        bodies = connection.execute("SELECT body FROM entity WHERE kind = 'credential'")
        return [json.loads(body)["digest"] for (body,) in bodies]
