"""`python -m gateway.cli` is `commons`."""

from gateway.cli import app

app()
