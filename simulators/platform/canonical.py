"""Canonical JSON (RFC 8785, for integers, strings, booleans, lists and objects) and its digests."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any


def canonical(value: Any) -> bytes:
    """The one way to write a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def snapshot_digest(items: Iterable[dict[str, Any]]) -> str:
    """Over the items without their secrets, sorted by bytes, a line each."""
    bare = [{name: item[name] for name in item if name not in ("pin", "card")} for item in items]
    return sha256(b"".join(sorted(canonical(item) + b"\n" for item in bare))).hexdigest()
