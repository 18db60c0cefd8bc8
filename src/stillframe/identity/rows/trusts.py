"""SQL of trusts."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.identity.model import Role, Trust, TrustView
from stillframe.identity.rows import records
from stillframe.identity.rows.records import equal, keeps_nothing
from stillframe.identity.tables import built, columns, roles, trust_roles, trusts


async def insert_trust(tx: Transaction, trust: Trust, role_ids: Sequence[str]) -> None:
    await records.insert(tx, trusts, trust, taken="The trust is there already.")
    await tx.execute(sa.insert(trust_roles), [{"trust_id": trust.id, "role_id": each} for each in role_ids])


async def get_trust(tx: Transaction, trust_id: str) -> TrustView | None:
    found = await records.get(tx, trusts, Trust, trust_id)
    if found is None:
        return None
    held = sa.select(*columns(roles, Role)).join(trust_roles, trust_roles.c.role_id == roles.c.id)
    of_trust = await tx.all(held.where(trust_roles.c.trust_id == trust_id).order_by(roles.c.name))
    return TrustView(trust=found, roles=tuple(built(Role, row) for row in of_trust))


async def list_trusts(
    tx: Transaction, *, trustor_user_id: str | None = None, trustee_user_id: str | None = None
) -> list[Trust]:
    if keeps_nothing(trustor_user_id, trustee_user_id):
        return []
    where = equal(trusts, trustor_user_id=trustor_user_id, trustee_user_id=trustee_user_id)
    return await records.find_all(tx, trusts, Trust, *where)


async def use_trust(tx: Transaction, trust_id: str) -> bool:
    """One use less; False when none is left."""
    left = sa.and_(trusts.c.id == trust_id, trusts.c.remaining_uses > 0)
    spent = sa.update(trusts).where(left).values(remaining_uses=trusts.c.remaining_uses - 1)
    return await tx.first(spent.returning(trusts.c.id)) is not None


async def delete_trusts(tx: Transaction, before: datetime) -> None:
    """Those that were over before that."""
    await tx.execute(sa.delete(trusts).where(trusts.c.expires_at < before))


async def delete_trust(tx: Transaction, trust_id: str) -> None:
    await records.delete(tx, trusts, trust_id)
