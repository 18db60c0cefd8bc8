"""The tags of servers in their table, and lists narrowed by them."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction, metadata
from stillframe.servers.rows import servers

server_tags = sa.Table(
    "server_tags",
    metadata,
    sa.Column("server_id", sa.ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.String(255), primary_key=True),
)
"""Found by the servers of a project, which a quota keeps few, and by its primary key for each of them."""


class TagFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What is empty does not narrow a list."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    not_all_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Keys that a server has, each with one of the values, or with any when there are none."""
    any_keys: tuple[tuple[str, tuple[str, ...]], ...] = ()
    no_keys: tuple[tuple[str, tuple[str, ...]], ...] = ()


def tag_of(key: str, value: str) -> str:
    return f"{key}={value}" if value else key


def pair_of(tag: str) -> tuple[str, str]:
    key, _, value = tag.partition("=")
    return key, value


def conditions(wanted: TagFilter) -> list[sa.ColumnElement[bool]]:
    """On the table of servers."""
    found = [_has(tag) for tag in wanted.all_of]
    if wanted.any_of:
        found.append(sa.or_(*map(_has, wanted.any_of)))
    if wanted.not_all_of:
        found.append(sa.not_(sa.and_(*map(_has, wanted.not_all_of))))
    found += [sa.not_(_has(tag)) for tag in wanted.none_of]
    found += [_has_key(*one) for one in wanted.keys]
    if wanted.any_keys:
        found.append(sa.or_(*[_has_key(*one) for one in wanted.any_keys]))
    found += [sa.not_(_has_key(*one)) for one in wanted.no_keys]
    return found


def _has(tag: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(server_tags.c.server_id == servers.c.id, server_tags.c.tag == tag)


def _has_key(key: str, values: Sequence[str]) -> sa.ColumnElement[bool]:
    if values:
        return sa.or_(*[_has(tag_of(key, value)) for value in values])
    of_server = server_tags.c.server_id == servers.c.id
    any_value = server_tags.c.tag.startswith(f"{key}=", autoescape=True)
    return sa.exists().where(of_server, sa.or_(server_tags.c.tag == key, any_value))


async def list_tags(tx: Transaction, server_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """In their order, for every server that is named."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(server_ids, ())
    query = sa.select(server_tags).where(server_tags.c.server_id.in_(found)).order_by(server_tags.c.tag)
    for row in await tx.all(query) if found else ():
        found[row.server_id] += (row.tag,)
    return found


async def list_tags_of_project(tx: Transaction, project_id: str) -> list[str]:
    """Each once."""
    of_project = sa.select(servers.c.id).where(servers.c.project_id == project_id)
    query = sa.select(server_tags.c.tag).where(server_tags.c.server_id.in_(of_project)).distinct()
    return [row.tag for row in await tx.all(query.order_by(server_tags.c.tag))]


async def put_tags(tx: Transaction, server_id: str, tags: Iterable[str]) -> None:
    """In place of all there were."""
    await tx.execute(sa.delete(server_tags).where(server_tags.c.server_id == server_id))
    new = [{"server_id": server_id, "tag": tag} for tag in sorted(set(tags))]
    if new:
        await tx.execute(sa.insert(server_tags), new)
