"""The journal: prove it, carry it off, bring it back."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import AsJson, DataFolder, fail, show

app = typer.Typer(no_args_is_help=True, help="Verify and export the journal.")

KEPT_BESIDE = ("credential.key", "tokens.json")


@app.command()
def verify(data: DataFolder = Path("var"), as_json: AsJson = False) -> None:
    """Walk the chain, and say exactly where it breaks."""
    from gateway.domain.errors import StoreError  # noqa: PLC0415
    from gateway.store.folder import DataFolder as Folder  # noqa: PLC0415
    from gateway.store.verify import verify as walk  # noqa: PLC0415

    try:
        verdict = walk(Folder(data).database)
    except StoreError as error:
        fail(error)
    counts = {"records": verdict.records, "erased": verdict.erased, "dropped": verdict.dropped}
    damages = [str(damage) for damage in verdict.damages]
    text = f"{verdict.records} records, {verdict.erased} erased, {verdict.dropped} dropped"
    ending = "the chain is whole" if verdict.whole else "\n".join(damages)
    show({**counts, "damages": damages}, as_json, f"{text}: {ending}")
    if not verdict.whole:
        raise typer.Exit(1)


@app.command()
def export(
    data: DataFolder = Path("var"),
    fact: Annotated[list[str] | None, typer.Option(help="A kind, or its beginning.")] = None,
    after: Annotated[int, typer.Option(help="Only records after this number.")] = 0,
    personal: Annotated[bool, typer.Option(help="With personal fields.")] = False,
) -> None:
    """Print records as JSON lines, oldest first."""
    from gateway.domain.errors import StoreError  # noqa: PLC0415
    from gateway.store.export import Selection  # noqa: PLC0415
    from gateway.store.export import export as lines  # noqa: PLC0415
    from gateway.store.folder import DataFolder as Folder  # noqa: PLC0415

    chosen = Selection(facts=tuple(fact or ()), after=after, personal=personal)
    try:
        for line in lines(Folder(data).database, chosen):
            sys.stdout.write(line + "\n")
    except StoreError as error:
        fail(error)
    except BrokenPipeError:
        sys.stderr.close()


def backup(
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    data: DataFolder = Path("var"),
) -> None:
    """Write a backup of the journal, the state and the keys into one file."""
    from gateway.domain.errors import StoreError  # noqa: PLC0415
    from gateway.store.backup import backup as write  # noqa: PLC0415
    from gateway.store.folder import DataFolder as Folder  # noqa: PLC0415

    try:
        manifest = write(Folder(data), target, time.time_ns() // 1_000_000, KEPT_BESIDE)
    except StoreError as error:
        fail(error)
    target.chmod(0o600)
    print(f"{target}: epoch {manifest.epoch}, {manifest.seq} records. It holds keys: keep it safe.")


def restore(
    source: Annotated[Path, typer.Argument(help="The backup to bring back.")],
    data: DataFolder = Path("var"),
    replace: Annotated[bool, typer.Option(help="Put what is there now aside.")] = False,
) -> None:
    """Bring a backup back, as the beginning of a new epoch."""
    from gateway.domain.errors import StoreError  # noqa: PLC0415
    from gateway.store.backup import restore as bring_back  # noqa: PLC0415
    from gateway.store.folder import DataFolder as Folder  # noqa: PLC0415

    try:
        manifest = bring_back(source, Folder(data), replace=replace)
    except StoreError as error:
        fail(error)
    print(f"{data}: restored up to record {manifest.seq} of epoch {manifest.epoch}")
