"""Where DBOS keeps its checkpoints: a SQLite file of its own beside ours, or a schema of its own on PostgreSQL.

A file of its own, so that its writes and ours do not wait for one lock. Losing the last of its transactions in a power
cut is harmless: a step whose end is not on record runs again, and a job that has ended is left alone.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from stillframe.config import Settings
from stillframe.db.engine import prepare_sqlite

_EXECUTOR = "stillframe-worker"
_VERSION = "1"
"""Pinned: DBOS recovers only workflows of its own application version."""
_FORGET_AT_ONCE = 500


def dbos_config(settings: Settings) -> DBOSConfig:
    return {
        "name": "stillframe",
        "system_database_url": _url(settings),
        "system_database_engine": _engine(settings),
        "executor_id": _EXECUTOR,
        "application_version": _VERSION,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "ERROR",
        # Costs nothing while nobody waits for a notification, and the end of DBOS waits that long for the thread.
        "notification_listener_polling_interval_sec": 0.2,
        "scheduler_polling_interval_sec": 3600.0,
    }


async def forget_workflows_ended_before(moment: datetime) -> None:
    """What has ended long ago nobody goes on with; our own row is what callers see."""
    while ended := await DBOS.list_workflows_async(
        completed_before=moment.isoformat(), limit=_FORGET_AT_ONCE, load_input=False, load_output=False
    ):
        await DBOS.delete_workflows_async([workflow.workflow_id for workflow in ended])


def _url(settings: Settings) -> str:
    if settings.db_url.startswith("sqlite"):
        return f"sqlite:///{settings.data_dir / 'workflows.db'}"
    return settings.db_url


def _engine(settings: Settings) -> sa.Engine:
    url = _url(settings)
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_size=5, max_overflow=10, pool_pre_ping=True)
    engine = sa.create_engine(url, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: Any, record: object) -> None:
    """DBOS says BEGIN itself in its migrations and leaves it to the driver everywhere else."""
    prepare_sqlite(connection, record)
    connection.execute("PRAGMA synchronous=normal")
    connection.isolation_level = "IMMEDIATE"
