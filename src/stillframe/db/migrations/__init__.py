"""Alembic's migrations, run by the first process that starts on a database.

Alembic is only imported when there is something to do: a start on a current database asks one row and goes on.
"""

import asyncio
from pathlib import Path

import sqlalchemy as sa

from stillframe.db.engine import prepare_sqlite
from stillframe.errors import ConflictError, UnavailableError

HERE = Path(__file__).parent


def newest_revision() -> str:
    return max(_revisions())


def _revisions() -> set[str]:
    """The files are named by their order: 0001_..., 0002_..."""
    return {path.name.split("_", 1)[0] for path in (HERE / "versions").glob("[0-9]*.py")}


async def migrate(url: str) -> None:
    """Brings the schema up to date, or leaves it as it is. Safe to repeat, and for two processes: one of them waits.

    Raises: ConflictError for a database of a newer version, UnavailableError when none answers.
    """
    await asyncio.to_thread(_migrate, url.replace("+aiosqlite", ""))


async def wait_until_current(url: str, timeout_s: float = 60.0) -> None:
    """For a process that leaves migrating to another one and may start before it.

    Raises: TimeoutError.
    """
    engine = sa.create_engine(url.replace("+aiosqlite", ""))
    try:
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(_is_current, engine):  # noqa: ASYNC110 - another process migrates
                await asyncio.sleep(0.05)
    finally:
        engine.dispose()


def _is_current(engine: sa.Engine) -> bool:
    try:
        return _current_revision(engine) == newest_revision()
    except sa.exc.OperationalError:
        return False


def _migrate(url: str) -> None:
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", prepare_sqlite)
    try:
        current = _current_revision(engine)
        if current is not None and current not in _revisions():
            raise ConflictError(f"The database was made by a newer version of Stillframe (its schema is {current}).")
        if current != newest_revision():
            _upgrade(engine)
    except sa.exc.OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise UnavailableError(f"The database cannot be used: {reason}", cause=error) from error
    finally:
        engine.dispose()


def _current_revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(HERE))
    with engine.begin() as connection:
        # One transaction around all of it: who dies in the middle leaves nothing.
        lock = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "SELECT pg_advisory_xact_lock(7239041)"
        connection.exec_driver_sql(lock)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
