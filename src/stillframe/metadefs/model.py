"""What a metadata definition is.

    namespace ──< object, property, tag
        └──────< association >── resource type        which kinds of things the namespace's properties are for

A namespace has a name of its own among all namespaces, each part of it a name among the parts of its kind.
"""

import enum
from datetime import datetime
from typing import Any

import msgspec


class NamespaceVisibility(enum.StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    display_name: str | None = None
    description: str | None = None
    visibility: NamespaceVisibility = NamespaceVisibility.PRIVATE
    protected: bool = False
    """Neither the namespace nor a part of it can be deleted."""
    owner: str
    """A project; an administrator may write any other text."""
    created_at: datetime
    updated_at: datetime


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a namespace."""

    name: str
    created_at: datetime
    updated_at: datetime


class MetadefObject(Part, frozen=True, kw_only=True):
    """Properties that belong together; `required` names those of them that must be given."""

    description: str | None = None
    required: list[str] = []
    properties: dict[str, dict[str, Any]] = {}
    """By name, each a JSON schema as on the wire."""


class MetadefProperty(Part, frozen=True, kw_only=True):
    schema: dict[str, Any]
    """A JSON schema as on the wire."""


class MetadefTag(Part, frozen=True, kw_only=True):
    """A name and nothing else."""


class Association(Part, frozen=True, kw_only=True):
    """Of the namespace with the resource type of this name, whose properties begin with `prefix`."""

    prefix: str | None = None
    properties_target: str | None = None


class ResourceType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of thing, such as `OS::Glance::Image`; there since the first association with it."""

    name: str
    created_at: datetime
    updated_at: datetime


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a namespace."""

    associations: list[Association] = []
    properties: list[MetadefProperty] = []
    objects: list[MetadefObject] = []
    tags: list[MetadefTag] = []


class NamespaceSort(enum.StrEnum):
    """Fields a list of namespaces can be sorted by."""

    NAME = "name"
    DISPLAY_NAME = "display_name"
    DESCRIPTION = "description"
    VISIBILITY = "visibility"
    PROTECTED = "protected"
    OWNER = "owner"
    ID = "id"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


class TagSort(enum.StrEnum):
    """Fields a list of tags can be sorted by."""

    NAME = "name"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


class NamespaceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """All conditions must hold; `marker` is the name of the last namespace of the page before."""

    limit: int
    marker: str | None = None
    sort: NamespaceSort = NamespaceSort.CREATED_AT
    descending: bool = True
    visibility: NamespaceVisibility | None = None
    resource_types: tuple[str, ...] | None = None
    """Associated with at least one of these."""


class TagQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Without a limit, all that follow the tag of the name `marker`."""

    limit: int | None = None
    marker: str | None = None
    sort: TagSort = TagSort.CREATED_AT
    descending: bool = True
