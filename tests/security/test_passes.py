"""Signed passes, verified offline (RULES A1)."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.domain.subjects import PassClaims
from gateway.security.passes import PassVerifier, load_pass_keys

PLATFORM = Ed25519PrivateKey.generate()
GATEWAY = "riverside-east"
CLAIMS: dict[str, Any] = {
    "jti": "pass-7",
    "sub": "res-0412",
    "booking": "b-91",
    "revision": 17,
    "exp": 1_800_000_000,
    "aud": GATEWAY,
}


def pem(key: Any) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    text: bytes = key.public_key().public_bytes(encoding, form)
    return text.decode()


def signed(claims: dict[str, Any], key: Any = PLATFORM, kid: str = "2026-a", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid, **header})


@pytest.fixture
def verifier() -> PassVerifier:
    return PassVerifier({"2026-a": pem(PLATFORM)}, audience=GATEWAY)


def test_a_good_pass_says_who_and_which_booking(verifier: PassVerifier) -> None:
    presented = verifier.verify(signed(CLAIMS))
    assert presented.problem == ""
    assert presented.claims == PassClaims("pass-7", "res-0412", "b-91", 17, 1_800_000_000_000)


def test_expiry_is_left_to_the_core_whose_clock_may_be_untrusted(verifier: PassVerifier) -> None:
    presented = verifier.verify(signed({**CLAIMS, "exp": int(time.time()) - 86_400}))
    assert presented.problem == ""


def test_keys_may_be_jwk_and_more_than_one(tmp_path: Path) -> None:
    raw = jwt.algorithms.OKPAlgorithm.to_jwk(PLATFORM.public_key(), as_dict=True)
    (tmp_path / "2026-b.jwk").write_text(json.dumps(raw))
    (tmp_path / "2026-a.pem").write_text(pem(Ed25519PrivateKey.generate()))
    (tmp_path / "README").write_text("not a key")
    verifier = PassVerifier(load_pass_keys(tmp_path), audience=GATEWAY)
    assert verifier.verify(signed(CLAIMS, kid="2026-b")).problem == ""
    assert verifier.verify(signed(CLAIMS, kid="2026-a")).problem == "signature wrong"
    assert load_pass_keys(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (signed(CLAIMS, Ed25519PrivateKey.generate()), "signature wrong"),
        (signed(CLAIMS, kid="2019"), "unknown key"),
        (signed({**CLAIMS, "aud": "elsewhere"}), "for another gateway"),
        (signed({name: CLAIMS[name] for name in CLAIMS if name != "aud"}), "incomplete"),
        (signed({name: CLAIMS[name] for name in CLAIMS if name != "exp"}), "incomplete"),
        (signed({**CLAIMS, "revision": "17"}), "incomplete"),
        (signed({**CLAIMS, "revision": True}), "incomplete"),
        (signed({**CLAIMS, "booking": ""}), "incomplete"),
        (jwt.encode(CLAIMS, "s" * 40, algorithm="HS256", headers={"kid": "2026-a"}), "wrong"),
        (jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "2026-a"}), "wrong algorithm"),
        (signed(CLAIMS)[:-6] + "AAAAAA", "signature wrong"),
        ("", "unreadable"),
        ("a.b.c", "unreadable"),
        ("é" * 30, "unreadable"),
        ("x" * 5000, "too long"),
    ],
)
def test_a_bad_pass_is_a_short_reason_and_no_exception(
    verifier: PassVerifier, token: str, problem: str
) -> None:
    presented = verifier.verify(token)
    assert presented.claims is None
    assert presented.problem.startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        pem(generate_private_key(SECP256R1())),
        pem(Ed448PrivateKey.generate()),
    ],
)
def test_a_key_that_is_none_is_a_short_reason(text: str) -> None:
    presented = PassVerifier({"2026-a": text}, audience=GATEWAY).verify(signed(CLAIMS))
    assert presented.problem.startswith("key")
