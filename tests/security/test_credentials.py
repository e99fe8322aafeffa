"""PINs and cards as keyed digests of this gateway (RULES B3, U5)."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.subjects import CredentialKind
from gateway.security.credentials import KEY_FILE, KeyedCredentials, load_key

KEY = bytes(range(32))


@pytest.fixture
def credentials() -> KeyedCredentials:
    return KeyedCredentials(KEY)


def test_one_pin_has_one_digest_however_it_was_typed(credentials: KeyedCredentials) -> None:
    digests = {credentials.pin(text).digest for text in ("482913", " 4829-13 ", "４８２９１３")}
    assert len(digests) == 1
    assert credentials.pin("482914").digest not in digests


def test_a_digest_needs_the_key_and_shows_nothing(credentials: KeyedCredentials) -> None:
    presented = credentials.pin("482913")
    assert presented.digest is not None
    assert presented.digest != KeyedCredentials(bytes(32)).pin("482913").digest
    assert "482913" not in repr(presented)
    assert presented.digest.reveal() not in repr(presented)


def test_a_card_is_no_pin_of_the_same_figures(credentials: KeyedCredentials) -> None:
    assert credentials.card("04829130").digest != credentials.pin("04829130").digest
    assert credentials.card("04:a2:9f:1b").digest == credentials.card("04A29F1B").digest
    assert credentials.card("04A29F1B").type is CredentialKind.CARD


def test_the_identifier_stays_readable_beside_the_digest(credentials: KeyedCredentials) -> None:
    """It is compared with ids of subjects, which are in lower case and may hold dashes."""
    assert credentials.pin("482913", " 12-03B ").identifier == "12-03b"
    assert credentials.pin("482913", "０８０２").identifier == "0802"
    assert credentials.pin("482913", "  ").identifier is None
    assert credentials.pin("482913").identifier is None


@pytest.mark.parametrize("text", ["", "   ", "--"])
def test_an_empty_pin_matches_nothing(credentials: KeyedCredentials, text: str) -> None:
    presented = credentials.pin(text)
    assert presented.digest is None
    assert presented.problem == "empty"


def test_the_key_is_made_once_for_the_gateway_alone(tmp_path: Path) -> None:
    first = load_key(tmp_path / "data")
    assert load_key(tmp_path / "data") == first
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert load_key(tmp_path / "other") != first


def test_a_readable_key_file_is_closed_again(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    assert load_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_damaged_key_is_set_aside_and_shows_by_its_id(tmp_path: Path) -> None:
    before = KeyedCredentials(load_key(tmp_path))
    (tmp_path / KEY_FILE).write_bytes(b"short")
    after = KeyedCredentials(load_key(tmp_path))
    assert before.key_id != after.key_id
    assert (tmp_path / "credential.damaged").read_bytes() == b"short"


def test_a_pass_without_keys_is_refused_with_a_reason(credentials: KeyedCredentials) -> None:
    presented = credentials.signed_pass("not.a.pass")
    assert presented.claims is None
    assert presented.problem


def test_digests_do_not_load_the_cryptography_of_passes() -> None:
    code = (
        "import sys; from gateway.security.credentials import KeyedCredentials as K;"
        "K(bytes(32)).pin('1234'); print(sorted({'jwt', 'cryptography'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
