"""Signed passes: a JWS with an Ed25519 key of the platform, verified offline (RULES A1).

What is proved here: the platform signed it, for this gateway, and it is whole. What is *not*
judged here: whether it has expired or is revoked. The clock may be untrusted, and revocation is by
revision, so both are the core's to decide from the claims.

The cryptography is imported with the first pass: a gateway that sees none does not pay for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.domain.errors import MalformedError
from gateway.domain.subjects import CredentialKind, PassClaims, Presented

TOKEN_MAX = 4096
ALGORITHM = "EdDSA"
_REQUIRED = ("jti", "sub", "booking", "revision", "exp", "aud")


class PassVerifier:
    """Verifies passes for one gateway with the platform's public keys, by `kid`.

    A key is PEM text or a JWK. Keys are parsed when first needed.
    """

    def __init__(self, keys: Mapping[str, str], audience: str) -> None:
        self._texts = dict(keys)
        self._audience = audience
        self._parsed: dict[str, Any] = {}

    def verify(self, token: str) -> Presented:
        """The claims of a good pass, or a `problem` in a few words; never raises."""
        try:
            claims = self._claims(token)
        except MalformedError as error:
            return Presented(CredentialKind.PASS, problem=str(error))
        return Presented(CredentialKind.PASS, claims=claims)

    def _claims(self, token: str) -> PassClaims:
        if len(token) > TOKEN_MAX:
            raise MalformedError("too long")
        import jwt  # noqa: PLC0415  # 12 MB that most gateways never need

        options: Any = {"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False}
        options |= {"verify_nbf": False}
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header)
            body = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=self._audience, options=options
            )
        except jwt.exceptions.PyJWTError as error:
            raise MalformedError(_problem(error)) from error
        return _pass_claims(body)

    def _key(self, header: Mapping[str, Any]) -> Any:
        if header.get("alg") != ALGORITHM:
            raise MalformedError("wrong algorithm")
        kid = header.get("kid")
        if not isinstance(kid, str) or kid not in self._texts:
            raise MalformedError("unknown key")
        if kid not in self._parsed:
            self._parsed[kid] = parse_public_key(self._texts[kid])
        return self._parsed[kid]


def parse_public_key(text: str) -> Any:
    """An Ed25519 public key from PEM text or a JWK. Raises MalformedError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  # lazy, as above
        Ed25519PublicKey,
    )
    from jwt.algorithms import OKPAlgorithm  # noqa: PLC0415  # lazy, as above
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415  # lazy, as above

    try:
        algorithm = OKPAlgorithm()
        stripped = text.strip()
        key = (
            algorithm.from_jwk(stripped)
            if stripped.startswith("{")
            else algorithm.prepare_key(stripped)
        )
    except (InvalidKeyError, ValueError, TypeError) as error:
        raise MalformedError("key unreadable") from error
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedError("key is not an Ed25519 public key")
    return key


def load_pass_keys(folder: Path) -> dict[str, str]:
    """Public keys by `kid`: each `<kid>.pem` or `<kid>.jwk` in the folder. Raises OSError."""
    if not folder.is_dir():
        return {}
    files = sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".jwk"))
    return {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in files}


def _problem(error: Exception) -> str:
    """A few words for a person; the library's own might quote the token."""
    import jwt  # noqa: PLC0415  # lazy, as above

    known: tuple[tuple[type[Exception], str], ...] = (
        (jwt.exceptions.InvalidSignatureError, "signature wrong"),
        (jwt.exceptions.InvalidAudienceError, "for another gateway"),
        (jwt.exceptions.MissingRequiredClaimError, "incomplete"),
    )
    for kind, words in known:
        if isinstance(error, kind):
            return words
    return "unreadable"


def _pass_claims(body: Mapping[str, Any]) -> PassClaims:
    texts = [body[name] for name in ("jti", "sub", "booking")]
    numbers = [body[name] for name in ("revision", "exp")]
    if not all(isinstance(text, str) and text for text in texts):
        raise MalformedError("incomplete")
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise MalformedError("incomplete")
    return PassClaims(
        id=body["jti"],
        subject=body["sub"],
        booking=body["booking"],
        revision=body["revision"],
        expires_ms=body["exp"] * 1000,
    )
