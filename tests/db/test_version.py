"""The version of the database: what is remembered is right exactly as long as it stays."""

import sqlalchemy as sa

from stillframe.db import Database, open_database


async def test_it_stays_while_nothing_is_committed(database: Database) -> None:
    before = await database.version()
    async with database.reading() as tx:
        await tx.scalar(sa.text("SELECT 1"))
    assert await database.version() == before


async def test_a_commit_of_this_process_changes_it(database: Database) -> None:
    before = await database.version()
    async with database.writing() as tx:
        await tx.execute(sa.text("UPDATE catalog_revision SET revision = revision + 1"))
        await tx.execute(sa.text("INSERT INTO catalog_revision (id, revision) VALUES (77, 1)"))
    assert await database.version() != before


async def test_a_commit_of_anybody_else_changes_it(database: Database) -> None:
    other = open_database(database.engine.url.render_as_string(hide_password=False))
    before = await database.version()
    async with other.writing() as tx:
        await tx.execute(sa.text("INSERT INTO catalog_revision (id, revision) VALUES (77, 1)"))
        if database.is_sqlite:
            assert await database.version() == before  # not committed yet
    await other.close()
    assert await database.version() != before
