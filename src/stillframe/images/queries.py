"""What a caller can ask a list of images for."""

import enum
from datetime import datetime
from typing import Any

import msgspec

from stillframe.images.model import MemberStatus


class Scope(enum.StrEnum):
    """Whose images are looked through; a list is the union of some of them, which never overlap."""

    OWN = "own"
    """The project's own, but those it has made public."""
    PUBLIC = "public"
    SHARED = "shared"
    """Other projects' images shared with this one."""
    COMMUNITY = "community"
    """Other projects' community images."""
    LISTED = "listed"
    """Every image but other projects' community images; for administrators of the platform, and alone."""
    ALL = "all"
    """Every image there is; as LISTED."""


DEFAULT_SCOPES = frozenset({Scope.OWN, Scope.PUBLIC, Scope.SHARED})
WHOLE_SCOPES = frozenset({Scope.LISTED, Scope.ALL})
"""Those that look through every project's images."""


class SortKey(enum.StrEnum):
    NAME = "name"
    STATUS = "status"
    CONTAINER_FORMAT = "container_format"
    DISK_FORMAT = "disk_format"
    SIZE = "size"
    ID = "id"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


class Sort(msgspec.Struct, frozen=True):
    key: SortKey
    descending: bool


DEFAULT_SORTS = (Sort(SortKey.CREATED_AT, descending=True),)


class Comparison(enum.StrEnum):
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NEQ = "neq"


class Condition(msgspec.Struct, frozen=True):
    """`field` names a field of Image; times are compared by the second."""

    field: str
    comparison: Comparison
    value: int | datetime


class ImageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """All conditions must hold. `marker` is the id of the last image of the page before."""

    limit: int
    marker: str | None = None
    sorts: tuple[Sort, ...] = DEFAULT_SORTS
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    member_status: MemberStatus | None = MemberStatus.ACCEPTED
    """Of images shared by others; None takes any."""
    any_of: dict[str, tuple[Any, ...]] = msgspec.field(default_factory=dict)
    """Field of Image (or of its OsInfo as `os.version`) -> the values it may have."""
    conditions: tuple[Condition, ...] = ()
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    lacking: dict[str, str] = msgspec.field(default_factory=dict)
    """Properties with values that no image found has."""
    tags: tuple[str, ...] = ()
    deleted: bool = False
    """Only the tombstones of deleted images instead of the living."""
