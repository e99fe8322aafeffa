"""What a link to a broker is, as the site says it: address, protocol, identity, TLS."""

import hashlib
import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.errors import ConfigError, Problem
from gateway.domain.site import Link

KEYS = frozenset(
    (
        "host",
        "port",
        "protocol",
        "username",
        "password_file",
        "password_env",
        "tls",
        "client_id",
        "keepalive_s",
        "broker",
        "demo",
        "trial",
    )
)
TLS_KEYS = frozenset(("ca", "cert", "key"))
PROTOCOLS = (5, 311)
BROKERS = ("mosquitto", "amqtt")
PORT, PORT_TLS = 1883, 8883
KEEPALIVE_S = 10  # a dead broker is known after two of these


@dataclass(frozen=True, slots=True)
class Login:
    """How we show who we are. The password is read when we connect, and kept nowhere."""

    username: str | None = None
    password_file: str = ""
    password_env: str = ""

    def password(self) -> str | None:
        """The password, None if there is none. Raises OSError."""
        if self.password_file:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        return os.environ.get(self.password_env) if self.password_env else None


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates: whom we believe, and who we are."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """A context that checks the broker's name and chain. Raises OSError."""
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Binding:
    """A broker and who we are to it. A trial has a name of its own, and nothing is kept for it."""

    host: str
    port: int
    version5: bool
    client_id: str
    login: Login
    tls: Tls | None
    keepalive_s: int
    trial: bool


def parse(link: Link) -> Binding:
    """The link's binding as the site says it. Raises ConfigError with what is wrong."""
    found = problems(link)
    if found:
        raise ConfigError(tuple(found))
    raw = link.binding
    tls = Tls(**raw["tls"]) if "tls" in raw else None
    return Binding(
        host=raw["host"],
        port=raw.get("port", PORT_TLS if tls else PORT),
        version5=raw.get("protocol", 311) == 5,
        client_id=_client_id(link),
        login=Login(raw.get("username"), raw.get("password_file", ""), raw.get("password_env", "")),
        tls=tls,
        keepalive_s=raw.get("keepalive_s", KEEPALIVE_S),
        trial=bool(raw.get("trial", False)),
    )


def _client_id(link: Link) -> str:
    if link.binding.get("trial"):
        return f"commons-trial-{secrets.token_hex(4)}"
    return link.binding.get("client_id") or default_client_id(link.id)


def default_client_id(link: str) -> str:
    """The same after every start, and another on every machine: brokers put out a double."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = os.uname().nodename
    return f"commons-{link}-{hashlib.sha256(f'{machine}/{link}'.encode()).hexdigest()[:8]}"


def problems(link: Link) -> list[Problem]:
    """What is wrong in the keys of a link."""
    raw = link.binding
    found = [
        _problem(link, key, f"unknown key; expected one of {', '.join(sorted(KEYS))}")
        for key in sorted(raw.keys() - KEYS)
    ]
    if not isinstance(raw.get("host"), str) or not raw["host"]:
        found.append(_problem(link, "host", "expected the broker's name or address"))
    found += _choices(link, raw)
    port = raw.get("port", PORT)
    if not _is_int(port) or not 0 < port < 65_536:
        found.append(_problem(link, "port", f"found {port!r}, expected 1 to 65535"))
    keepalive = raw.get("keepalive_s", KEEPALIVE_S)
    if not _is_int(keepalive) or not 2 <= keepalive <= 300:
        found.append(_problem(link, "keepalive_s", f"found {keepalive!r}, expected 2 to 300"))
    if "password" in raw:
        found.append(_problem(link, "password", "expected password_file or password_env", "U5"))
    return found + _tls_problems(link, raw)


def _choices(link: Link, raw: Mapping[str, Any]) -> list[Problem]:
    found = []
    for key, allowed in (("protocol", PROTOCOLS), ("broker", BROKERS), ("demo", (True, False))):
        if key in raw and raw[key] not in allowed:
            names = " or ".join(str(one) for one in allowed)
            found.append(_problem(link, key, f"found {raw[key]!r}, expected {names}"))
    return found


def _tls_problems(link: Link, raw: Mapping[str, Any]) -> list[Problem]:
    tls = raw.get("tls", {})
    if not isinstance(tls, Mapping):
        return [_problem(link, "tls", "expected ca, and cert with key where we show our own")]
    found = [
        _problem(link, f"tls.{key}", f"unknown key; expected one of {', '.join(sorted(TLS_KEYS))}")
        for key in sorted(tls.keys() - TLS_KEYS)
    ]
    if ("cert" in tls) != ("key" in tls):
        found.append(_problem(link, "tls", "cert and key go together"))
    return found


def _problem(link: Link, key: str, message: str, rule: str = "") -> Problem:
    return Problem("", f"links.{link.id}.{key}", message, rule=rule)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
