"""The database: engine, transactions, column types and migrations. Knows SQLite and PostgreSQL, and no room."""

from stillframe.db.engine import Database, open_database
from stillframe.db.schema import UtcTime, metadata
from stillframe.db.transaction import Transaction

__all__ = ["Database", "Transaction", "UtcTime", "metadata", "open_database"]
