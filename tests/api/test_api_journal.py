"""The journal over HTTP: a cursor, the chain, and personal fields for those who may (U1, U5)."""

from hashlib import sha256

import pytest
from api.api_rig import PIN, Rig

from gateway.domain.records import chain_next, chain_start, personal_digest

API = "/api/v1/journal"


async def filled(rig: Rig) -> None:
    await rig.booking()
    await rig.post(
        "/api/v1/doors/study_room_door/present", {"credential": {"kind": "pin", "pin": PIN}}
    )


async def test_pages_follow_one_another_without_gap_or_repeat(rig: Rig) -> None:
    await filled(rig)
    seqs: list[int] = []
    after, more = 0, True
    while more:
        page = (await rig.get(f"{API}?after={after}&limit=2")).json()
        assert len(page["records"]) <= 2
        seqs += [record["seq"] for record in page["records"]]
        after, more = page["next_after"], page["more"]
    assert seqs == list(range(1, page["head"] + 1))


async def test_the_exact_text_proves_every_record_and_its_place_in_the_chain(rig: Rig) -> None:
    """RULES U1: nothing but the answer itself is needed to verify it."""
    await filled(rig)
    page = (await rig.get(f"{API}?exact=true", "platform")).json()
    chain = chain_start(page["epoch"])
    proved = 0
    for record in page["records"]:
        payload = record["payload"].encode()
        assert sha256(payload).hexdigest() == record["payload_digest"]
        if record["personal_text"] is not None:
            salt, text = bytes.fromhex(record["salt"]), record["personal_text"].encode()
            assert personal_digest(salt, text).hex() == record["personal_digest"]
            proved += 1
        digests = (bytes.fromhex(record[f"{part}_digest"]) for part in ("payload", "personal"))
        chain = chain_next(chain, record["seq"], *digests)
        assert chain.hex() == record["chain"]
    assert proved >= 2


async def test_personal_fields_are_for_roles_that_may_see_people(rig: Rig) -> None:
    await filled(rig)
    for role, sees in (("platform", True), ("desk", True), ("technician", False)):
        text = (await rig.get(f"{API}?exact=true", role)).text
        assert ('"ada"' in text) is sees, role
        assert ("salt" in text) is True
        assert ('"salt":null' in text) is True


@pytest.mark.parametrize("query", ["after=100000", "epoch=another&after=1"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_cursor_of_another_journal_is_a_conflict(shared: Rig, query: str) -> None:
    """An empty page would have a reader wait for ever for records that have come and gone."""
    refused = await shared.get(f"{API}?{query}")
    assert refused.status_code == 409
    assert refused.json()["head"] == shared.engine.head.seq


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=1001", "after=x", "afer=1"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_senseless_cursor_is_named(shared: Rig, query: str) -> None:
    bad = await shared.get(f"{API}?{query}")
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["field"] == f"query.{query.split('=', maxsplit=1)[0]}"
