"""API bearer tokens: who may speak to the API, and as whom.

A token is shown once, when it is made; the file keeps its digest alone, so a copied file opens
nothing. A token is 256 random bits, so a plain digest cannot be guessed; every comparison takes
the same time. The file is read again when it changes: revoking needs no restart.
"""

import fcntl
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.errors import MalformedError
from gateway.domain.subjects import Role
from gateway.security.files import PRIVATE, write_private

TOKENS_FILE = "tokens.json"
PREFIX = "commons"
ROLES = (Role.PLATFORM, Role.DESK, Role.TECHNICIAN, Role.RESIDENT)
_TOKEN_MAX = 256

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a token stands for: a named person with a role; residents also with their subject."""

    id: str
    name: str
    role: Role
    created_ms: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    holder: Holder
    digest: str


class ApiTokens:
    """The tokens in a data folder. `holder` is for the API; the rest is for `commons token`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / TOKENS_FILE
        self._seen: tuple[int, int] | None = None
        self._kept: dict[str, _Kept] = {}

    def add(self, name: str, role: Role, now_ms: int, subject: str = "") -> str:
        """Make a token for a person; the text that is shown once. Raises MalformedError, OSError.

        A resident's token names the subject it acts for.
        """
        name = name.strip()
        if not name:
            raise MalformedError("a token needs the name of the person who holds it")
        if role not in ROLES:
            raise MalformedError(f"role {role}: expected one of {', '.join(ROLES)}")
        if (role is Role.RESIDENT) != bool(subject):
            raise MalformedError("a resident's token names a subject, and no other token does")
        holder = Holder(secrets.token_hex(4), name, role, now_ms, subject)
        secret = secrets.token_urlsafe(32)
        with self._changing() as kept:
            kept[holder.id] = _Kept(holder, _digest(secret))
        return f"{PREFIX}_{holder.id}_{secret}"

    def revoke(self, id_: str) -> Holder | None:
        """Take a token away; who held it, None if there is none. Raises MalformedError, OSError."""
        with self._changing() as kept:
            gone = kept.pop(id_, None)
        return gone.holder if gone else None

    def list(self) -> tuple[Holder, ...]:
        """Everybody who holds a token, oldest first. Raises MalformedError, OSError."""
        holders = (kept.holder for kept in _read(self._file).values())
        return tuple(sorted(holders, key=lambda holder: holder.created_ms))

    def holder(self, token: str) -> Holder | None:
        """Who presents this token, None if nobody we know. Never raises."""
        self._refresh()
        prefix, _, rest = token[:_TOKEN_MAX].partition("_")
        id_, _, secret = rest.partition("_")
        kept = self._kept.get(id_)
        wanted = kept.digest if kept else _digest("")
        same = hmac.compare_digest(_digest(secret), wanted)
        return kept.holder if kept and same and prefix == PREFIX else None

    def _refresh(self) -> None:
        """Read the file again if it changed. One that cannot be read lets nobody in."""
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            self._seen, self._kept = None, {}
            return
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._kept = _read(self._file)
        except (OSError, MalformedError) as error:
            self._kept = {}
            log.error("tokens_unreadable", file=str(self._file), error=str(error))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, _Kept]]:
        """The tokens, alone with them; written back on leaving."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lock = self._file.with_suffix(".lock")
        with lock.open("w") as held:
            lock.chmod(PRIVATE)
            fcntl.flock(held, fcntl.LOCK_EX)
            kept = _read(self._file)
            yield kept
            rows = [{**asdict(one.holder), "digest": one.digest} for one in kept.values()]
            write_private(self._file, json.dumps(rows, ensure_ascii=False, indent=1).encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(file: Path) -> dict[str, _Kept]:
    if not file.exists():
        return {}
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_bytes())
        if not isinstance(rows, list):
            raise TypeError("not a list")
        kept = (_Kept(_holder(row), str(row["digest"])) for row in rows)
        return {one.holder.id: one for one in kept}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"{file}: expected the tokens as this gateway wrote them") from error


def _holder(row: dict[str, Any]) -> Holder:
    return Holder(
        id=str(row["id"]),
        name=str(row["name"]),
        role=Role(row["role"]),
        created_ms=int(row["created_ms"]),
        subject=str(row.get("subject", "")),
    )
