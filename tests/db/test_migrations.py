"""The schema that migrations make is the one the rooms' tables describe, and making it can be interrupted anywhere."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from stillframe.db import metadata
from stillframe.errors import StillframeError
from tests.conftest import import_every_table
from tests.db.migrating import migrate, migrate_at_once


def sync_engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("+aiosqlite", ""), poolclass=sa.pool.NullPool)


def definitions(connection: sa.Connection) -> set[tuple[Any, ...]]:
    """Everything the database itself says about our tables, in its own words."""
    if connection.dialect.name == "sqlite":
        master = connection.execute(sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        found = {(row.name, *sorted(parts(row.sql))) for row in master}
    else:
        found = {tuple(row) for query in POSTGRESQL for row in connection.execute(sa.text(query))}
    return {row for row in found if "alembic_version" not in str(row[0])}


def parts(sql: str) -> list[str]:
    """The lines of a CREATE TABLE, in any order: constraints of equal meaning are written in any."""
    return [line.strip().rstrip(",") for line in sql.replace('"', "").splitlines() if line.strip()]


POSTGRESQL = [
    """
    SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default,
    generation_expression FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
]


@pytest.mark.filterwarnings("ignore:.*expression-based index.*")
def test_the_migrated_schema_is_the_described_one(empty_url: str) -> None:
    import_every_table()
    migrate(empty_url)
    engine = sync_engine(empty_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        migrated = definitions(connection)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
        metadata.drop_all(connection)
        metadata.create_all(connection)
        described = definitions(connection)
    assert migrated - described == set()
    assert described - migrated == set()


def test_migrating_again_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    with sync_engine(empty_url).connect() as connection:
        before = definitions(connection)
    migrate(empty_url)
    with sync_engine(empty_url).connect() as connection:
        assert definitions(connection) == before


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    at_once = spawn.Barrier(3)
    processes = [spawn.Process(target=migrate_at_once, args=(empty_url, at_once)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 3


@contextmanager
def failing_at(statement: str) -> Iterator[None]:
    """Breaks the connection's work at a statement, whichever engine it comes through."""

    def fail(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if statement in text:
            raise InterruptedError(text)

    sa.event.listen(sa.Engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", fail)


@pytest.mark.parametrize("statement", ["CREATE TABLE volumes", "INSERT INTO alembic_version"])
def test_a_migration_that_is_interrupted_leaves_nothing_and_can_be_repeated(empty_url: str, statement: str) -> None:
    """Else a kill in the very first start would make the data directory useless."""
    with failing_at(statement), pytest.raises(InterruptedError):
        migrate(empty_url)
    engine = sync_engine(empty_url)
    assert sa.inspect(engine).get_table_names() == []
    migrate(empty_url)
    assert "volumes" in sa.inspect(engine).get_table_names()


def test_a_database_of_a_newer_version_is_left_alone(empty_url: str) -> None:
    migrate(empty_url)
    engine = sync_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StillframeError, match="newer"):
        migrate(empty_url)
