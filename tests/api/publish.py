"""Write docs/openapi.json: `PYTHONPATH=tests python -m api.publish`, from the repository's root."""

import tempfile
from pathlib import Path

from api.api_rig import built

from gateway.api.app import create_app
from gateway.api.document import published

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def text(folder: Path) -> str:
    """The description of the application as it is now; the folder is for a store."""
    parts = built(folder)
    try:
        return published(create_app(parts.gateway), parts.gateway.sync)
    finally:
        parts.store.close()


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        FILE.write_text(text(Path(made)), encoding="utf-8")
