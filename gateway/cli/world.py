"""What the core decides, off the site: an incident replayed from what a gateway recorded."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import AsJson, DataFolder, SiteFolder, fail, loaded_site

if TYPE_CHECKING:
    from gateway.runtime.replay import Recording

RINGS = "The input ring: the file that `commons ring` wrote, or the folder of a gateway's own."


def ring(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    data: DataFolder = Path("var"),
) -> None:
    """Fetch the last inputs of a gateway into one file, whether it runs or not."""
    from gateway.runtime.ring import FOLDER, lines_of  # noqa: PLC0415

    folder = data / FOLDER
    if not folder.is_dir():
        fail(f"{folder}: expected the input ring of a gateway; none has run on {data} here")
    recordings = inputs = 0
    try:
        target.touch(mode=0o600)
        with gzip.open(target, "wb") as file:
            for line in lines_of(folder):
                begins = line.startswith(b'{"format"')
                recordings, inputs = recordings + begins, inputs + (not begins)
                file.write(line + b"\n")
    except OSError as error:
        fail(error)
    print(f"{target}: {inputs:,} inputs in {recordings} recordings. It names persons, no secret.")


def world(
    replay: Annotated[Path, typer.Option(help=RINGS)],
    site: SiteFolder,
    every: Annotated[bool, typer.Option("--all", help="Also what changed nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replay an incident: decision by decision, what the core saw, stated and set, and why.

    Ends with 1 if this code decides otherwise than the gateway did.
    """
    from gateway.cli.replayed import head, lines, plain  # noqa: PLC0415
    from gateway.runtime.replay import replay as replayed_of  # noqa: PLC0415

    found = loaded_site(site)
    otherwise = 0
    for recording in _recordings(replay, site):
        if not as_json:
            print(head(recording))
        for one in replayed_of(recording, found):
            otherwise += not one.same
            if as_json:
                print(json.dumps(plain(one), ensure_ascii=False))
            elif every or one.matters:
                print("\n".join(lines(one)))
    if otherwise:
        fail(f"{otherwise} inputs are decided otherwise by this code than by the gateway then")


def _recordings(path: Path, site: Path) -> "Iterator[Recording]":
    """The recordings made with these very files of the site; others are named and passed over."""
    from config.files import digest_of  # noqa: PLC0415
    from gateway.runtime.replay import RingError, recordings  # noqa: PLC0415
    from gateway.runtime.ring import lines_of  # noqa: PLC0415

    digest, others = digest_of(site), 0
    try:
        for recording in recordings(lines_of(path)):
            if recording.beginning.site_digest == digest:
                yield recording
            else:
                others += 1
    except (OSError, RingError) as error:
        fail(f"{path}: {error}")
    if others:
        _warn(f"{others} recordings were made with other files of the site than {site} holds")


def _warn(text: str) -> None:
    typer.echo(text, err=True)
