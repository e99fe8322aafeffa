"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the tables up to this version."""
    op.create_table(
        "epoch",
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Text, nullable=False, unique=True),
        sa.Column("base", _WHOLE, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("number", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("fact", sa.Text, nullable=False),
        sa.Column("retention", sa.Text, nullable=False),
        sa.Column("at_ms", _WHOLE, nullable=False),
        sa.Column("trusted", sa.Boolean, nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("payload_digest", sa.LargeBinary, nullable=False),
        sa.Column("personal", sa.LargeBinary),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("personal_digest", sa.LargeBinary),
        sa.Column("chain", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "journal_urgent",
        "journal",
        ["number"],
        sqlite_where=sa.text("urgent = 1"),
        postgresql_where=sa.text("urgent"),
    )
    op.create_table(
        "gap",
        sa.Column("last", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("first", _WHOLE, nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "entity",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "cursor",
        sa.Column("reader", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, primary_key=True),
        sa.Column("seq", _WHOLE, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
