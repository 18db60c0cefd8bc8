"""The tables of metadata definitions and all their SQL.

The four kinds of parts have tables of one shape, so one function reads or writes any of them.
"""

from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.metadefs.model import (
    Association,
    MetadefObject,
    MetadefProperty,
    MetadefTag,
    Namespace,
    NamespaceQuery,
    NamespaceVisibility,
    Part,
    ResourceType,
    TagQuery,
)

MAX_NAME_LENGTH = 80
_MOMENT = timedelta(microseconds=1)

PartT = TypeVar("PartT", bound=Part)

metadef_namespaces = sa.Table(
    "metadef_namespaces",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(MAX_NAME_LENGTH), nullable=False, unique=True),
    sa.Column("display_name", sa.String(MAX_NAME_LENGTH)),
    sa.Column("description", sa.Text),
    sa.Column("visibility", sa.String(16), nullable=False),
    sa.Column("protected", sa.Boolean, nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Index("ix_metadef_namespaces_created_at", "created_at", "id"),
    sa.Index("ix_metadef_namespaces_visibility", "visibility", "created_at", "id"),
    sa.Index("ix_metadef_namespaces_owner", "owner", "created_at", "id"),
)


def _table_of_parts(name: str, *columns: sa.Column[Any] | sa.Index) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("namespace_id", sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(MAX_NAME_LENGTH), primary_key=True),
        *columns,
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )


metadef_resource_types = sa.Table(
    "metadef_resource_types",
    metadata,
    sa.Column("name", sa.String(MAX_NAME_LENGTH), primary_key=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)

# The one spelling that both databases share.
_ADD_RESOURCE_TYPE = sa.text(
    "INSERT INTO metadef_resource_types (name, created_at, updated_at)"
    " VALUES (:name, :now, :now) ON CONFLICT DO NOTHING"
).bindparams(sa.bindparam("now", type_=UtcTime))

PARTS: dict[type[Part], sa.Table] = {
    MetadefObject: _table_of_parts(
        "metadef_objects",
        sa.Column("description", sa.Text),
        sa.Column("required", sa.JSON, nullable=False),
        sa.Column("properties", sa.JSON, nullable=False),
    ),
    MetadefProperty: _table_of_parts("metadef_properties", sa.Column("schema", sa.JSON, nullable=False)),
    MetadefTag: _table_of_parts("metadef_tags"),
    Association: _table_of_parts(
        "metadef_associations",
        sa.Column("prefix", sa.String(MAX_NAME_LENGTH)),
        sa.Column("properties_target", sa.String(MAX_NAME_LENGTH)),
        sa.Index("ix_metadef_associations_name", "name"),
    ),
}


def _values(row: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _namespace(row: sa.Row[Any]) -> Namespace:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Namespace(**fields | {"visibility": NamespaceVisibility(fields["visibility"])})


async def get_namespace(tx: Transaction, name: str, *, lock: bool = False) -> Namespace | None:
    """`lock` keeps the namespace, and who else wants to lock it, until the transaction ends."""
    query = sa.select(metadef_namespaces).where(metadef_namespaces.c.name == name)
    row = await tx.first(query.with_for_update() if lock else query)
    return _namespace(row) if row else None


async def list_namespaces(
    tx: Transaction, query: NamespaceQuery, after: Namespace | None, *, seen_by: str | None, everything: bool
) -> list[Namespace]:
    """One page of what is public or belongs to the project `seen_by`; of all there are with `everything`."""
    table = metadef_namespaces.c
    statement = sa.select(metadef_namespaces)
    if not everything:
        statement = statement.where(sa.or_(table.visibility == NamespaceVisibility.PUBLIC, table.owner == seen_by))
    if query.visibility is not None:
        statement = statement.where(table.visibility == query.visibility)
    if query.resource_types is not None:
        associations = PARTS[Association].c
        found = sa.select(associations.namespace_id).where(associations.name.in_(query.resource_types))
        statement = statement.where(table.id.in_(found))
    order = list(dict.fromkeys([query.sort.value, "created_at", "id"]))
    statement = _page(statement, metadef_namespaces, order, after, descending=query.descending)
    return [_namespace(row) for row in await tx.all(statement.limit(query.limit))]


def _page(
    statement: sa.Select[Any], table: sa.Table, order: list[str], after: msgspec.Struct | None, *, descending: bool
) -> sa.Select[Any]:
    """In the order of the columns, texts that are missing first, and from what follows `after` on."""
    columns = [
        sa.func.coalesce(table.c[name], sa.literal("")) if table.c[name].nullable else table.c[name] for name in order
    ]
    if after is not None:
        values = [
            sa.literal("" if getattr(after, name) is None else getattr(after, name), table.c[name].type)
            for name in order
        ]
        here, there = sa.tuple_(*columns), sa.tuple_(*values)
        statement = statement.where(here < there if descending else here > there)
    return statement.order_by(*[column.desc() if descending else column.asc() for column in columns])


async def insert_namespace(tx: Transaction, namespace: Namespace) -> bool:
    """False when the name is taken, after which the transaction can only be given up."""
    return await _write(tx, sa.insert(metadef_namespaces).values(**_values(namespace)))


async def replace_namespace(tx: Transaction, namespace: Namespace) -> bool:
    """Writes over the row with the id; False as `insert_namespace`."""
    table = metadef_namespaces
    return await _write(tx, sa.update(table).where(table.c.id == namespace.id).values(**_values(namespace)))


async def _write(tx: Transaction, statement: sa.Executable) -> bool:
    try:
        await tx.execute(statement)
    except sa.exc.IntegrityError:
        return False
    return True


async def delete_namespace(tx: Transaction, namespace_id: str) -> None:
    """With all its parts."""
    await tx.execute(sa.delete(metadef_namespaces).where(metadef_namespaces.c.id == namespace_id))


def _part(kind: type[PartT], row: sa.Row[Any]) -> PartT:
    fields = dict(row._mapping)  # noqa: SLF001
    del fields["namespace_id"]
    return kind(**fields)


async def get_part(tx: Transaction, kind: type[PartT], namespace_id: str, name: str) -> PartT | None:
    table = PARTS[kind]
    row = await tx.first(sa.select(table).where(table.c.namespace_id == namespace_id, table.c.name == name))
    return _part(kind, row) if row else None


async def list_parts(tx: Transaction, kind: type[PartT], namespace_id: str) -> list[PartT]:
    """Oldest first."""
    table = PARTS[kind]
    query = sa.select(table).where(table.c.namespace_id == namespace_id).order_by(table.c.created_at, table.c.name)
    return [_part(kind, row) for row in await tx.all(query)]


async def list_tags(tx: Transaction, namespace_id: str, query: TagQuery, after: MetadefTag | None) -> list[MetadefTag]:
    table = PARTS[MetadefTag]
    statement = sa.select(table).where(table.c.namespace_id == namespace_id)
    order = list(dict.fromkeys([query.sort.value, "created_at", "name"]))
    statement = _page(statement, table, order, after, descending=query.descending)
    return [_part(MetadefTag, row) for row in await tx.all(statement.limit(query.limit))]


async def associations_of(tx: Transaction, namespace_ids: list[str]) -> dict[str, list[Association]]:
    """Of each namespace that has any."""
    table = PARTS[Association]
    query = sa.select(table).where(table.c.namespace_id.in_(namespace_ids)).order_by(table.c.created_at, table.c.name)
    found: dict[str, list[Association]] = {}
    for row in await tx.all(query):
        found.setdefault(row.namespace_id, []).append(_part(Association, row))
    return found


async def insert_parts(tx: Transaction, namespace_id: str, parts: list[PartT]) -> bool:
    """All of one kind, each a moment younger than the one before, so that lists keep their order.

    False when a name is taken, after which the transaction can only be given up.
    """
    if not parts:
        return True
    values = [
        {**_values(part), "namespace_id": namespace_id, "created_at": part.created_at + number * _MOMENT}
        for number, part in enumerate(parts)
    ]
    try:
        await tx.execute(sa.insert(PARTS[type(parts[0])]), values)
    except sa.exc.IntegrityError:
        return False
    return True


async def replace_part(tx: Transaction, namespace_id: str, name: str, part: Part) -> bool:
    """Writes over the part of that name, which may get another; False when that is taken, as `insert_parts`."""
    table = PARTS[type(part)]
    here = sa.and_(table.c.namespace_id == namespace_id, table.c.name == name)
    return await _write(tx, sa.update(table).where(here).values(**_values(part)))


async def delete_part(tx: Transaction, kind: type[Part], namespace_id: str, name: str) -> None:
    table = PARTS[kind]
    await tx.execute(sa.delete(table).where(table.c.namespace_id == namespace_id, table.c.name == name))


async def delete_parts(tx: Transaction, kind: type[Part], namespace_id: str) -> None:
    table = PARTS[kind]
    await tx.execute(sa.delete(table).where(table.c.namespace_id == namespace_id))


async def list_resource_types(tx: Transaction) -> list[ResourceType]:
    query = sa.select(metadef_resource_types).order_by(metadef_resource_types.c.name)
    return [ResourceType(**row._mapping) for row in await tx.all(query)]  # noqa: SLF001


async def add_resource_type(tx: Transaction, name: str, now: datetime) -> None:
    """Leaves one that is there as it is; safe also while somebody else adds the same."""
    await tx.execute(_ADD_RESOURCE_TYPE, [{"name": name, "now": now}])
