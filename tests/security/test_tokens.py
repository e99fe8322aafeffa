"""API bearer tokens in the data folder."""

import stat
from pathlib import Path

import pytest

from gateway.domain.errors import MalformedError
from gateway.domain.subjects import Role
from gateway.security.tokens import TOKENS_FILE, ApiTokens


def test_a_token_stands_for_a_named_person_with_a_role(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    token = tokens.add("Li Wei", Role.DESK, now_ms=5)
    holder = ApiTokens(tmp_path).holder(token)
    assert holder is not None
    assert (holder.name, holder.role, holder.subject) == ("Li Wei", Role.DESK, "")
    assert tokens.list() == (holder,)


def test_the_file_keeps_no_token_and_is_private(tmp_path: Path) -> None:
    token = ApiTokens(tmp_path).add("Platform", Role.PLATFORM, now_ms=5)
    file = tmp_path / TOKENS_FILE
    assert token.split("_", 2)[2] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_wrong_or_broken_token_is_nobody(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    token = tokens.add("Li Wei", Role.DESK, now_ms=5)
    other = tokens.add("Wu", Role.TECHNICIAN, now_ms=6)
    crossed = "_".join([*token.split("_", 2)[:2], other.split("_", 2)[2]])
    for wrong in ("", "x", token[:-1], token + "x", crossed, token.upper(), "commons__", "é_é_é"):
        assert tokens.holder(wrong) is None


def test_revoking_takes_effect_in_a_running_gateway(tmp_path: Path) -> None:
    running, command_line = ApiTokens(tmp_path), ApiTokens(tmp_path)
    token = command_line.add("Li Wei", Role.DESK, now_ms=5)
    holder = running.holder(token)
    assert holder is not None
    assert command_line.revoke(holder.id) == holder
    assert running.holder(token) is None
    assert command_line.revoke(holder.id) is None


def test_a_residents_token_names_the_subject_it_acts_for(tmp_path: Path) -> None:
    tokens = ApiTokens(tmp_path)
    holder = tokens.holder(tokens.add("Chen", Role.RESIDENT, 5, subject="res-0412"))
    assert holder is not None
    assert holder.subject == "res-0412"
    with pytest.raises(MalformedError, match="subject"):
        tokens.add("Chen", Role.RESIDENT, 5)
    with pytest.raises(MalformedError, match="subject"):
        tokens.add("Li Wei", Role.DESK, 5, subject="res-0412")


def test_a_token_needs_a_name_and_an_api_role(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="name"):
        ApiTokens(tmp_path).add(" ", Role.DESK, 5)
    with pytest.raises(MalformedError, match="expected one of platform, desk"):
        ApiTokens(tmp_path).add("Li Wei", Role.CLEANER, 5)


@pytest.mark.parametrize("content", ["", "{", "{}", "[1]", '[{"id": "a"}]', "null"])
def test_a_damaged_file_lets_nobody_in_and_is_not_overwritten(tmp_path: Path, content: str) -> None:
    tokens = ApiTokens(tmp_path)
    token = tokens.add("Li Wei", Role.DESK, now_ms=5)
    (tmp_path / TOKENS_FILE).write_text(content)
    assert tokens.holder(token) is None
    with pytest.raises(MalformedError, match=TOKENS_FILE):
        tokens.add("Wu", Role.DESK, now_ms=6)
    assert (tmp_path / TOKENS_FILE).read_text() == content
