"""SQL of limits beyond reading and writing single rows."""

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.tables import limits


async def is_used(tx: Transaction, registered_limit_id: str) -> bool:
    """Whether a limit rests on the registered one."""
    where = limits.c.registered_limit_id == registered_limit_id
    return await tx.first(sa.select(limits.c.id).where(where).limit(1)) is not None
