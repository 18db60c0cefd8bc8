"""The data disks of full-ECS images: their table and all its SQL. The system disk is the image's own layer."""

from typing import Any

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction, metadata

image_disks = sa.Table(
    "image_disks",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("device_index", sa.Integer, primary_key=True),
    sa.Column("layer_id", sa.ForeignKey("layers.id"), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("volume_type", sa.String(16), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("delete_on_termination", sa.Boolean, nullable=False),
)


class ImageDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A data disk as it was when the server was captured."""

    image_id: str
    device_index: int
    layer_id: str
    size_bytes: int
    volume_type: str
    name: str
    delete_on_termination: bool


async def insert_disk(tx: Transaction, disk: ImageDisk) -> None:
    values = {name: getattr(disk, name) for name in disk.__struct_fields__}
    await tx.execute(sa.insert(image_disks).values(**values))


async def list_disks(tx: Transaction, image_id: str) -> list[ImageDisk]:
    """In the order of their places."""
    query = sa.select(image_disks).where(image_disks.c.image_id == image_id).order_by(image_disks.c.device_index)
    return [_disk(row) for row in await tx.all(query)]


def _disk(row: sa.Row[Any]) -> ImageDisk:
    return ImageDisk(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


async def set_layer(tx: Transaction, image_id: str, device_index: int, layer_id: str) -> bool:
    """False when the image has no such disk (any more)."""
    statement = (
        sa.update(image_disks)
        .where(image_disks.c.image_id == image_id, image_disks.c.device_index == device_index)
        .values(layer_id=layer_id)
    )
    return (await tx.execute(statement)).rowcount == 1


async def delete_disks(tx: Transaction, image_id: str) -> None:
    await tx.execute(sa.delete(image_disks).where(image_disks.c.image_id == image_id))
