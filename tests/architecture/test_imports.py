"""What `python -m gateway` never loads: it would start later and be bigger on a small machine."""

import subprocess
import sys

NEVER = (
    *("alembic", "amqtt", "click", "jinja2", "multiprocessing", "pygments", "rich", "simulators"),
    "typer",
)

# All that a gateway may come to load while it runs, what waits for the first call included.
RUN = """
import importlib, pkgutil, sys
import gateway.__main__
from drivers.registry import kinds

kinds()
for room in ("api", "core", "domain", "notify", "runtime", "security", "uplink"):
    package = importlib.import_module(f"gateway.{room}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"gateway.{room}.{module.name}")
print(*sorted({name.partition(".")[0] for name, module in sys.modules.items() if module}))
"""


def test_the_daemon_never_loads_what_is_for_the_command_line_the_demo_and_migrations() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "fastapi" in loaded
    assert not set(NEVER) & set(loaded)
