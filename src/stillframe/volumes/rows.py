"""The volumes table and all its SQL."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.volumes.model import Attachment, Volume, VolumeQuery, VolumeStatus

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(32), nullable=False),
    sa.Column("user_id", sa.String(32), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("volume_type", sa.String(16), nullable=False),
    sa.Column("availability_zone", sa.String(64), nullable=False),
    sa.Column("bootable", sa.Boolean, nullable=False),
    sa.Column("layer_id", sa.ForeignKey("layers.id"), index=True),
    sa.Column("image_metadata", sa.JSON(none_as_null=True)),
    # Where it came from; what that was may be gone by now.
    sa.Column("snapshot_id", sa.String(36)),
    sa.Column("source_volume_id", sa.String(36)),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("job_id", sa.String(36)),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    # The attachment: a volume hangs on one server at a time, so it needs no table of its own.
    sa.Column("attachment_id", sa.String(36)),
    sa.Column("server_id", sa.ForeignKey("servers.id")),
    sa.Column("device_index", sa.Integer),
    sa.Column("boot_index", sa.Integer),
    sa.Column("delete_on_termination", sa.Boolean),
    sa.Column("attached_at", UtcTime),
    sa.Index("ix_volumes_project_id_created_at", "project_id", "created_at", "id"),
    sa.Index("ix_volumes_server_id_device_index", "server_id", "device_index", unique=True),
)

_ATTACHMENT_COLUMNS = ("server_id", "device_index", "boot_index", "delete_on_termination", "attached_at")


def _volume(row: sa.Row[Any]) -> Volume:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    attachment_id = fields.pop("attachment_id")
    attached = {name: fields.pop(name) for name in _ATTACHMENT_COLUMNS}
    fields["status"] = VolumeStatus(fields["status"])
    return Volume(**fields, attachment=Attachment(id=attachment_id, **attached) if attachment_id else None)


def _columns(volume: Volume) -> dict[str, Any]:
    values = {name: getattr(volume, name) for name in volume.__struct_fields__ if name != "attachment"}
    attachment = volume.attachment
    values["attachment_id"] = attachment.id if attachment else None
    return values | {name: getattr(attachment, name, None) for name in _ATTACHMENT_COLUMNS}


async def insert_volume(tx: Transaction, volume: Volume) -> None:
    await tx.execute(sa.insert(volumes).values(**_columns(volume)))


_VOLUME = sa.select(volumes).where(volumes.c.id == sa.bindparam("id"))
_VOLUME_LOCKED = _VOLUME.with_for_update()


async def get_volume(tx: Transaction, volume_id: str, *, lock: bool = False) -> Volume | None:
    row = await tx.first(_VOLUME_LOCKED if lock else _VOLUME, {"id": volume_id})
    return _volume(row) if row else None


async def replace_volume(tx: Transaction, volume: Volume) -> None:
    await tx.execute(sa.update(volumes).where(volumes.c.id == volume.id).values(**_columns(volume)))


async def delete_volume(tx: Transaction, volume_id: str) -> None:
    await tx.execute(sa.delete(volumes).where(volumes.c.id == volume_id))


async def set_layer(tx: Transaction, volume_id: str, *, old_layer_id: str, new_layer_id: str) -> bool:
    """False when the volume's disk is not `old_layer_id` (any more)."""
    statement = (
        sa.update(volumes)
        .where(volumes.c.id == volume_id, volumes.c.layer_id == old_layer_id)
        .values(layer_id=new_layer_id)
    )
    return (await tx.execute(statement)).rowcount == 1


async def list_attached(tx: Transaction, server_ids: Collection[str]) -> list[Volume]:
    """The disks of some servers, system disks first."""
    query = sa.select(volumes).where(volumes.c.server_id.in_(server_ids)).order_by(volumes.c.device_index)
    return [_volume(row) for row in await tx.all(query)]


async def list_volumes(tx: Transaction, project_id: str, query: VolumeQuery, after: Volume | None) -> list[Volume]:
    """One page; `after` is the last volume of the page before."""
    order = (volumes.c[query.sort_key], volumes.c.id)
    statement = sa.select(volumes).where(*_conditions(project_id, query))
    statement = statement.order_by(*((column.desc() for column in order) if query.descending else order))
    if after is not None:
        last = getattr(after, query.sort_key)
        here, there = sa.tuple_(*order), sa.tuple_(sa.literal(last, order[0].type), sa.literal(after.id))
        statement = statement.where(here < there if query.descending else here > there)
    statement = statement.limit(query.limit) if query.limit is not None else statement
    statement = statement.offset(query.offset) if query.offset else statement
    return [_volume(row) for row in await tx.all(statement)]


async def count_volumes(tx: Transaction, project_id: str, query: VolumeQuery) -> int:
    """How many there are on all pages."""
    statement = sa.select(sa.func.count()).select_from(volumes).where(*_conditions(project_id, query))
    return int(await tx.scalar(statement))


def _conditions(project_id: str, query: VolumeQuery) -> list[sa.ColumnElement[bool]]:
    equal: dict[str, Any] = {
        "project_id": None if query.every_project else project_id,
        "name": query.name,
        "status": query.status,
        "availability_zone": query.availability_zone,
        "volume_type": query.volume_type,
        "bootable": query.bootable,
        "server_id": query.server_id,
        "snapshot_id": query.snapshot_id,
        "attachment_id": query.attachment_id,
    }
    conditions = [volumes.c[name] == wanted for name, wanted in equal.items() if wanted is not None]
    if query.attached is not None:
        has_attachment = volumes.c.attachment_id.is_not(None)
        conditions.append(has_attachment if query.attached else sa.not_(has_attachment))
    if query.ids is not None:
        conditions.append(volumes.c.id.in_(query.ids))
    conditions += [volumes.c.metadata[key].as_string() == value for key, value in query.metadata]
    return conditions


async def count_and_size_of_project(tx: Transaction, project_id: str) -> tuple[int, int]:
    """How many volumes, and how many bytes together."""
    size = sa.func.coalesce(sa.func.sum(volumes.c.size_bytes), 0)
    row = await tx.first(sa.select(sa.func.count(), size).where(volumes.c.project_id == project_id))
    return (int(row[0]), int(row[1])) if row else (0, 0)
