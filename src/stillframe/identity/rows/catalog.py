"""SQL of the catalog beyond reading and writing single rows."""

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.tables import catalog_revision, endpoints


async def grow_revision(tx: Transaction) -> None:
    """Tells every process that the catalog it remembers is not the catalog any more."""
    changed = await tx.execute(sa.update(catalog_revision).values(revision=catalog_revision.c.revision + 1))
    if not changed.rowcount:
        await tx.execute(sa.insert(catalog_revision).values(id=1, revision=1))


async def delete_endpoints_of_service(tx: Transaction, service_id: str) -> None:
    await tx.execute(sa.delete(endpoints).where(endpoints.c.service_id == service_id))


async def get_revision(tx: Transaction) -> int:
    """0 while nothing was ever added."""
    return await tx.scalar(sa.select(catalog_revision.c.revision)) or 0
