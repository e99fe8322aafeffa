"""The tables. Journal rows are numbered over all epochs: `number = epoch.base + seq`.

One integer key keeps the journal an append at the end of one b-tree: a record costs one page, which
is what a flash card wears by. Personal fields lie in columns of their own, so that they can go
without the record; a payload can go as well, and the digests keep the chain whole.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from gateway.domain.utilization import STATES

SCHEMA_VERSION = "0002"

_WHOLE = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

epoch = Table(
    "epoch",
    metadata,
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False, unique=True),
    Column("base", _WHOLE, nullable=False),  # the number of the last row before it
    Column("machine", Text, nullable=False),  # a digest of the machine's id
    Column("origin", Text, nullable=False),  # new, restored or moved (RULES U1)
)

journal = Table(
    "journal",
    metadata,
    Column("number", _WHOLE, primary_key=True, autoincrement=False),
    Column("fact", Text, nullable=False),
    Column("retention", Text, nullable=False),
    Column("at_ms", _WHOLE, nullable=False),
    Column("trusted", Boolean, nullable=False),  # whether at_ms was
    Column("urgent", Boolean, nullable=False),
    Column("payload", LargeBinary),  # None once erased
    Column("payload_digest", LargeBinary, nullable=False),
    Column("personal", LargeBinary),  # None once erased, or where there never was any
    Column("salt", LargeBinary),
    Column("personal_digest", LargeBinary),  # None where there never was any
    Column("chain", LargeBinary, nullable=False),
)

# Whole elsewhere than in SQLite: to name another dialect here is to import all of it at each start.
urgent_index = Index(
    "journal_urgent",
    journal.c.number,
    sqlite_where=text("urgent = 1"),  # as queries say it, or SQLite does not see that it fits
)

gap = Table(
    "gap",
    metadata,
    Column("last", _WHOLE, primary_key=True, autoincrement=False),
    Column("first", _WHOLE, nullable=False),  # rows first..last were dropped at their time
    Column("chain", LargeBinary, nullable=False),  # of the last: the chain goes on from here
)

entity = Table(
    "entity",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("epoch", Text, primary_key=True),
    Column("seq", _WHOLE, nullable=False),
)

bucket = Table(
    "bucket",
    metadata,
    Column("facility", Text, primary_key=True),
    Column("start_ms", _WHOLE, primary_key=True, autoincrement=False),
    Column("number", _WHOLE, nullable=False),  # of the record that changed it last
    Column("revision", Integer, nullable=False),
    *(Column(state.value, _WHOLE, nullable=False) for state in STATES),  # ms
    *(
        Column(name, _WHOLE, nullable=False)
        for name in ("energy_wh", "sessions", "visits", "no_shows")
    ),
    Column("refused", Text),  # JSON: how often, by reason code
    sqlite_with_rowid=False,
)
bucket_index = Index("bucket_number", bucket.c.number)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
