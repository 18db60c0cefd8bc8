"""The layers table and all its SQL.

Whether a layer is in use is asked of the schema itself: every foreign key that points at layers.id counts. A room that
adds such a key needs no change here, and cannot forget one.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.layers.model import Layer, LayerState

layers = sa.Table(
    "layers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("disk_format", sa.String(16), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("parent_id", sa.ForeignKey("layers.id"), index=True),
    sa.Column("superseded_by", sa.ForeignKey("layers.id"), index=True),
    sa.Column("virtual_size_bytes", sa.BigInteger, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger),
    sa.Column("md5", sa.String(32)),
    sa.Column("sha512", sa.String(128)),
    sa.Column("job_id", sa.String(36)),
    sa.Column("touched_at", UtcTime, nullable=False),
    sa.Index("ix_layers_state_touched_at", "state", "touched_at"),
)


def _layer(row: sa.Row[Any]) -> Layer:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    return Layer(**fields | {"state": LayerState(fields["state"])})


async def insert_layer(tx: Transaction, layer: Layer) -> None:
    await tx.execute(sa.insert(layers).values(**{name: getattr(layer, name) for name in layer.__struct_fields__}))


async def get_layer(tx: Transaction, layer_id: str, *, lock: bool = False) -> Layer | None:
    """`lock` keeps others from referring to it or changing it until the transaction ends."""
    query = sa.select(layers).where(layers.c.id == layer_id)
    row = await tx.first(query.with_for_update() if lock else query)
    return _layer(row) if row else None


async def get_chain(tx: Transaction, layer_id: str) -> list[Layer]:
    """The layer and everything below it, top first."""
    top = sa.select(layers, sa.literal(0).label("depth")).where(layers.c.id == layer_id).cte("chain", recursive=True)
    below = sa.select(layers, (top.c.depth + 1).label("depth")).join(top, layers.c.id == top.c.parent_id)
    chain = top.union_all(below)
    rows = await tx.all(sa.select(chain).order_by(chain.c.depth))
    return [_layer_without(row, "depth") for row in rows]


def _layer_without(row: sa.Row[Any], *extra: str) -> Layer:
    fields = {name: value for name, value in row._mapping.items() if name not in extra}  # noqa: SLF001
    return Layer(**fields | {"state": LayerState(fields["state"])})


async def update_layer(tx: Transaction, layer_id: str, *only_in: LayerState, **values: Any) -> bool:
    """False when the layer is not in one of the states `only_in`."""
    statement = sa.update(layers).where(layers.c.id == layer_id, layers.c.state.in_(only_in)).values(**values)
    return (await tx.execute(statement)).rowcount == 1


async def delete_layer(tx: Transaction, layer_id: str) -> None:
    await tx.execute(sa.delete(layers).where(layers.c.id == layer_id))


async def is_referenced(tx: Transaction, layer_id: str) -> bool:
    return bool(await tx.scalar(sa.select(_has_references(sa.literal(layer_id)))))


def _has_references(layer_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    aliases = [(table, table.alias()) for table in metadata.tables.values()]
    return sa.or_(
        *(
            sa.exists().where(referring.c[key.parent.name] == layer_id)
            for table, referring in aliases
            for key in table.foreign_keys
            if key.column is layers.c.id
        )
    )


async def list_doomed(tx: Transaction, *, but: Collection[str] = (), limit: int = 100) -> list[Layer]:
    doomed = sa.select(layers).where(layers.c.state == LayerState.DOOMED, layers.c.id.not_in(but))
    return [_layer(row) for row in await tx.all(doomed.order_by(layers.c.touched_at).limit(limit))]


async def list_abandoned(tx: Transaction, untouched_since: datetime) -> list[Layer]:
    """Layers in the making that nobody has touched since then and nobody refers to."""
    query = sa.select(layers).where(
        layers.c.state == LayerState.CREATING,
        layers.c.touched_at < untouched_since,
        sa.not_(_has_references(layers.c.id)),
    )
    return [_layer(row) for row in await tx.all(query)]


async def list_children_to_move(tx: Transaction) -> list[tuple[Layer, str]]:
    """Layers with a file that lie on a superseded one, with the id of the layer they should lie on."""
    old = layers.alias("old")
    query = (
        sa.select(layers, old.c.superseded_by.label("target"))
        .join(old, sa.and_(layers.c.parent_id == old.c.id, old.c.superseded_by.is_not(None)))
        .where(layers.c.state.in_([LayerState.WRITABLE, LayerState.SEALED]))
    )
    return [(_layer_without(row, "target"), row.target) for row in await tx.all(query)]


async def set_parent(tx: Transaction, layer_id: str, *, old_parent_id: str, new_parent_id: str) -> bool:
    statement = (
        sa.update(layers)
        .where(layers.c.id == layer_id, layers.c.parent_id == old_parent_id)
        .values(parent_id=new_parent_id)
    )
    return (await tx.execute(statement)).rowcount == 1
