"""What the fuzzer found worth keeping, one file for each target: an input a line, as JSON text.

Each byte is the character of that number, so that what is mostly text can be read.
"""

import json
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
INPUTS_MAX = 60
BYTES_MAX = 1_000


def kept(target: str) -> list[bytes]:
    """The inputs of a target."""
    lines = (FOLDER / f"{target}.jsonl").read_text().splitlines()
    return [json.loads(line).encode("latin-1") for line in lines]


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Keep the shortest of these; how many."""
    found = sorted(
        {one for one in inputs if len(one) <= BYTES_MAX}, key=lambda one: (len(one), one)
    )
    lines = [json.dumps(one.decode("latin-1")) + "\n" for one in found[:INPUTS_MAX]]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{target}.jsonl").write_text("".join(lines))
    return len(lines)
