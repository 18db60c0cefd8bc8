"""Tells a database that is away for a while from a statement that is wrong."""

import sqlite3

import sqlalchemy as sa


def is_outage(error: BaseException) -> bool:
    """Whether the same transaction may succeed later: the database is gone, locked or full, or has chosen a victim."""
    if isinstance(error, sa.exc.TimeoutError):  # no connection of the pool became free
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # SQLite says OperationalError to a misspelt column, too; that has the code of a plain SQL error.
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return isinstance(error, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR
    return error.connection_invalidated or isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError))
