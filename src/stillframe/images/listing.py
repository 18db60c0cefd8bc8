"""The SQL of lists: one page is one statement.

Each scope (the project's own images, public ones, those shared with it ...) is a walk along one index that stops after
a page; the statement takes the best of these walks. So a page costs the same whether a hundred images match or a
million. Which index leads a walk is decided here and not left to the planner, which without statistics takes any: the
first filter of a fixed order that names the more telling ones first.

Building a statement takes longer than running it. It is built once for every shape of query, and the values are bound.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from stillframe.db import Transaction
from stillframe.images.model import Image, OsInfo
from stillframe.images.queries import WHOLE_SCOPES, Comparison, ImageQuery, Scope, Sort, SortKey
from stillframe.images.rows import (
    EVERYBODY,
    IS_COMMUNITY,
    IS_SHARED,
    NEVER_NULL,
    SORTED_BY_TAG,
    STORED,
    image_from_row,
    image_members,
    image_properties,
    image_tags,
    images,
    never_null,
    value_key,
)

_FIELD_OF_SORT = {key: "size_bytes" if key is SortKey.SIZE else key.value for key in SortKey}
_COLUMN_OF_OS = {f"os.{field}": f"os_{field.removeprefix('os_')}" for field in OsInfo.__struct_fields__}
_SECOND = timedelta(seconds=1)
_MOMENT = timedelta(microseconds=1)
_EVERYTHING = 2**31 - 1

_BEFORE_PROPERTIES_AND_TAGS = ("id", "os_hash_value", "checksum", "name")
_AFTER_PROPERTIES_AND_TAGS = (
    *("size_bytes", "os.version", "kind", "protected", "enterprise_project_id", "min_disk_gib", "min_ram_mib"),
    *("os.platform", "disk_format", "os.os_type", "architecture", "container_format", "os.bits"),
    *("project_id", "status", "visibility"),
)

Clauses = list[sa.ColumnElement[bool]]
Columns = dict[str, sa.ColumnElement[Any]]


class _WithoutIndex(sa.sql.functions.FunctionElement[Any]):
    """A column that shall not lead: SQLite's unary plus. PostgreSQL keeps statistics, and is left to judge by them."""

    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(_WithoutIndex)
def _as_it_is(element: _WithoutIndex, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_WithoutIndex, "sqlite")
def _with_plus(element: _WithoutIndex, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + compiler.process(element.clauses, **options)


class _NeverByIndex(_WithoutIndex):
    """Nor on PostgreSQL, which takes the index of a comparison of rows for far more telling than it is."""

    inherit_cache = True


@compiles(_NeverByIndex, "postgresql")
def _computed(element: _NeverByIndex, compiler: SQLCompiler, **options: Any) -> str:
    added = "|| ''" if isinstance(element.type, sa.String) else "+ 0"
    return f"({compiler.process(element.clauses, **options)} {added})"


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a query but the values it compares with; equal shapes share a statement."""

    scopes: frozenset[Scope]
    fields: frozenset[tuple[str, bool]]
    """Field of Image -> whether it may have several values."""
    finds_hidden: bool | None
    conditions: tuple[tuple[str, Comparison], ...]
    properties: int
    lacking: int
    tags: int
    order: tuple[tuple[str, bool], ...]
    """(field, descending), without two equal images in it."""
    any_member_status: bool
    deleted: bool
    continues: bool
    """Whether the page begins after an image."""


async def list_images(tx: Transaction, project_id: str, query: ImageQuery, after: Image | None) -> list[Image]:
    """At most `query.limit` images in order; `after` is the image of the marker."""
    if query.limit == 0 or not query.scopes or not all(query.any_of.values()):
        return []
    shape = shape_of(query, continues=after is not None)
    rows = await tx.all(page_statement(shape), bound_values(shape, project_id, query, after))
    return [image_from_row(row) for row in rows]


async def list_tags(tx: Transaction, project_id: str, query: ImageQuery, *, limit: int, offset: int) -> list[str]:
    """The tags of everything the query finds, each once and in order."""
    if query.deleted or not query.scopes or not all(query.any_of.values()):
        return []
    shape = shape_of(query, continues=False)
    values = bound_values(shape, project_id, query, None) | {"limit": _EVERYTHING}
    found = await tx.all(tags_statement(shape), values | {"tag_limit": limit, "tag_offset": offset})
    return [row.tag for row in found]


def shape_of(query: ImageQuery, *, continues: bool) -> Shape:
    hidden = query.any_of.get("os_hidden")
    return Shape(
        scopes=query.scopes,
        fields=frozenset((field, len(values) > 1) for field, values in query.any_of.items() if field != "os_hidden"),
        finds_hidden=hidden[0] if hidden and len(hidden) == 1 else None,
        conditions=tuple((condition.field, condition.comparison) for condition in query.conditions),
        properties=len(query.properties),
        lacking=len(query.lacking),
        tags=len(query.tags),
        order=_order(query.sorts),
        any_member_status=query.member_status is None,
        deleted=query.deleted,
        continues=continues,
    )


def bound_values(shape: Shape, project_id: str, query: ImageQuery, after: Image | None) -> dict[str, Any]:
    values: dict[str, Any] = {"project": project_id, "limit": query.limit, "member_status": query.member_status}
    for field, any_of in query.any_of.items():
        values[_name(field)] = list(any_of) if len(any_of) > 1 else any_of[0]
    for number, condition in enumerate(query.conditions):
        # A time stands for the second it begins, as the wire shows it; the rows are finer.
        first = condition.value
        values[f"first_{number}"] = first
        values[f"last_{number}"] = first + _SECOND - _MOMENT if isinstance(first, datetime) else first
    for number, (name, value) in enumerate([*query.properties.items(), *query.lacking.items()]):
        values |= {f"property_{number}": name, f"value_{number}": value_key(value)}
    for number, tag in enumerate(query.tags):
        values[f"tag_{number}"] = tag
    if after is not None:
        values |= {f"after_{field}": never_null(field, getattr(after, field)) for field, _ in shape.order}
    return values


def _name(field: str) -> str:
    return "any_" + field.replace(".", "_")


def _order(sorts: tuple[Sort, ...]) -> tuple[tuple[str, bool], ...]:
    """Made unique by the time of creation and the id."""
    order = {_FIELD_OF_SORT[sort.key]: sort.descending for sort in reversed(sorts)}
    ordered = [(field, order[field]) for field in dict.fromkeys(_FIELD_OF_SORT[sort.key] for sort in sorts)]
    for field in ("created_at", "id"):
        if field not in order:
            ordered.append((field, ordered[-1][1]))
    # Nothing is equal in its id, so nothing that comes after it orders anything.
    return tuple(ordered[: 1 + [field for field, _ in ordered].index("id")])


@lru_cache(maxsize=256)
def page_statement(shape: Shape) -> sa.Select[Any]:
    found = _found(shape)
    columns = {field: _column(field) for field, _ in shape.order}
    page = sa.select(*STORED).where(images.c.id.in_(found))
    return page.order_by(*_order_by(shape, columns)).limit(_bound("limit", sa.Integer()))


@lru_cache(maxsize=64)
def tags_statement(shape: Shape) -> sa.Select[Any]:
    tags = sa.select(image_tags.c.tag).distinct().where(image_tags.c.image_id.in_(_found(shape)))
    page = tags.order_by(image_tags.c.tag).limit(_bound("tag_limit", sa.Integer()))
    return page.offset(_bound("tag_offset", sa.Integer()))


def _found(shape: Shape) -> Any:
    """The ids of the best of each walk."""
    walks = [_walk(scope, shape) for scope in sorted(shape.scopes)]
    return sa.union_all(*[sa.select(walk.subquery()) for walk in walks]) if len(walks) > 1 else walks[0]


def _bound(name: str, type_: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=type_)


def _column(field: str) -> sa.ColumnElement[Any]:
    return NEVER_NULL.get(field, images.c[_COLUMN_OF_OS.get(field, field)])


def _order_by(shape: Shape, columns: Columns) -> list[sa.ColumnElement[Any]]:
    return [columns[field].desc() if descending else columns[field].asc() for field, descending in shape.order]


def _walk(scope: Scope, shape: Shape) -> sa.Select[Any]:
    columns = {field: _column(field) for field, _ in shape.order}
    statement = sa.select(images.c.id)
    leader = _leader(scope, shape)
    if leader in {"property", "tag"}:
        statement, clauses = _led_by_other_table(leader, scope, columns)
    elif scope is Scope.SHARED and not shape.deleted:
        statement, clauses = statement.join(image_members, image_members.c.image_id == images.c.id), []
        columns = {field: _NeverByIndex(column) for field, column in columns.items()}
    else:
        clauses = []
    # Tables of tags and properties repeat the audience, and hold nothing of deleted images.
    clauses += [] if leader in {"property", "tag"} else _scope_clauses(scope, shape, leader)
    clauses += _filter_clauses(shape, leader)
    if shape.continues:
        clauses.append(_beyond(shape, columns))
        if leader in {"property", "tag"} and shape.order[0][0] == "id":
            # PostgreSQL goes along both indexes then, and does not see that the second can begin there, too.
            clauses.append(_beyond(shape, {"id": images.c.id}))
    return statement.where(*clauses).order_by(*_order_by(shape, columns)).limit(_bound("limit", sa.Integer()))


def _leader(scope: Scope, shape: Shape) -> str | None:
    """What leads the walk: a field, the first property, the first tag; or None for the order itself."""
    fields = dict(shape.fields)
    if "id" in fields:
        return "id"
    if scope in WHOLE_SCOPES and not shape.deleted:
        return "name" if "name" in fields else None
    if scope not in {Scope.OWN, Scope.PUBLIC} or shape.deleted:
        return None
    ranked = [
        *(field for field in _BEFORE_PROPERTIES_AND_TAGS if field in fields),
        *(["property"] if shape.properties else []),
        *(["tag"] if shape.tags else []),
        *(field for field in _AFTER_PROPERTIES_AND_TAGS if field in fields),
    ]
    return ranked[0] if ranked else None


def _led_by_other_table(leader: str, scope: Scope, columns: Columns) -> tuple[sa.Select[Any], Clauses]:
    """`columns` is changed to take the order from the index of the other table too."""
    table = image_properties if leader == "property" else image_tags
    columns |= {"created_at": table.c.created_at, "id": table.c.image_id}
    if leader == "tag":
        columns |= {field: table.c[field] for field in columns if field in SORTED_BY_TAG}
    audience = EVERYBODY if scope is Scope.PUBLIC else _bound("project", sa.String())
    statement = sa.select(table.c.image_id.label("id")).join(images, images.c.id == table.c.image_id)
    if leader == "property":
        asked = [table.c.name == _bound("property_0", sa.String()), table.c.value_key == _bound("value_0", sa.String())]
    else:
        asked = [table.c.tag == _bound("tag_0", sa.String())]
    return statement, [table.c.audience == audience, *asked]


def _scope_clauses(scope: Scope, shape: Shape, leader: str | None) -> Clauses:
    project = _bound("project", sa.String())
    if shape.deleted:
        if scope not in {Scope.OWN, *WHOLE_SCOPES}:
            return [sa.false()]
        return [images.c.deleted_at.is_not(None), *([images.c.project_id == project] if scope is Scope.OWN else [])]
    audience = _WithoutIndex(images.c.audience) if leader == "id" else images.c.audience
    shared_with = [image_members.c.project_id == project, IS_SHARED]
    if not shape.any_member_status:
        shared_with.append(image_members.c.status == _bound("member_status", sa.String()))
    others = images.c.project_id != project
    clauses: dict[Scope, Clauses] = {
        Scope.OWN: [audience == project],
        Scope.PUBLIC: [audience == EVERYBODY],
        Scope.SHARED: [*shared_with, others],
        Scope.COMMUNITY: [IS_COMMUNITY, others],
        Scope.LISTED: [sa.or_(sa.not_(IS_COMMUNITY), images.c.project_id == project)],
        Scope.ALL: [],
    }
    return [images.c.deleted_at.is_(None), *clauses[scope]]


def _filter_clauses(shape: Shape, leader: str | None) -> Clauses:
    clauses: Clauses = []
    for field, has_many in sorted(shape.fields):
        column = _column(field) if field == leader else _WithoutIndex(_column(field))
        value = sa.bindparam(_name(field), type_=column.type, expanding=has_many)
        clauses.append(column.in_(value) if has_many else column == value)
    if shape.finds_hidden is not None:
        # Nearly no image is hidden, so only looking for hidden ones is worth an index.
        hidden = images.c.os_hidden if shape.finds_hidden else _WithoutIndex(images.c.os_hidden)
        clauses.append(hidden == sa.literal(shape.finds_hidden))
    clauses += [_compare(number, *condition) for number, condition in enumerate(shape.conditions)]
    clauses += [_has_tag(number) for number in range(1 if leader == "tag" else 0, shape.tags)]
    clauses += [_has_property(number) for number in range(1 if leader == "property" else 0, shape.properties)]
    lacking = range(shape.properties, shape.properties + shape.lacking)
    return clauses + [sa.not_(_has_property(number)) for number in lacking]


def _has_tag(number: int) -> sa.ColumnElement[bool]:
    other = image_tags.alias()
    return sa.exists().where(other.c.image_id == images.c.id, other.c.tag == _bound(f"tag_{number}", sa.String()))


def _has_property(number: int) -> sa.ColumnElement[bool]:
    other = image_properties.alias()
    return sa.exists().where(
        other.c.image_id == images.c.id,
        other.c.name == _bound(f"property_{number}", sa.String()),
        other.c.value_key == _bound(f"value_{number}", sa.String()),
    )


def _compare(number: int, field: str, comparison: Comparison) -> sa.ColumnElement[bool]:
    column = images.c[field]
    first, last = _bound(f"first_{number}", column.type), _bound(f"last_{number}", column.type)
    match comparison:
        case Comparison.GT:
            return column > last
        case Comparison.GTE:
            return column >= first
        case Comparison.LT:
            return column < first
        case Comparison.LTE:
            return column <= last
        case Comparison.EQ:
            return column.between(first, last)
        case Comparison.NEQ:
            return sa.not_(column.between(first, last))


End = tuple[sa.ColumnElement[Any], sa.ColumnElement[Any], bool]


def _beyond(shape: Shape, columns: Columns) -> sa.ColumnElement[bool]:
    """What comes after an image in the order. One direction is one comparison of rows, which an index answers."""
    ends: list[End] = [
        (columns[field], _bound(f"after_{field}", columns[field].type), descending) for field, descending in shape.order
    ]
    first, end, downwards = ends[0]
    if any(descending != downwards for _, _, descending in ends):
        not_before = first <= end if downwards else first >= end
        return sa.and_(not_before, sa.or_(*[_beyond_at(ends, position) for position in range(len(ends))]))
    left, right = sa.tuple_(*[column for column, _, _ in ends]), sa.tuple_(*[value for _, value, _ in ends])
    return left < right if downwards else left > right


def _beyond_at(ends: list[End], position: int) -> sa.ColumnElement[bool]:
    column, value, descending = ends[position]
    equal_before = [before == same for before, same, _ in ends[:position]]
    return sa.and_(*equal_before, column < value if descending else column > value)
