"""Lists of servers: filters, order and pages.

A page starts after the server named by the marker, compared by the same keys the list is sorted by, so pages stay whole
while servers come and go.
"""

import enum
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime
from stillframe.servers import tag_rows
from stillframe.servers.model import STATES_OF_STATUS, Server, ServerStatus
from stillframe.servers.rows import server_from_row, servers
from stillframe.servers.tag_rows import TagFilter


class SortKey(enum.StrEnum):
    """What a list can be sorted by: columns that are never null."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    NAME = "name"
    ID = "id"
    VM_STATE = "vm_state"
    FLAVOR_ID = "flavor_id"
    USER_ID = "user_id"
    PROJECT_ID = "project_id"
    IMAGE_ID = "image_id"


class Sort(msgspec.Struct, frozen=True):
    key: SortKey
    descending: bool = True


NEWEST_FIRST = (Sort(SortKey.CREATED_AT),)


class ServerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is None does not narrow the list. Patterns are those of SQL LIKE, with a backslash as the escape."""

    name_pattern: str | None = None
    status: ServerStatus | None = None
    statuses: tuple[ServerStatus, ...] | None = None
    """One of them."""
    flavor_id: str | None = None
    image_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    key_name: str | None = None
    server_id: str | None = None
    reservation_id: str | None = None
    address_pattern: str | None = None
    """A part of an address, or with `^` and `$` its start and its end."""
    server_ids: frozenset[str] | None = None
    id_prefix: str = ""
    availability_zone: str | None = None
    tags: TagFilter = TagFilter()
    changed_since: datetime | None = None
    every_project: bool = False
    marker: str | None = None
    limit: int | None = None
    offset: int = 0
    sorts: tuple[Sort, ...] = NEWEST_FIRST


async def list_servers(tx: Transaction, project_id: str, query: ServerQuery, after: Server | None) -> list[Server]:
    """One page, without volumes; `after` is the last server of the page before."""
    sorts = (*query.sorts, Sort(SortKey.ID, query.sorts[-1].descending))
    statement = sa.select(servers).where(*_conditions(project_id, query))
    if after is not None:
        statement = statement.where(_comes_after(after, sorts))
    for sort in sorts:
        column = servers.c[sort.key]
        statement = statement.order_by(column.desc() if sort.descending else column)
    return [server_from_row(row) for row in await tx.all(statement.limit(query.limit).offset(query.offset))]


async def count_servers(tx: Transaction, project_id: str, query: ServerQuery) -> int:
    """On all pages."""
    return int(await tx.scalar(sa.select(sa.func.count()).select_from(servers).where(*_conditions(project_id, query))))


def _conditions(project_id: str, query: ServerQuery) -> list[sa.ColumnElement[bool]]:
    equal: dict[str, Any] = {
        "project_id": query.project_id if query.every_project else project_id,
        "flavor_id": query.flavor_id,
        "image_id": query.image_id,
        "user_id": query.user_id,
        "key_name": query.key_name,
        "id": query.server_id,
        "reservation_id": query.reservation_id,
        "availability_zone": query.availability_zone,
    }
    conditions = [servers.c[name] == wanted for name, wanted in equal.items() if wanted is not None]
    if query.name_pattern is not None:
        conditions.append(servers.c.name.ilike(query.name_pattern, escape="\\"))
    if query.server_ids is not None:
        conditions.append(servers.c.id.in_(query.server_ids))
    if query.changed_since is not None:
        conditions.append(servers.c.updated_at >= sa.literal(query.changed_since, UtcTime))
    if query.status is not None:
        conditions.append(_has_status(query.status))
    if query.statuses is not None:
        conditions.append(sa.or_(sa.false(), *map(_has_status, query.statuses)))
    if query.id_prefix:
        conditions.append(servers.c.id.startswith(query.id_prefix, autoescape=True))
    return conditions + tag_rows.conditions(query.tags)


def _has_status(status: ServerStatus) -> sa.ColumnElement[bool]:
    pairs = [
        sa.and_(
            servers.c.vm_state == vm_state,
            servers.c.task_state.is_(None) if task is None else servers.c.task_state == task,
        )
        for vm_state, task in STATES_OF_STATUS[status]
    ]
    return sa.or_(sa.false(), *pairs)


def _comes_after(last: Server, sorts: tuple[Sort, ...]) -> sa.ColumnElement[bool]:
    """(a, b, c) after (x, y, z): a beyond x, or a = x and b beyond y, or ... with each key's own direction."""
    alternatives = []
    for position, sort in enumerate(sorts):
        column, value = servers.c[sort.key], _value(last, sort.key)
        ties = [servers.c[earlier.key] == _value(last, earlier.key) for earlier in sorts[:position]]
        alternatives.append(sa.and_(*ties, column < value if sort.descending else column > value))
    return sa.or_(*alternatives)


def _value(server: Server, key: SortKey) -> Any:
    return server.flavor.id if key is SortKey.FLAVOR_ID else getattr(server, key)
