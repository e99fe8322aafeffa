"""The `commons` command. Each subcommand imports what it needs when it is called."""

import typer

from gateway.cli import (
    calls,
    demo,
    devices,
    fire,
    journal,
    outlets,
    report,
    running,
    scan,
    site,
    status,
    tokens,
    world,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The edge gateway for shared community facilities.\n\nExit codes: 0 done, 1 refused or "
    "not as it should be, 2 wrong use or a wrong site, 3 the gateway cannot be reached.",
)
app.command()(running.run)
app.command()(status.status)
app.command()(site.check)
app.command()(report.report)
app.command()(demo.demo)
app.command()(demo.simulate)
app.command()(demo.tell)
app.command()(journal.backup)
app.command()(journal.restore)
app.command()(world.ring)
app.command()(world.world)
devices.app.command()(scan.scan)
app.add_typer(devices.app, name="devices")
app.add_typer(calls.app, name="call")
app.add_typer(fire.app, name="fire")
app.add_typer(outlets.app, name="outlet")
app.add_typer(journal.app, name="journal")
app.add_typer(tokens.app, name="token")

__all__ = ["app"]
