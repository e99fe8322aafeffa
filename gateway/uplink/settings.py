"""How to reach the platform, checked at the edge: `uplink:` of the site."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gateway.domain.errors import ConfigError, Problem


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsFiles(_Strict):
    """Certificates in PEM files. Without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> "TlsFiles":
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        return self


class Broker(_Strict):
    """An MQTT broker and how to log in to it. Passwords lie in files of their own (RULES U5)."""

    host: str
    port: int = Field(default=0, ge=0, le=65_535)  # 0: 8883 with TLS, else 1883
    tls: TlsFiles | None = None
    username: str | None = None
    password_file: Path | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    plain: bool = False  # without TLS over a network: somebody said so knowingly
    keepalive_s: int = Field(default=30, ge=5, le=3_600)
    timeout_ms: int = Field(default=10_000, ge=100)

    @field_validator("protocol", mode="before")
    @classmethod
    def _version(cls, found: object) -> object:
        """Links to devices say 5 or 311."""
        return {5: "5", 311: "3.1.1"}.get(found, found) if isinstance(found, int) else found

    @model_validator(mode="after")
    def _login(self) -> "Broker":
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        return self

    @property
    def port_used(self) -> int:
        """The port, or the usual one."""
        return self.port or (8883 if self.tls else 1883)

    @property
    def exposed(self) -> bool:
        """True where PINs would cross a network unencrypted (RULES B3)."""
        return self.tls is None and not _loopback(self.host)


class UplinkSettings(Broker):
    """The broker of the platform, and the figures of the push."""

    gateway: str | None = None  # the name on the topics; None: the site's id
    batch_records: int = Field(default=100, ge=1, le=1_000)
    batch_bytes: int = Field(default=131_072, ge=1_024)
    window_records: int = Field(default=1_000, ge=1)
    resend_ms: int = Field(default=10_000, ge=100)
    resend_max_ms: int = Field(default=60_000, ge=100)
    urgent_resend_ms: int = Field(default=5_000, ge=100)
    reconnect_ms: int = Field(default=1_000, ge=10)
    reconnect_max_ms: int = Field(default=120_000, ge=10)
    reconnect_call_ms: int = Field(default=5_000, ge=10)  # while a call is unanswered
    status_ms: int = Field(default=60_000, ge=100)
    look_ms: int = Field(default=500, ge=5)
    cursor_save_ms: int = Field(default=5_000, ge=0)
    message_bytes_max: int = Field(default=8_388_608, ge=1_024)


def check(uplink: Mapping[str, Any], file: str = "site.yaml") -> list[Problem]:
    """What is wrong in the site's `uplink` settings."""
    try:
        settings = UplinkSettings.model_validate(uplink)
    except ValidationError as error:
        return [
            Problem(file, ".".join(("uplink", *map(str, each["loc"]))), each["msg"])
            for each in error.errors(include_url=False, include_input=False)
        ]
    if settings.exposed:
        found = "PINs would cross the network in clear; expected tls: {ca, cert, key}"
        return [Problem(file, "uplink.tls", found, rule="B3", warning=settings.plain)]
    return []


def parse(uplink: Mapping[str, Any]) -> UplinkSettings:
    """The settings. Raises ConfigError."""
    problems = tuple(problem for problem in check(uplink) if not problem.warning)
    if problems:
        raise ConfigError(problems)
    return UplinkSettings.model_validate(uplink)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
