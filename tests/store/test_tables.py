"""The tables: made new or migrated, they are the same."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.domain.errors import StoreError
from gateway.store import schema
from gateway.store.database import connect_writer
from gateway.store.migrate import upgrade
from gateway.store.store import SqliteStore, StoreOptions
from gateway.store.tables import SCHEMA_VERSION


def shape(path: Path) -> dict[str, object]:
    """Columns, keys and indexes of every table, as SQLite itself tells them."""
    with sqlite3.connect(path) as database:
        tables = [
            row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        ]
        return {
            table: (
                database.execute(f"PRAGMA table_xinfo({table})").fetchall(),
                sorted(
                    (name, unique, partial, tuple(database.execute(f"PRAGMA index_xinfo({name})")))
                    for _, name, unique, _, partial in database.execute(
                        f"PRAGMA index_list({table})"
                    )
                ),
            )
            for table in sorted(tables)
        }


def test_new_tables_and_migrated_ones_are_the_same(tmp_path: Path) -> None:
    made, migrated = tmp_path / "made.db", tmp_path / "migrated.db"
    for path, prepare in ((made, schema.prepare), (migrated, None)):
        connection = connect_writer(path)
        if prepare:
            prepare(connection)
        else:
            with connection.begin():
                upgrade(connection)
        connection.close()
    assert shape(made) == shape(migrated)
    assert set(shape(made)) == {
        "alembic_version",
        "bucket",
        "cursor",
        "entity",
        "epoch",
        "gap",
        "journal",
        "meta",
    }


def test_the_code_knows_its_newest_migration(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "x.db")
    with connection.begin():
        upgrade(connection)
        assert schema.stored_version(connection) == SCHEMA_VERSION
    connection.close()


def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    options = StoreOptions(ballast_bytes=0)
    store = SqliteStore(path, options)
    store.open()
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num='9999'")
    with pytest.raises(StoreError, match="schema 9999"):
        store.open()


def test_a_start_with_tables_as_they_should_be_does_not_import_alembic(path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from gateway.store.store import SqliteStore, StoreOptions
for _ in range(2):
    store = SqliteStore(Path({str(path)!r}), StoreOptions(ballast_bytes=0))
    store.open(); store.close()
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
