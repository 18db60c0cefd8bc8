"""The images room's tables and all its SQL.

Tags and properties are kept twice on purpose: as JSON in the image's row, so that reading an image is one row, and in
tables of their own, so that filtering by them is one index.
"""

from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.images.model import Image, ImageKind, ImageStatus, OsInfo, Visibility

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("visibility", sa.String(16), nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("os_hidden", sa.Boolean, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("disk_format", sa.String(20)),
    sa.Column("container_format", sa.String(20)),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("virtual_size_bytes", sa.BigInteger),
    sa.Column("checksum", sa.String(32)),
    sa.Column("os_hash_value", sa.String(128)),
    sa.Column("layer_id", sa.ForeignKey("layers.id"), index=True),
    sa.Column("min_disk_gib", sa.BigInteger, nullable=False),
    sa.Column("min_ram_mib", sa.BigInteger, nullable=False),
    sa.Column("max_ram_mib", sa.BigInteger, nullable=False),
    sa.Column("os_type", sa.String(255), nullable=False),
    sa.Column("os_version", sa.String(255), nullable=False),
    sa.Column("os_platform", sa.String(255), nullable=False),
    sa.Column("os_bits", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("firmware", sa.String(255), nullable=False),
    sa.Column("architecture", sa.String(255), nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("source_image_id", sa.String(255), nullable=False),
    sa.Column("enterprise_project_id", sa.String(36), nullable=False),
    sa.Column("registered", sa.Boolean, nullable=False),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("deleted_at", UtcTime),
    sa.Index("ix_images_project_id_created_at_id", "project_id", "created_at", "id"),
    sa.Index("ix_images_visibility_created_at_id", "visibility", "created_at", "id"),
    sa.Index("ix_images_name", "name"),
)

image_tags = sa.Table(
    "image_tags",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True),
    sa.Index("ix_image_tags_tag_image_id", "tag", "image_id"),
)

image_properties = sa.Table(
    "image_properties",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Index("ix_image_properties_name_image_id", "name", "image_id"),
)

image_members = sa.Table(
    "image_members",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Index("ix_image_members_project_id_status_image_id", "project_id", "status", "image_id"),
)


def image_from_row(row: sa.Row[Any]) -> Image:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    fields["os"] = OsInfo(
        os_type=fields.pop("os_type"),
        version=fields.pop("os_version"),
        platform=fields.pop("os_platform"),
        bits=fields.pop("os_bits"),
    )
    fields["status"] = ImageStatus(fields["status"])
    fields["visibility"] = Visibility(fields["visibility"])
    fields["kind"] = ImageKind(fields["kind"])
    fields["tags"] = tuple(fields["tags"])
    return Image(**fields)


def _columns(image: Image) -> dict[str, Any]:
    values = {name: getattr(image, name) for name in image.__struct_fields__ if name != "os"}
    return values | {
        "tags": list(image.tags),
        "os_type": image.os.os_type,
        "os_version": image.os.version,
        "os_platform": image.os.platform,
        "os_bits": image.os.bits,
    }


async def insert_image(tx: Transaction, image: Image) -> None:
    await tx.execute(sa.insert(images).values(**_columns(image)))
    await _insert_tags_and_properties(tx, image)


async def get_image(tx: Transaction, image_id: str) -> Image | None:
    """The image in any status but deleted, whoever may see it."""
    row = await tx.first(sa.select(images).where(images.c.id == image_id, images.c.status != ImageStatus.DELETED))
    return image_from_row(row) if row else None


async def replace_image(tx: Transaction, image: Image) -> None:
    """Writes the whole image over the row with its id."""
    await tx.execute(sa.update(images).where(images.c.id == image.id).values(**_columns(image)))
    await tx.execute(sa.delete(image_tags).where(image_tags.c.image_id == image.id))
    await tx.execute(sa.delete(image_properties).where(image_properties.c.image_id == image.id))
    await _insert_tags_and_properties(tx, image)


async def update_image_columns(
    tx: Transaction, image_id: str, *, only_in: tuple[ImageStatus, ...] = (), **values: Any
) -> bool:
    """Compare-and-set of single columns; False when the image is not there in one of the statuses `only_in`."""
    statement = sa.update(images).where(images.c.id == image_id).values(**values)
    if only_in:
        statement = statement.where(images.c.status.in_(only_in))
    return (await tx.execute(statement)).rowcount == 1


async def delete_image_row(tx: Transaction, image_id: str) -> None:
    await tx.execute(sa.delete(images).where(images.c.id == image_id))


async def count_images_of_project(tx: Transaction, project_id: str) -> int:
    query = sa.select(sa.func.count()).where(
        images.c.project_id == project_id,
        images.c.status != ImageStatus.DELETED,
        images.c.visibility != Visibility.PUBLIC,
    )
    return int(await tx.scalar(query))


async def is_layer_used_by_image(tx: Transaction, layer_id: str) -> bool:
    return await tx.scalar(sa.select(images.c.id).where(images.c.layer_id == layer_id).limit(1)) is not None


async def _insert_tags_and_properties(tx: Transaction, image: Image) -> None:
    if image.tags:
        await tx.execute(sa.insert(image_tags), [{"image_id": image.id, "tag": tag} for tag in image.tags])
    if image.properties:
        await tx.execute(
            sa.insert(image_properties),
            [{"image_id": image.id, "name": name, "value": value} for name, value in image.properties.items()],
        )
