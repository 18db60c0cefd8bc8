"""The quotas table and all its SQL."""

from collections.abc import Mapping

import sqlalchemy as sa

from stillframe.db import Transaction, metadata
from stillframe.quotas.model import QuotaOf

project_quotas = sa.Table(
    "project_quotas",
    metadata,
    sa.Column("project_id", sa.String(32), primary_key=True),
    sa.Column("service", sa.String(16), primary_key=True),
    sa.Column("resource", sa.String(32), primary_key=True),
    sa.Column("maximum", sa.Integer, nullable=False),
)


async def get_limits(tx: Transaction, service: QuotaOf, project_id: str) -> dict[str, int]:
    query = sa.select(project_quotas.c.resource, project_quotas.c.maximum)
    return {row[0]: row[1] for row in await tx.all(query.where(*_of(service, project_id)))}


async def replace_limits(tx: Transaction, service: QuotaOf, project_id: str, limits: Mapping[str, int]) -> None:
    """These and no others."""
    await tx.execute(sa.delete(project_quotas).where(*_of(service, project_id)))
    key = {"project_id": project_id, "service": service}
    values = [{**key, "resource": name, "maximum": most} for name, most in limits.items()]
    if values:
        await tx.execute(sa.insert(project_quotas), values)


async def list_projects(tx: Transaction, service: QuotaOf) -> list[str]:
    query = sa.select(project_quotas.c.project_id).distinct().order_by(project_quotas.c.project_id)
    return [row[0] for row in await tx.all(query.where(project_quotas.c.service == service))]


def _of(service: QuotaOf, project_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return project_quotas.c.service == service, project_quotas.c.project_id == project_id
