"""What a list is asked for, filter by filter, as both doors understand it.

Source: OpenStack Image API v2, "List images"; Open Telekom Cloud, IMS API reference, "Querying Images".
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from stillframe.api.image_v2.attributes import BY_NAME
from stillframe.api.image_v2.kinds import checked_text, parsed_int
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images.model import ImageStatus, MemberStatus, Visibility
from stillframe.images.queries import (
    DEFAULT_SCOPES,
    DEFAULT_SORTS,
    WHOLE_SCOPES,
    Comparison,
    Condition,
    ImageQuery,
    Scope,
    Sort,
    SortKey,
)

_MAX_SIZE = 2**62
_MAX_FILTERS = 64
_MAX_LISTED = 2000
_OPERATORS_ALLOWED = frozenset({"id", "name", "status", "container_format", "disk_format"})
_ITEM = r'"(?:\\.|[^"\\])*"|[^",]*'
_ITEMS = re.compile(rf"(?:{_ITEM})(?:,(?:{_ITEM}))*")
_SPACE_FOR_PLUS = re.compile(r" (?=\d\d:?\d\d$)")

_SCOPES_OF_VISIBILITY = {
    Visibility.PUBLIC: frozenset({Scope.PUBLIC}),
    Visibility.PRIVATE: frozenset({Scope.OWN}),
    Visibility.SHARED: frozenset({Scope.OWN, Scope.SHARED}),
    Visibility.COMMUNITY: frozenset({Scope.OWN, Scope.COMMUNITY}),
}
_SCOPES_OF_IMAGE_TYPE = {
    "gold": frozenset({Scope.PUBLIC}),
    "private": frozenset({Scope.OWN}),
    "shared": frozenset({Scope.SHARED}),
}


class QueryParts:
    """Collects filters by their names on the wire; each of them must hold."""

    def __init__(self, caller: Caller, *, sees_all: bool = False) -> None:
        """`sees_all` is for an administrator of the platform who looks at every project's images without asking."""
        self.caller = caller
        self.sees_all = sees_all
        self._unasked = frozenset({Scope.LISTED}) if sees_all else DEFAULT_SCOPES
        self.scopes = self._unasked
        self.member_status: MemberStatus | None = MemberStatus.ACCEPTED
        self.deleted = False
        self.tags: list[str] = []
        self.conditions: list[Condition] = []
        self._any_of: dict[str, tuple[Any, ...]] = {}
        self._properties: dict[str, str] = {}
        self.lacking: dict[str, str] = {}
        self._count = 0

    def add(self, name: str, text: str) -> None:
        """A name that is no attribute asks for a property of that name.

        Raises: InvalidInputError.
        """
        checked_text("parameter name", name)
        checked_text(name, text, 65535)
        self._count += 1
        if self._count > _MAX_FILTERS:
            raise InvalidInputError(f"At most {_MAX_FILTERS} filters are possible.")
        if name in _SPECIAL:
            _SPECIAL[name](self, text)
        elif name in BY_NAME:
            attribute = BY_NAME[name]
            self.restrict(attribute.field, tuple(attribute.kind.parse(name, one) for one in _items(name, text)))
        else:
            self._properties[name] = text

    def restrict(self, field: str, values: tuple[Any, ...]) -> None:
        """Leaves the images whose field has one of the values; no value leaves none."""
        before = self._any_of.get(field)
        self._any_of[field] = values if before is None else tuple(value for value in values if value in before)

    def look_only_in(self, scopes: frozenset[Scope]) -> None:
        if self.scopes == self._unasked or Scope.ALL in self.scopes:
            self.scopes = scopes
        elif Scope.ALL not in scopes:
            self.scopes &= scopes

    def require_field(self, field: str, comparison: Comparison, value: int) -> None:
        self.conditions.append(Condition(field, comparison, value))

    def build(self, *, limit: int, marker: str | None, sorts: tuple[Sort, ...]) -> ImageQuery:
        return ImageQuery(
            limit=limit,
            marker=marker,
            sorts=sorts or DEFAULT_SORTS,
            scopes=self.scopes,
            member_status=self.member_status,
            any_of=self._any_of,
            conditions=tuple(self.conditions),
            properties=self._properties,
            lacking=self.lacking,
            tags=tuple(dict.fromkeys(self.tags)),
            deleted=self.deleted,
        )


def _by_visibility(parts: QueryParts, text: str) -> None:
    if text == "all":
        parts.scopes = frozenset({Scope.ALL} if parts.caller.is_platform_admin else set(Scope) - WHOLE_SCOPES)
        return
    if text not in set(Visibility):
        raise InvalidInputError("'visibility' must be community, public, private, shared or all.", field="visibility")
    is_public = text == Visibility.PUBLIC
    scopes = _SCOPES_OF_VISIBILITY[Visibility(text)]
    parts.look_only_in(scopes if is_public or not parts.sees_all else frozenset({Scope.ALL}))
    parts.restrict("visibility", (Visibility(text),))


def _by_image_type(parts: QueryParts, text: str) -> None:
    parts.look_only_in(_SCOPES_OF_IMAGE_TYPE.get(text, frozenset()))


def _by_owner(parts: QueryParts, text: str) -> None:
    parts.restrict("project_id", (text,))
    if parts.caller.is_platform_admin and not parts.sees_all and text != parts.caller.project_id:
        parts.scopes = frozenset({Scope.ALL})


def _by_member_status(parts: QueryParts, text: str) -> None:
    if text not in {*MemberStatus, "all"}:
        raise InvalidInputError("'member_status' must be accepted, pending, rejected or all.", field="member_status")
    parts.member_status = None if text == "all" else MemberStatus(text)


def _by_status(parts: QueryParts, text: str) -> None:
    statuses = tuple(_items("status", text))
    parts.deleted = statuses == (ImageStatus.DELETED,)
    parts.restrict("status", statuses)


def _by_tag(parts: QueryParts, text: str) -> None:
    parts.tags.append(text)


def _by_size(name: str, comparison: Comparison) -> Callable[[QueryParts, str], None]:
    def add(parts: QueryParts, text: str) -> None:
        size_bytes = parsed_int(name, text)
        if size_bytes < 0:
            raise InvalidInputError(f"{name!r} must not be negative.", field=name)
        parts.require_field("size_bytes", comparison, min(size_bytes, _MAX_SIZE))

    return add


def _by_time(name: str) -> Callable[[QueryParts, str], None]:
    return lambda parts, text: parts.conditions.append(_time_condition(name, text))


def _by_size_text(parts: QueryParts, text: str) -> None:
    parts.restrict("size_bytes", (parsed_int("__image_size", text),))


def _always(value: str) -> Callable[[QueryParts, str], None]:
    """Every image has this value."""

    def add(parts: QueryParts, text: str) -> None:
        if text != value:
            parts.look_only_in(frozenset())

    return add


def _ignored(_parts: QueryParts, _text: str) -> None:
    """Says nothing about an image."""


_SPECIAL: dict[str, Callable[[QueryParts, str], None]] = {
    "visibility": _by_visibility,
    "__imagetype": _by_image_type,
    "owner": _by_owner,
    "member_status": _by_member_status,
    "status": _by_status,
    "tag": _by_tag,
    "size_min": _by_size("size_min", Comparison.GTE),
    "size_max": _by_size("size_max", Comparison.LTE),
    "created_at": _by_time("created_at"),
    "updated_at": _by_time("updated_at"),
    "__image_size": _by_size_text,
    "__image_source_type": _always("uds"),
    "os_hash_algo": _always("sha512"),
    **dict.fromkeys(("self", "file", "schema", "__image_location", "__lazyloading"), _ignored),
}


def _items(name: str, text: str) -> list[str]:
    """The texts of `in:a,"b,c"`, or the one text of `eq:a`, or the text itself, even with a colon in it."""
    operator, _, listed = text.partition(":")
    if name not in _OPERATORS_ALLOWED or operator not in {"in", *Comparison}:
        return [text]
    if operator == Comparison.EQ:
        return [listed]
    if operator != "in":
        raise InvalidInputError(f"{name!r} cannot be compared with the operator {operator}.", field=name)
    if not _ITEMS.fullmatch(listed):
        raise InvalidInputError(f"The quotes in the list of {name!r} do not match.", field=name)
    items = [_unquoted(item) for item in re.findall(rf"(?:^|,)({_ITEM})", listed)]
    if len(items) > _MAX_LISTED:
        raise InvalidInputError(f"At most {_MAX_LISTED} values can be listed for {name!r}.", field=name)
    return items


def _unquoted(item: str) -> str:
    return re.sub(r"\\(.)", r"\1", item[1:-1]) if item.startswith('"') else item


def _time_condition(field: str, text: str) -> Condition:
    """`gt:2026-01-01T10:00:00Z`; without an operator the times must be equal. A time without a zone is UTC."""
    operator, separator, rest = text.partition(":")
    if separator and operator in set(Comparison):
        return Condition(field, Comparison(operator), _time(field, rest))
    return Condition(field, Comparison.EQ, _time(field, text))


def _time(name: str, text: str) -> datetime:
    try:
        # A + that was not escaped arrives as a space.
        moment = datetime.fromisoformat(_SPACE_FOR_PLUS.sub("+", text))
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        _ = moment + timedelta(days=1)
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{name!r} must be a time as ISO 8601 spells it.", field=name) from None
    return moment.replace(microsecond=0)


def read_sort(key: str, direction: str) -> Sort:
    """Raises: InvalidInputError."""
    if key not in set(SortKey):
        raise InvalidInputError(f"Cannot sort by {key[:64]!r}.", field="sort_key")
    if direction not in {"asc", "desc"}:
        raise InvalidInputError("The direction to sort in must be asc or desc.", field="sort_dir")
    return Sort(SortKey(key), direction == "desc")
