"""The flavors table and all its SQL."""

from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction, metadata
from stillframe.flavors.model import Flavor

flavors = sa.Table(
    "flavors",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("ram_mib", sa.Integer, nullable=False),
    sa.Column("is_public", sa.Boolean, nullable=False),
    sa.Column("extra_specs", sa.JSON, nullable=False),
)


def _flavor(row: sa.Row[Any]) -> Flavor:
    return Flavor(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


async def insert_flavor(tx: Transaction, flavor: Flavor) -> None:
    await tx.execute(sa.insert(flavors).values(**{name: getattr(flavor, name) for name in flavor.__struct_fields__}))


async def get_flavor(tx: Transaction, flavor_id: str) -> Flavor | None:
    row = await tx.first(sa.select(flavors).where(flavors.c.id == flavor_id))
    return _flavor(row) if row else None


async def list_flavors(tx: Transaction) -> list[Flavor]:
    """Smallest first."""
    query = sa.select(flavors).order_by(flavors.c.vcpus, flavors.c.ram_mib, flavors.c.id)
    return [_flavor(row) for row in await tx.all(query)]
