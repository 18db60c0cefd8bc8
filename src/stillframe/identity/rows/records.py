"""Reading and writing of rows that are one struct each: the same SQL for every table of that shape."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, structs

from stillframe.db import Transaction
from stillframe.errors import ConflictError, InvalidInputError
from stillframe.identity.model import WHOLE_LIST, Filter, ListQuery
from stillframe.identity.tables import StructT, built, columns

_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_ESCAPE = "\\"
CHUNK = 500
"""Ids in one statement; databases limit the number of parameters."""


def keeps_nothing(*texts: str | None) -> bool:
    """Whether no row can match: PostgreSQL cannot hold a NUL character in a text, and refuses to be asked for one."""
    return any(text is not None and "\0" in text for text in texts)


def equal(table: sa.Table, **wanted: Any) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


async def insert(tx: Transaction, table: sa.Table, record: Struct, *, taken: str, **more: Any) -> None:
    """Raises: ConflictError with the message `taken` when such a row is there already."""
    try:
        await tx.execute(sa.insert(table).values(**structs.asdict(record), **more))
    except sa.exc.IntegrityError as error:
        raise ConflictError(taken, cause=error.orig) from None


async def get(tx: Transaction, table: sa.Table, kind: type[StructT], record_id: str) -> StructT | None:
    if keeps_nothing(record_id):
        return None
    row = await tx.first(sa.select(*columns(table, kind)).where(table.c.id == record_id))
    return built(kind, row) if row else None


async def find_all(
    tx: Transaction, table: sa.Table, kind: type[StructT], *where: sa.ColumnElement[bool], query: ListQuery = WHOLE_LIST
) -> list[StructT]:
    """Sorted by name (or what else was asked for) and id."""
    matching = [*where, *(_matching(table, each) for each in query.filters)]
    order = _order(table, query.sort_key)
    if query.marker is not None:
        matching.append(await _after(tx, table, order, query))
    direction = [column.desc() if query.descending else column.asc() for column in order]
    statement = sa.select(*columns(table, kind)).where(*matching).order_by(*direction)
    found = await tx.all(statement.limit(query.limit).offset(query.offset or None))
    return [built(kind, row) for row in found]


async def find_by_ids(tx: Transaction, table: sa.Table, kind: type[StructT], ids: Iterable[str]) -> dict[str, StructT]:
    wanted = sorted(set(ids))
    found: dict[str, StructT] = {}
    for at in range(0, len(wanted), CHUNK):
        chunk = wanted[at : at + CHUNK]
        rows = await tx.all(sa.select(*columns(table, kind)).where(table.c.id.in_(chunk)))
        found |= {row.id: built(kind, row) for row in rows}
    return found


async def update(tx: Transaction, table: sa.Table, record_id: str, *, taken: str, **values: Any) -> None:
    """Raises: ConflictError with the message `taken` when another row is like that already."""
    if not values:
        return
    try:
        await tx.execute(sa.update(table).where(table.c.id == record_id).values(**values))
    except sa.exc.IntegrityError as error:
        raise ConflictError(taken, cause=error.orig) from None


async def delete(tx: Transaction, table: sa.Table, record_id: str, *, used: str = "It is in use.") -> None:
    """Raises: ConflictError with the message `used` when another row needs it."""
    try:
        await tx.execute(sa.delete(table).where(table.c.id == record_id))
    except sa.exc.IntegrityError as error:
        raise ConflictError(used, cause=error.orig) from None


def _order(table: sa.Table, sort_key: str | None) -> list[sa.ColumnElement[Any]]:
    first = sort_key if sort_key and sort_key in table.c else "name"
    return [table.c[first], table.c.id] if first in table.c and first != "id" else [table.c.id]


async def _after(
    tx: Transaction, table: sa.Table, order: list[sa.ColumnElement[Any]], query: ListQuery
) -> sa.ColumnElement[bool]:
    found = None if keeps_nothing(query.marker) else await tx.first(sa.select(*order).where(table.c.id == query.marker))
    if found is None:
        raise InvalidInputError("The marker is not the id of an entry of this list.", field="marker")
    key = sa.tuple_(*order)
    values = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(found, order, strict=True)))
    return key < values if query.descending else key > values


def _matching(table: sa.Table, wanted: Filter) -> sa.ColumnElement[bool]:
    if keeps_nothing(wanted.value):
        return sa.false()
    column: sa.ColumnElement[Any] = table.c[wanted.name]
    if isinstance(column.type, sa.Boolean):
        return column.is_(truth(wanted.value))
    if wanted.comparator == "equals":
        return column == wanted.value if wanted.value else sa.or_(column == "", column.is_(None))
    value = wanted.value
    if wanted.ignore_case:
        column, value = sa.func.lower(column), value.lower()
    escaped = "".join(_ESCAPE + letter if letter in "%_\\" else letter for letter in value)
    before = "" if wanted.comparator == "startswith" else "%"
    after = "" if wanted.comparator == "endswith" else "%"
    return _like(column, f"{before}{escaped}{after}", case_sensitive=not wanted.ignore_case, raw=value, wanted=wanted)


def _like(
    column: sa.ColumnElement[Any], pattern: str, *, case_sensitive: bool, raw: str, wanted: Filter
) -> sa.ColumnElement[bool]:
    like = column.like(pattern, escape=_ESCAPE)
    if not case_sensitive:
        return like
    # SQLite's LIKE does not tell A from a, so what it finds is looked at again.
    if wanted.comparator == "startswith":
        return sa.and_(like, sa.func.substr(column, 1, len(raw)) == raw)
    if wanted.comparator == "endswith":
        return sa.and_(like, sa.func.substr(column, sa.func.length(column) - len(raw) + 1) == raw)
    return sa.and_(like, sa.func.replace(column, raw, "") != column) if raw else like


def truth(text: str) -> bool:
    """Keystone's reading of a boolean in a query: anything but a no is a yes."""
    return text.strip().lower() not in _FALSE
