"""What the core decides, off the site: an incident replayed, or a world lived from a seed."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import WRONG_USE, AsJson, DataFolder, fail, loaded_site

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


def world(  # noqa: PLR0913 (options, each by its name)
    *,
    seed: Annotated[int, typer.Option(help="What picks everything.")] = 1,
    days: Annotated[float, typer.Option(min=0.1, help="How long it lives.")] = 7,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the world as it stands at its end.")
    ] = False,
    replay: Annotated[Path | None, typer.Option(help=RINGS)] = None,
    site: Annotated[Path | None, typer.Option(help="The site that the ring is of.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what changed nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Live simulated days from a seed, or replay an incident through the core.

    A world has troubles, and an auditor who knows the truth: ends with 1 if a rule was broken. The
    same seed and days live the same life; `trace` is the hash over all events and records.

    A replay shows decision by decision what the core saw, stated and set, and why: ends with 1 if
    this code decides otherwise than the gateway did.
    """
    if replay is None:
        _live(seed, days, explain)
    elif site is None:
        fail("--replay needs --site: the folder of the site's files at that time", WRONG_USE)
    else:
        _replay(replay, site, every=every, as_json=as_json)


def _live(seed: int, days: float, explain: bool) -> None:
    from simulators.explain import explained  # noqa: PLC0415
    from simulators.world import World  # noqa: PLC0415

    lives = World(seed, days)
    lived = lives.run()
    print(
        f"seed {seed}: {lived.days:.2f} days, {lived.events:,} events, {lived.records:,} records\n"
        f"trace {lived.trace}"
    )
    if explain or lived.breach is not None:
        print(explained(lives))
    if lived.breach is not None:
        fail(lived.breach)


def _replay(replay: Path, site: Path, *, every: bool, as_json: bool) -> None:
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
