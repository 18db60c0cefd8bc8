"""What tags are asked for across images, each answer one statement."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.images.model import ImageStatus
from stillframe.images.rows import EVERYBODY, image_tags, images


class TagCondition(msgspec.Struct, frozen=True, kw_only=True):
    """An image has it when it has the key with one of the values, or with any when none is named."""

    key: str
    values: frozenset[str] = frozenset()


class TagQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of a project's own images; everything asked for must hold."""

    all_of: tuple[TagCondition, ...] = ()
    any_of: tuple[TagCondition, ...] = ()
    not_all_of: tuple[TagCondition, ...] = ()
    not_any_of: tuple[TagCondition, ...] = ()
    untagged: bool = False
    """Only images without any tag; the conditions say nothing then."""
    name_parts: tuple[str, ...] = ()
    """Each is somewhere in the name; an empty one is the empty name."""
    image_ids: tuple[str, ...] = ()
    """Each is the id."""
    limit: int = 10
    offset: int = 0


class TaggedImage(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str | None
    status: ImageStatus
    tags: tuple[str, ...]


class TagSearchResult(msgspec.Struct, frozen=True):
    """`total` counts what was found, `images` is the page of it, newest first."""

    total: int
    images: list[TaggedImage]


async def find_images(tx: Transaction, project_id: str, query: TagQuery) -> TagSearchResult:
    found = _found(project_id, query).cte("found")
    page = sa.select(found).order_by(*_newest_first(found)).limit(query.limit).offset(query.offset).subquery("page")
    # Joined to one row, so that the total is told when the page is empty, too.
    one = sa.select(sa.literal(1)).subquery("one")
    total = sa.select(sa.func.count()).select_from(found).scalar_subquery().label("total")
    statement = sa.select(total, page).select_from(one.outerjoin(page, sa.true())).order_by(*_newest_first(page))
    rows = await tx.all(statement)
    return TagSearchResult(rows[0].total, [_tagged(row) for row in rows if row.id is not None])


async def count_images(tx: Transaction, project_id: str, query: TagQuery) -> int:
    return int(await tx.scalar(sa.select(sa.func.count()).select_from(_found(project_id, query).subquery())))


async def list_tags_of_project(tx: Transaction, project_id: str) -> list[str]:
    """Each once, in order."""
    published = sa.select(images.c.id).where(
        images.c.audience == EVERYBODY, images.c.project_id == project_id, images.c.deleted_at.is_(None)
    )
    own = sa.or_(
        image_tags.c.audience == project_id,
        sa.and_(image_tags.c.audience == EVERYBODY, image_tags.c.image_id.in_(published)),
    )
    rows = await tx.all(sa.select(image_tags.c.tag).where(own).distinct())
    # The databases sort texts differently.
    return sorted(row.tag for row in rows)


def _newest_first(table: Any) -> tuple[sa.ColumnElement[Any], ...]:
    return table.c.created_at.desc(), table.c.id.desc()


def _tagged(row: sa.Row[Any]) -> TaggedImage:
    return TaggedImage(id=row.id, name=row.name, status=ImageStatus(row.status), tags=tuple(row.tags))


def _found(project_id: str, query: TagQuery) -> sa.Select[Any]:
    own = sa.or_(
        images.c.audience == project_id,
        sa.and_(images.c.audience == EVERYBODY, images.c.project_id == project_id),
    )
    columns = (images.c.id, images.c.name, images.c.status, images.c.tags, images.c.created_at)
    statement = sa.select(*columns).where(own, images.c.deleted_at.is_(None), *_name_and_id_clauses(query))
    if query.untagged:
        return statement.where(sa.not_(sa.exists().where(image_tags.c.image_id == images.c.id)))
    clauses = [_is_tagged(project_id, [condition]) for condition in query.all_of]
    if query.any_of:
        clauses.append(_is_tagged(project_id, query.any_of))
    if query.not_all_of:
        clauses.append(sa.not_(sa.and_(*[_is_tagged(project_id, [condition]) for condition in query.not_all_of])))
    if query.not_any_of:
        clauses.append(sa.not_(_is_tagged(project_id, query.not_any_of)))
    return statement.where(*clauses)


def _name_and_id_clauses(query: TagQuery) -> list[sa.ColumnElement[bool]]:
    name = sa.func.coalesce(images.c.name, "")
    # LIKE ignores case on one of the databases; a text that changes when a part is taken out of it has that part.
    clauses = [sa.func.replace(name, part, "") != name if part else name == "" for part in query.name_parts]
    return clauses + [images.c.id == image_id for image_id in query.image_ids]


def _is_tagged(project_id: str, conditions: Sequence[TagCondition]) -> sa.ColumnElement[bool]:
    """Meets one of the conditions."""
    asked = reduce(sa.or_, [_tag_clause(condition) for condition in conditions])
    tagged = sa.select(image_tags.c.image_id).where(image_tags.c.audience.in_([project_id, EVERYBODY]), asked)
    return images.c.id.in_(tagged)


def _tag_clause(condition: TagCondition) -> sa.ColumnElement[bool]:
    key = image_tags.c.tag_key == condition.key
    if not condition.values:
        return key
    tags = [f"{condition.key}={value}" for value in condition.values]
    return sa.and_(key, image_tags.c.tag.in_([*tags, *([condition.key] if "" in condition.values else [])]))
