"""Options and endings that commands share."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from gateway.domain.site import Site

SiteFolder = Annotated[
    Path, typer.Option("--site", envvar="COMMONS_SITE", help="The folder of the site's files.")
]
DataFolder = Annotated[
    Path, typer.Option("--data", envvar="COMMONS_DATA_FOLDER", help="The gateway's data folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Person = Annotated[
    str, typer.Option("--as", envvar="COMMONS_PERSON", help="Your name: it goes into the journal.")
]

REFUSED, WRONG_USE, UNREACHABLE = 1, 2, 3


def fail(message: object, code: int = REFUSED) -> NoReturn:
    """Say what is wrong on standard error, and end."""
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def show(value: Any, as_json: bool, text: str) -> None:
    """Print a value for a script or a person."""
    print(json.dumps(value, ensure_ascii=False, indent=2) if as_json else text)


def table(rows: Sequence[tuple[object, ...]], head: tuple[str, ...]) -> str:
    """Rows under their heads, in columns."""
    texts = [head, *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
             for row in texts)  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)


def loaded_site(folder: Path) -> "Site":
    """The site of a folder; a wrong one ends the command with everything that is wrong."""
    from config.site import load_site  # noqa: PLC0415
    from drivers.registry import kinds  # noqa: PLC0415
    from gateway.domain.errors import ConfigError  # noqa: PLC0415

    try:
        return load_site(folder, kinds())
    except ConfigError as error:
        fail(error, WRONG_USE)
