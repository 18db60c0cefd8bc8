"""The images room's tables and the SQL on single images; lists are in listing.py.

Tags and properties are kept twice on purpose: as JSON in the image's row, so that reading an image is one row, and in
tables of their own, so that filtering by them is one index. Those carry the image's audience and time of creation too,
and that of tags all else that a list can be sorted by: so such an index gives the order of a page as well, and a page
costs the same however many images match.
"""

import hashlib
from typing import Any, NamedTuple

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.images.errors import ImageIdTakenError
from stillframe.images.model import (
    Image,
    ImageKind,
    ImageStatus,
    Member,
    MemberStatus,
    OsInfo,
    Upload,
    Usage,
    Visibility,
)

EVERYBODY = ""
"""The audience of public images."""

# Plain columns, since SQLite answers a comparison of rows, which a page begins with, by an index of nothing else.
_KEYS: dict[str, tuple[sa.types.TypeEngine[Any], str]] = {
    "name": (sa.String(255), "''"),
    "disk_format": (sa.String(20), "''"),
    "container_format": (sa.String(20), "''"),
    "size_bytes": (sa.BigInteger(), "-1"),
}

_AUDIENCE = "CASE WHEN visibility = 'public' THEN '' ELSE project_id END"

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(255), nullable=False),
    # Whose lists the image is in: its project's, or everybody's. One column leads every index below, so that one page
    # is one walk along an index and its cost does not grow with the number of images.
    sa.Column("audience", sa.String(255), sa.Computed(_AUDIENCE, persisted=True), nullable=False),
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
    *[
        sa.Column(f"{name}_key", type_, sa.Computed(f"coalesce({name}, {blank})", persisted=True), nullable=False)
        for name, (type_, blank) in _KEYS.items()
    ],
)

STORED = [column for column in images.c if column.computed is None]
"""What `image_from_row` reads, in this order."""
_STORED_NAMES = tuple(column.name for column in STORED)

NEVER_NULL: dict[str, sa.ColumnElement[Any]] = {name: images.c[f"{name}_key"] for name in _KEYS}
"""Columns that may be null, as they are sorted, compared and indexed: the databases disagree on where nulls go."""

_FILTERED = (
    "project_id",
    "status",
    "visibility",
    "os_hidden",
    "protected",
    "kind",
    "checksum",
    "os_hash_value",
    "min_disk_gib",
    "min_ram_mib",
    "os_type",
    "os_version",
    "os_platform",
    "os_bits",
    "architecture",
    "enterprise_project_id",
    "updated_at",
    *NEVER_NULL,
)


def _index_the_living(name: str, *columns: sa.ColumnElement[Any], also: sa.ColumnElement[bool] | None = None) -> None:
    living = images.c.deleted_at.is_(None)
    where = living if also is None else sa.and_(living, also)
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# Literals: SQLite prepares a statement anew for each value that it compares with what a partial index is limited to.
IS_COMMUNITY = images.c.visibility == sa.literal_column("'community'")
IS_SHARED = images.c.visibility == sa.literal_column("'shared'")

_NEWEST = (images.c.created_at, images.c.id)

_index_the_living("ix_images_all", *_NEWEST)
# Administrators look for an image by its name in every project.
_index_the_living("ix_images_name", NEVER_NULL["name"], *_NEWEST)
_index_the_living("ix_images_audience", images.c.audience, *_NEWEST)
_index_the_living("ix_images_audience_id", images.c.audience, images.c.id)
_index_the_living("ix_images_community", *_NEWEST, also=IS_COMMUNITY)
for _column in _FILTERED:
    _ordered_by = NEVER_NULL.get(_column, images.c[_column])
    _index_the_living(f"ix_images_audience_{_column}", images.c.audience, _ordered_by, *_NEWEST)
sa.Index(
    "ix_images_deleted",
    images.c.project_id,
    images.c.created_at,
    images.c.id,
    sqlite_where=images.c.deleted_at.is_not(None),
    postgresql_where=images.c.deleted_at.is_not(None),
)

SORTED_BY_TAG = ("updated_at", "status", *NEVER_NULL)
"""Columns of an image that the rows of its tags repeat."""

image_tags = sa.Table(
    "image_tags",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True),
    # What stands before the first equals sign of a tag, which is all of it when it has none.
    sa.Column("tag_key", sa.String(255), nullable=False),
    sa.Column("audience", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    # The rest of what lists are sorted by, never null: as NEVER_NULL says it of the image.
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("disk_format", sa.String(20), nullable=False),
    sa.Column("container_format", sa.String(20), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Index("ix_image_tags_audience_tag", "audience", "tag", "created_at", "image_id"),
    sa.Index("ix_image_tags_audience_tag_id", "audience", "tag", "image_id"),
    *[
        sa.Index(f"ix_image_tags_audience_tag_{column}", "audience", "tag", column, "created_at", "image_id")
        for column in SORTED_BY_TAG
    ],
    sa.Index("ix_image_tags_audience_tag_key", "audience", "tag_key", "tag", "image_id"),
)

image_properties = sa.Table(
    "image_properties",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("value_key", sa.String(255), nullable=False),
    sa.Column("audience", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Index("ix_image_properties_audience_name", "audience", "name", "value_key", "created_at", "image_id"),
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

# An upload under way. The layer is named without a key on purpose: one that is only being written is nobody's yet.
image_uploads = sa.Table(
    "image_uploads",
    metadata,
    sa.Column("image_id", sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("layer_id", sa.String(36), nullable=False),
    sa.Column("started_at", UtcTime, nullable=False),
)


def never_null(name: str, value: Any) -> Any:
    """What `NEVER_NULL` makes of a value of that column."""
    if value is None:
        return -1 if name == "size_bytes" else ""
    return value


def value_key(value: str) -> str:
    """What a property's value is found by: an index entry cannot be as long as a value can."""
    if len(value) <= 200:
        return value
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()


_STATUSES = {status.value: status for status in ImageStatus}
_VISIBILITIES = {visibility.value: visibility for visibility in Visibility}
_KINDS = {kind.value: kind for kind in ImageKind}


def image_from_row(row: sa.Row[Any]) -> Image:
    fields: dict[str, Any] = dict(zip(_STORED_NAMES, row, strict=True))
    fields["os"] = OsInfo(
        os_type=fields.pop("os_type"),
        version=fields.pop("os_version"),
        platform=fields.pop("os_platform"),
        bits=fields.pop("os_bits"),
    )
    # Looked up and not constructed: a list makes thousands of these, and calling an enum costs ten times as much.
    fields["status"] = _STATUSES[fields["status"]]
    fields["visibility"] = _VISIBILITIES[fields["visibility"]]
    fields["kind"] = _KINDS[fields["kind"]]
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
    """Raises: ImageIdTakenError, after which the transaction can only be given up."""
    try:
        await tx.execute(sa.insert(images).values(**_columns(image)))
    except sa.exc.IntegrityError as error:
        raise ImageIdTakenError(f"Image ID {image.id} already exists!", cause=error) from None
    await _insert_tags_and_properties(tx, image)


# Built once: that takes ten times as long as finding an image.
_LIVING_IMAGE = sa.select(*STORED).where(images.c.id == sa.bindparam("id"), images.c.deleted_at.is_(None))
_LIVING_IMAGE_LOCKED = _LIVING_IMAGE.with_for_update()


async def get_image(tx: Transaction, image_id: str, *, lock: bool = False) -> Image | None:
    """The image in any status but deleted, whoever may see it; `lock` keeps it unchanged until the transaction ends."""
    row = await tx.first(_LIVING_IMAGE_LOCKED if lock else _LIVING_IMAGE, {"id": image_id})
    return image_from_row(row) if row else None


async def is_image_id_taken(tx: Transaction, image_id: str) -> bool:
    """Also by a deleted image."""
    return await tx.scalar(sa.select(images.c.id).where(images.c.id == image_id)) is not None


async def replace_image(tx: Transaction, image: Image) -> None:
    """Writes the whole image over the row with its id."""
    await tx.execute(sa.update(images).where(images.c.id == image.id).values(**_columns(image)))
    await _delete_tags_and_properties(tx, image.id)
    await _insert_tags_and_properties(tx, image)


async def update_image_columns(
    tx: Transaction, image_id: str, *, only_in: tuple[ImageStatus, ...] = (), **values: Any
) -> bool:
    """Compare-and-set of single columns; False when the image is not there in one of the statuses `only_in`.

    Not for tags, properties, project_id and visibility, which the tables of tags and properties repeat.
    """
    statement = sa.update(images).where(images.c.id == image_id).values(**values)
    if only_in:
        statement = statement.where(images.c.status.in_(only_in))
    changed = (await tx.execute(statement)).rowcount == 1
    repeated = {name: never_null(name, value) for name, value in values.items() if name in SORTED_BY_TAG}
    if changed and repeated:
        await tx.execute(sa.update(image_tags).where(image_tags.c.image_id == image_id).values(**repeated))
    return changed


async def bury_image(tx: Transaction, image: Image) -> None:
    """Leaves the row as a tombstone, which nobody is shared with and no list finds but that of deleted images."""
    await replace_image(tx, image)
    await _delete_tags_and_properties(tx, image.id)
    await tx.execute(sa.delete(image_members).where(image_members.c.image_id == image.id))
    await delete_upload(tx, image.id)


async def delete_image_row(tx: Transaction, image_id: str) -> None:
    await tx.execute(sa.delete(images).where(images.c.id == image_id))


async def count_images_of_project(tx: Transaction, project_id: str) -> int:
    query = sa.select(sa.func.count()).where(images.c.audience == project_id, images.c.deleted_at.is_(None))
    return int(await tx.scalar(query))


class ImageCounts(NamedTuple):
    images: int
    shared: int
    members: int
    """Of the image that has the most."""


async def count_for_quota(tx: Transaction, project_id: str) -> ImageCounts:
    own = (images.c.audience == project_id, images.c.deleted_at.is_(None))
    count = sa.select(sa.func.count()).where(*own)
    per_image = (
        sa.select(sa.func.count())
        .join(image_members, image_members.c.image_id == images.c.id)
        .where(*own)
        .group_by(images.c.id)
        .order_by(sa.func.count().desc())
        .limit(1)
    )
    parts = (count, count.where(images.c.visibility == Visibility.SHARED), per_image)
    row = await tx.first(sa.select(*[part.select_from(images).scalar_subquery() for part in parts]))
    return ImageCounts(*[int(number or 0) for number in row or (0, 0, 0)])


async def usage_of_project(tx: Transaction, project_id: str) -> Usage:
    """One walk over the project's images, of which there are not more than its quota."""
    size = sa.func.coalesce(images.c.size_bytes, 0)
    under_way = images.c.status.in_((ImageStatus.SAVING, ImageStatus.UPLOADING, ImageStatus.IMPORTING))
    has_data = images.c.status.in_((ImageStatus.ACTIVE, ImageStatus.DEACTIVATED))
    query = sa.select(
        sa.func.count(),
        sa.func.sum(sa.case((under_way, 1), else_=0)),
        sa.func.sum(sa.case((has_data, size), else_=0)),
        sa.func.sum(sa.case((under_way, size), else_=0)),
    ).where(images.c.audience == project_id, images.c.deleted_at.is_(None))
    [(count, uploading, stored, staged)] = await tx.all(query)
    return Usage(images=count, uploading=uploading or 0, stored_bytes=int(stored or 0), staged_bytes=int(staged or 0))


async def is_name_taken(tx: Transaction, project_id: str, name: str) -> bool:
    query = sa.select(images.c.id).where(
        images.c.audience == project_id, NEVER_NULL["name"] == name, images.c.deleted_at.is_(None)
    )
    return await tx.scalar(query.limit(1)) is not None


async def _delete_tags_and_properties(tx: Transaction, image_id: str) -> None:
    await tx.execute(sa.delete(image_tags).where(image_tags.c.image_id == image_id))
    await tx.execute(sa.delete(image_properties).where(image_properties.c.image_id == image_id))


async def _insert_tags_and_properties(tx: Transaction, image: Image) -> None:
    audience = EVERYBODY if image.visibility is Visibility.PUBLIC else image.project_id
    found_by = {"image_id": image.id, "audience": audience, "created_at": image.created_at}
    if image.tags:
        ordered_by = {name: never_null(name, getattr(image, name)) for name in SORTED_BY_TAG}
        tags = [{**found_by, **ordered_by, "tag": tag, "tag_key": tag.partition("=")[0]} for tag in image.tags]
        await tx.execute(sa.insert(image_tags), tags)
    if image.properties:
        await tx.execute(
            sa.insert(image_properties),
            [{**found_by, "name": name, "value_key": value_key(value)} for name, value in image.properties.items()],
        )


def _member(row: sa.Row[Any]) -> Member:
    fields = dict(row._mapping)  # noqa: SLF001
    return Member(**fields | {"status": MemberStatus(fields["status"])})


async def get_member(tx: Transaction, image_id: str, project_id: str) -> Member | None:
    row = await tx.first(
        sa.select(image_members).where(image_members.c.image_id == image_id, image_members.c.project_id == project_id)
    )
    return _member(row) if row else None


async def list_members(tx: Transaction, image_id: str) -> list[Member]:
    """Oldest first."""
    query = (
        sa.select(image_members)
        .where(image_members.c.image_id == image_id)
        .order_by(image_members.c.created_at, image_members.c.project_id)
    )
    return [_member(row) for row in await tx.all(query)]


async def insert_member(tx: Transaction, member: Member) -> None:
    await tx.execute(
        sa.insert(image_members).values(**{name: getattr(member, name) for name in member.__struct_fields__})
    )


async def update_member(tx: Transaction, member: Member) -> None:
    await tx.execute(
        sa.update(image_members)
        .where(image_members.c.image_id == member.image_id, image_members.c.project_id == member.project_id)
        .values(status=member.status, updated_at=member.updated_at)
    )


async def delete_member(tx: Transaction, image_id: str, project_id: str) -> bool:
    """False when the image was not shared with the project."""
    deleted = await tx.execute(
        sa.delete(image_members).where(image_members.c.image_id == image_id, image_members.c.project_id == project_id)
    )
    return deleted.rowcount == 1


def _upload(row: sa.Row[Any]) -> Upload:
    return Upload(**row._mapping)  # noqa: SLF001


async def insert_upload(tx: Transaction, upload: Upload) -> None:
    await tx.execute(
        sa.insert(image_uploads).values(**{name: getattr(upload, name) for name in upload.__struct_fields__})
    )


async def get_upload(tx: Transaction, image_id: str) -> Upload | None:
    row = await tx.first(sa.select(image_uploads).where(image_uploads.c.image_id == image_id))
    return _upload(row) if row else None


async def list_uploads(tx: Transaction) -> list[Upload]:
    return [_upload(row) for row in await tx.all(sa.select(image_uploads))]


async def delete_upload(tx: Transaction, image_id: str) -> None:
    await tx.execute(sa.delete(image_uploads).where(image_uploads.c.image_id == image_id))
