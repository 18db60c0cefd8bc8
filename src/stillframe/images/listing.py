"""The SQL of lists: one page is one statement.

Each scope (the project's own images, public ones, those shared with it ...) is a walk along one index that stops after
a page; the statement takes the best of these walks. The first tag or property asked for leads the walk through its own
index. So a page costs the same whether a hundred images match or a million.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stillframe.db import Transaction
from stillframe.images.model import Image, OsInfo, Visibility
from stillframe.images.queries import Comparison, Condition, ImageQuery, Scope, SortKey
from stillframe.images.rows import (
    EVERYBODY,
    IS_COMMUNITY,
    NEVER_NULL,
    image_from_row,
    image_members,
    image_properties,
    image_tags,
    images,
    value_key,
)

_FIELD_OF_SORT = {key: "size_bytes" if key is SortKey.SIZE else key.value for key in SortKey}
_COLUMN_OF_OS = {f"os.{field}": f"os_{field.removeprefix('os_')}" for field in OsInfo.__struct_fields__}
_SECOND = timedelta(seconds=1)
_MOMENT = timedelta(microseconds=1)

Columns = dict[str, sa.ColumnElement[Any]]
Clauses = list[sa.ColumnElement[bool]]


def _column(field: str) -> sa.ColumnElement[Any]:
    return NEVER_NULL.get(field, images.c[_COLUMN_OF_OS.get(field, field)])


async def list_images(tx: Transaction, project_id: str, query: ImageQuery, after: Image | None) -> list[Image]:
    """At most `query.limit` images in order; `after` is the image of the marker."""
    if query.limit == 0 or not query.scopes or not all(query.any_of.values()):
        return []
    return [image_from_row(row) for row in await tx.all(page_statement(project_id, query, after))]


def page_statement(project_id: str, query: ImageQuery, after: Image | None) -> sa.Select[Any]:
    order = _order(query)
    walks = [_walk(scope, project_id, query, order, after) for scope in sorted(query.scopes)]
    found = sa.union_all(*[sa.select(walk.subquery()) for walk in walks]) if len(walks) > 1 else walks[0]
    own_columns = {field: _column(field) for field, _ in order}
    page = sa.select(images).where(images.c.id.in_(found))
    return page.order_by(*_order_by(order, own_columns)).limit(query.limit)


def _order(query: ImageQuery) -> list[tuple[str, bool]]:
    """(field, descending) for each sort key, made unique by the time of creation and the id."""
    order = [(_FIELD_OF_SORT[sort.key], sort.descending) for sort in query.sorts]
    descending = order[-1][1] if order else True
    for field in ("created_at", "id"):
        if all(field != one for one, _ in order):
            order.append((field, descending))
    return order


def _order_by(order: list[tuple[str, bool]], columns: Columns) -> list[sa.ColumnElement[Any]]:
    return [columns[field].desc() if descending else columns[field].asc() for field, descending in order]


def _walk(
    scope: Scope, project_id: str, query: ImageQuery, order: list[tuple[str, bool]], after: Image | None
) -> sa.Select[Any]:
    columns = {field: _column(field) for field, _ in order}
    statement, clauses, asked_already = sa.select(images.c.id), _scope_clauses(scope, project_id, query), ""
    if scope in {Scope.OWN, Scope.PUBLIC} and not query.deleted:
        audience = EVERYBODY if scope is Scope.PUBLIC else project_id
        statement, leading, asked_already = _led_by_index(audience, query, columns)
        clauses += leading
    elif scope is Scope.SHARED:
        statement = statement.join(image_members, image_members.c.image_id == images.c.id)
    clauses += _filter_clauses(query, asked_already)
    if after is not None:
        clauses.append(_beyond(after, order, columns))
    return statement.where(*clauses).order_by(*_order_by(order, columns)).limit(query.limit)


def _scope_clauses(scope: Scope, project_id: str, query: ImageQuery) -> Clauses:
    if query.deleted:
        of_project = [] if scope is Scope.ALL else [images.c.project_id == project_id]
        nothing_else = [] if scope in {Scope.OWN, Scope.ALL} else [sa.false()]
        return [images.c.deleted_at.is_not(None), *of_project, *nothing_else]
    living = images.c.deleted_at.is_(None)
    match scope:
        case Scope.OWN:
            return [living, images.c.audience == project_id]
        case Scope.PUBLIC:
            return [living, images.c.audience == EVERYBODY]
        case Scope.SHARED:
            clauses = [living, image_members.c.project_id == project_id, images.c.visibility == Visibility.SHARED]
            if query.member_status is not None:
                clauses.append(image_members.c.status == query.member_status)
            return [*clauses, images.c.project_id != project_id]
        case Scope.COMMUNITY:
            return [living, IS_COMMUNITY, images.c.project_id != project_id]
        case Scope.ALL:
            return [living]


def _led_by_index(audience: str, query: ImageQuery, columns: Columns) -> tuple[sa.Select[Any], Clauses, str]:
    """A statement that starts from the first tag or property, if there is one, and says which it was.

    `columns` is changed to take the order from that index too.
    """
    if query.tags:
        asked, table = query.tags[0], image_tags
        leading = [table.c.tag == asked]
    elif query.properties:
        asked, value = next(iter(query.properties.items()))
        table = image_properties
        leading = [table.c.name == asked, table.c.value_key == value_key(value)]
    else:
        return sa.select(images.c.id), [], ""
    columns |= {"created_at": table.c.created_at, "id": table.c.image_id}
    statement = sa.select(table.c.image_id.label("id")).join(images, images.c.id == table.c.image_id)
    return statement, [table.c.audience == audience, *leading], asked


def _filter_clauses(query: ImageQuery, asked_already: str) -> Clauses:
    clauses: Clauses = []
    for field, values in query.any_of.items():
        column = _column(field)
        clauses.append(column == values[0] if len(values) == 1 else column.in_(values))
    clauses += [_compare(condition) for condition in query.conditions]
    clauses += [_has_tag(tag) for tag in query.tags if tag != asked_already]
    clauses += [
        _has_property(name, value) for name, value in query.properties.items() if query.tags or name != asked_already
    ]
    return clauses


def _has_tag(tag: str) -> sa.ColumnElement[bool]:
    other = image_tags.alias()
    return sa.exists().where(other.c.image_id == images.c.id, other.c.tag == tag)


def _has_property(name: str, value: str) -> sa.ColumnElement[bool]:
    other = image_properties.alias()
    return sa.exists().where(
        other.c.image_id == images.c.id, other.c.name == name, other.c.value_key == value_key(value)
    )


def _compare(condition: Condition) -> sa.ColumnElement[bool]:
    column, value = images.c[condition.field], condition.value
    # A time stands for the second it begins, as the wire shows it; the rows are finer.
    last = value + _SECOND - _MOMENT if isinstance(value, datetime) else value
    match condition.comparison:
        case Comparison.GT:
            return column > last
        case Comparison.GTE:
            return column >= value
        case Comparison.LT:
            return column < value
        case Comparison.LTE:
            return column <= last
        case Comparison.EQ:
            return column.between(value, last)
        case Comparison.NEQ:
            return sa.not_(column.between(value, last))


def _beyond(after: Image, order: list[tuple[str, bool]], columns: Columns) -> sa.ColumnElement[bool]:
    """What comes after an image in the order. One direction is one comparison of rows, which an index answers."""
    ends = [(columns[field], _literal(after, field, columns[field]), descending) for field, descending in order]
    first, end, downwards = ends[0]
    not_before = first <= end if downwards else first >= end
    if any(descending != downwards for _, _, descending in ends):
        return sa.and_(not_before, sa.or_(*[_beyond_at(ends, position) for position in range(len(ends))]))
    left, right = sa.tuple_(*[column for column, _, _ in ends]), sa.tuple_(*[value for _, value, _ in ends])
    beyond = left < right if downwards else left > right
    # SQLite compares rows along an index of plain columns only; one of an expression needs the bound said apart.
    return sa.and_(not_before, beyond) if order[0][0] in NEVER_NULL else beyond


def _beyond_at(
    ends: Sequence[tuple[sa.ColumnElement[Any], sa.ColumnElement[Any], bool]], position: int
) -> sa.ColumnElement[bool]:
    column, value, descending = ends[position]
    equal_before = [before == same for before, same, _ in ends[:position]]
    return sa.and_(*equal_before, column < value if descending else column > value)


def _literal(after: Image, field: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    value = getattr(after, field)
    if value is None:
        value = -1 if field == "size_bytes" else ""
    return sa.literal(value, column.type)
