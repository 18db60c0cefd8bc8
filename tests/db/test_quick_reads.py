"""Reads of SQLite in the event loop's own thread: what takes long is taken elsewhere, and nobody else waits for it."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from stillframe.db import Database, open_database

LONG = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n"
)
SHORT = sa.text("SELECT value FROM words")


@pytest.fixture
async def words(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'words.db'}")
    async with database.writing() as tx:
        await tx.execute(sa.text("CREATE TABLE words (value TEXT)"))
        await tx.execute(sa.text("INSERT INTO words VALUES ('one')"))
    yield database
    await database.close()


@contextmanager
def threads_noted(statement: str) -> Iterator[list[int]]:
    """The threads in which a statement was begun."""
    found: list[int] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text == statement:
            found.append(threading.get_ident())

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


async def test_a_short_statement_needs_no_thread_however_often_it_comes(words: Database) -> None:
    with threads_noted(SHORT.text) as threads:
        for _ in range(20_000):
            async with words.reading() as tx:
                assert await tx.scalar(SHORT) == "one"
    elsewhere = [thread for thread in threads if thread != threading.get_ident()]
    assert len(threads) - len(elsewhere) == 20_000
    assert not elsewhere


async def test_a_long_statement_stops_nobody(words: Database) -> None:
    with threads_noted(LONG.text) as threads:
        async with words.reading() as tx:
            running = asyncio.ensure_future(tx.scalar(LONG))
            turns = 0
            while not running.done():
                await asyncio.sleep(0.001)
                turns += 1
            assert running.result() == 3_000_000
            assert await tx.scalar(SHORT) == "one"
    assert turns > 10
    assert len(threads) == 2
    assert threads[0] == threading.get_ident() != threads[1]


async def test_all_statements_of_a_transaction_see_the_same(words: Database) -> None:
    async with words.reading() as tx:
        assert [row.value for row in await tx.all(SHORT)] == ["one"]
        async with words.writing() as other:
            await other.execute(sa.text("INSERT INTO words VALUES ('two')"))
        assert [row.value for row in await tx.all(SHORT)] == ["one"]
        assert await tx.scalar(LONG) == 3_000_000  # the same transaction in a thread
        assert [row.value for row in await tx.all(SHORT)] == ["one"]
    async with words.reading() as tx:
        assert len(await tx.all(SHORT)) == 2


async def test_who_does_not_wait_for_the_end_leaves_nothing_running(words: Database) -> None:
    endless = sa.text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), words.reading() as tx:
            await tx.scalar(endless)
    async with words.reading() as tx:
        assert await tx.scalar(SHORT) == "one"


async def test_a_lock_is_waited_for_elsewhere(words: Database, tmp_path: Path) -> None:
    """No writer keeps readers out; whoever locks the file itself does, as when the log is recovered after a crash."""
    assert words.engine.url.database
    holder = sqlite3.connect(words.engine.url.database, isolation_level=None, check_same_thread=False)
    await words.close()
    holder.execute("PRAGMA locking_mode=exclusive")
    holder.execute("INSERT INTO words VALUES ('two')")
    again = open_database(words.engine.url.render_as_string())
    loop, turns = asyncio.get_running_loop(), 0
    loop.call_later(0.5, holder.close)

    async def read() -> int:
        async with again.reading() as tx:
            return len(await tx.all(SHORT))

    reading = asyncio.ensure_future(read())
    started = time.monotonic()
    while not reading.done() and time.monotonic() < started + 30:
        await asyncio.sleep(0.01)
        turns += 1
    await again.close()
    assert reading.result() == 2
    assert turns > 10
