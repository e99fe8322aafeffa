"""PINs and cards become keyed digests here, before anything else sees them (RULES B3, U5).

The key is this gateway's own: a digest copied from here opens nothing elsewhere, and a PIN cannot
be guessed from its digest without the key. A digest is always made of the text as people mean it:
full-width digits, spaces and dashes of a PIN, colons and letter case of a card's number, make no
difference, whichever way (reader, API, platform) it came.
"""

import hmac
import re
import secrets
import unicodedata
from pathlib import Path

import structlog

from gateway.domain.secret import Secret
from gateway.domain.subjects import CredentialKind, Presented
from gateway.security.files import PRIVATE, is_private, write_private
from gateway.security.passes import PassVerifier

KEY_BYTES = 32
KEY_FILE = "credential.key"
TYPED_MAX = 64  # more than anybody types: the rest is not looked at

_FILLER = re.compile(r"[\s\-:._]+")

log = structlog.get_logger()


class KeyedCredentials:
    """The `Credentials` port: digests with this gateway's key, passes with the platform's keys."""

    def __init__(self, key: bytes, passes: PassVerifier | None = None) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a credential key has {KEY_BYTES} bytes, found {len(key)}")
        self._key = key
        self._passes = passes or PassVerifier({}, audience="")

    @property
    def key_id(self) -> str:
        """Tells one key from another and nothing else: stored digests are worth what it is."""
        return hmac.digest(self._key, b"key id", "sha256").hex()[:16]

    def pin(self, text: str, identifier: str | None = None) -> Presented:
        """A typed PIN, as a keyed digest. One that holds nothing has a `problem`."""
        return self._digested(CredentialKind.PIN, text, clean_identifier(identifier))

    def card(self, uid: str) -> Presented:
        """A card's number, as a keyed digest. One that holds nothing has a `problem`."""
        return self._digested(CredentialKind.CARD, uid, None)

    def signed_pass(self, token: str) -> Presented:
        """A signed pass, verified offline; `problem` is set when it cannot be."""
        return self._passes.verify(token)

    def _digested(self, kind: CredentialKind, text: str, identifier: str | None) -> Presented:
        plain = _plain(text)
        if not plain:
            return Presented(kind, identifier=identifier, problem="empty")
        message = f"{kind}\0{plain}".encode()
        digest = Secret(hmac.digest(self._key, message, "sha256").hex())
        return Presented(kind, digest=digest, identifier=identifier)


def clean_identifier(text: str | None) -> str | None:
    """What was typed beside a PIN (a flat or member number), as subjects' ids are written.

    None if nothing was. Dashes stay: they are part of an id.
    """
    typed = unicodedata.normalize("NFKC", (text or "")[:TYPED_MAX])
    return "".join(typed.split()).lower() or None


def load_key(folder: Path) -> bytes:
    """The gateway's key from its data folder, made at the first start. Raises OSError.

    A damaged key is set aside and a new one made: calls must not wait for a key, and the PINs
    that no longer match come again with the platform's next snapshot.
    """
    path = folder / KEY_FILE
    if path.exists():
        if not is_private(path):
            log.warning("credential_key_was_readable", file=str(path))
            path.chmod(PRIVATE)
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
        log.error("credential_key_damaged", file=str(path), bytes=len(key), expected=KEY_BYTES)
        path.replace(path.with_suffix(".damaged"))
    key = secrets.token_bytes(KEY_BYTES)
    write_private(path, key)
    return key


def _plain(text: str) -> str:
    typed = unicodedata.normalize("NFKC", text[:TYPED_MAX])
    return _FILLER.sub("", typed).upper()
