"""Check a site before it runs."""

from typing import Annotated

import typer

from gateway.cli.options import WRONG_USE, AsJson, SiteFolder, show


def check(
    site: SiteFolder,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option(help="Warnings count as errors.")] = False,
) -> None:
    """Say everything that is wrong with a site, and what is doubtful about it."""
    from config.site import check_site  # noqa: PLC0415
    from drivers.registry import kinds  # noqa: PLC0415
    from gateway.uplink.settings import check as check_uplink  # noqa: PLC0415

    problems = check_site(site, kinds(), sections={"uplink": check_uplink})
    wrong = [problem for problem in problems if strict or not problem.warning]
    rows = [
        {"file": p.file, "line": p.line, "key": p.key, "message": p.message}
        | {"rule": p.rule, "warning": p.warning}
        for p in problems
    ]
    text = "\n".join(str(problem) for problem in problems)
    if not wrong:
        text = f"{text}\n{site}: the site is sound".lstrip()
    show(rows, as_json, text)
    if wrong:
        raise typer.Exit(WRONG_USE)
