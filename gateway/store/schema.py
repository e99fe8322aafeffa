"""The shape of the database, made new or brought up to date.

Alembic is imported only to migrate: a start that finds the tables as they should be stays quick.
"""

from sqlalchemy import Connection, insert, select

from gateway.domain.errors import StoreError
from gateway.store.tables import SCHEMA_VERSION, metadata, version


def prepare(connection: Connection) -> None:
    """Make the tables, or migrate them, in one transaction. Raises StoreError when too new."""
    with connection.begin():
        found = stored_version(connection)
        if found == SCHEMA_VERSION:
            return
        if found is None:
            metadata.create_all(connection)
            connection.execute(insert(version).values(version_num=SCHEMA_VERSION))
            return
        if found > SCHEMA_VERSION:
            raise _other_version(found)
        from gateway.store.migrate import upgrade  # noqa: PLC0415  (costs a start 0.1 s)

        upgrade(connection)


def check(connection: Connection) -> None:
    """Raises StoreError unless the tables are as this code has them."""
    found = stored_version(connection)
    if found != SCHEMA_VERSION:
        raise _other_version(found or "none")


def stored_version(connection: Connection) -> str | None:
    """The schema version in the database; None when it is empty."""
    if not connection.dialect.has_table(connection, version.name):
        return None
    return connection.execute(select(version.c.version_num)).scalar()


def _other_version(found: str) -> StoreError:
    return StoreError(
        f"the database has schema {found}, this version of the gateway has {SCHEMA_VERSION}: "
        "install the version that wrote it, or restore a backup"
    )
