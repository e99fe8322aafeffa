"""Utilization buckets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ADDED = (
    *("unknown", "out_of_service", "in_use_booked", "in_use_walk_in"),
    *("blocked", "held", "closed", "idle"),
    *("energy_wh", "sessions", "visits", "no_shows"),
)


def upgrade() -> None:
    """Bring the tables up to this version."""
    op.create_table(
        "bucket",
        sa.Column("facility", sa.Text, primary_key=True),
        sa.Column("start_ms", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("number", _WHOLE, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        *(sa.Column(name, _WHOLE, nullable=False) for name in _ADDED),
        sa.Column("refused", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("bucket_number", "bucket", ["number"])
