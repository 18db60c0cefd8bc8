"""The snapshots table and all its SQL."""

from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.volumes.model import Snapshot, SnapshotQuery, SnapshotStatus

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(32), nullable=False),
    sa.Column("user_id", sa.String(32), nullable=False),
    # A volume that has snapshots cannot be deleted.
    sa.Column("volume_id", sa.ForeignKey("volumes.id"), nullable=False, index=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("layer_id", sa.ForeignKey("layers.id"), index=True),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Index("ix_snapshots_project_id_created_at", "project_id", "created_at", "id"),
)


def _snapshot(row: sa.Row[Any]) -> Snapshot:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Snapshot(**fields | {"status": SnapshotStatus(fields["status"])})


def _columns(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in snapshot.__struct_fields__}


async def insert_snapshot(tx: Transaction, snapshot: Snapshot) -> None:
    await tx.execute(sa.insert(snapshots).values(**_columns(snapshot)))


async def get_snapshot(tx: Transaction, snapshot_id: str, *, lock: bool = False) -> Snapshot | None:
    query = sa.select(snapshots).where(snapshots.c.id == snapshot_id)
    row = await tx.first(query.with_for_update() if lock else query)
    return _snapshot(row) if row else None


async def replace_snapshot(tx: Transaction, snapshot: Snapshot) -> None:
    await tx.execute(sa.update(snapshots).where(snapshots.c.id == snapshot.id).values(**_columns(snapshot)))


async def delete_snapshot(tx: Transaction, snapshot_id: str) -> None:
    await tx.execute(sa.delete(snapshots).where(snapshots.c.id == snapshot_id))


async def list_of_volume(tx: Transaction, volume_id: str) -> list[Snapshot]:
    """The newest first."""
    query = sa.select(snapshots).where(snapshots.c.volume_id == volume_id)
    return [_snapshot(row) for row in await tx.all(query.order_by(snapshots.c.created_at.desc(), snapshots.c.id))]


async def list_snapshots(
    tx: Transaction, project_id: str, query: SnapshotQuery, after: Snapshot | None
) -> list[Snapshot]:
    """One page; `after` is the last snapshot of the page before."""
    order = (snapshots.c[query.sort_key], snapshots.c.id)
    statement = sa.select(snapshots).where(*_conditions(project_id, query))
    statement = statement.order_by(*((column.desc() for column in order) if query.descending else order))
    if after is not None:
        last = sa.literal(getattr(after, query.sort_key), order[0].type)
        here, there = sa.tuple_(*order), sa.tuple_(last, sa.literal(after.id))
        statement = statement.where(here < there if query.descending else here > there)
    statement = statement.limit(query.limit)
    statement = statement.offset(query.offset) if query.offset else statement
    return [_snapshot(row) for row in await tx.all(statement)]


async def count_snapshots(tx: Transaction, project_id: str, query: SnapshotQuery) -> int:
    """How many there are on all pages."""
    statement = sa.select(sa.func.count()).select_from(snapshots).where(*_conditions(project_id, query))
    return int(await tx.scalar(statement))


def _conditions(project_id: str, query: SnapshotQuery) -> list[sa.ColumnElement[bool]]:
    equal: dict[str, Any] = {
        "project_id": None if query.every_project else project_id,
        "name": query.name,
        "status": query.status,
        "volume_id": query.volume_id,
        "id": query.id,
    }
    return [snapshots.c[name] == wanted for name, wanted in equal.items() if wanted is not None]


async def count_and_size_of_project(tx: Transaction, project_id: str) -> tuple[int, int]:
    """How many snapshots, and how many bytes together."""
    size = sa.func.coalesce(sa.func.sum(snapshots.c.size_bytes), 0)
    row = await tx.first(sa.select(sa.func.count(), size).where(snapshots.c.project_id == project_id))
    return (int(row[0]), int(row[1])) if row else (0, 0)
