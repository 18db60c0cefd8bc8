"""Metadata definitions and their bodies exactly as on the wire.

Source: OpenStack Image API v2, "Metadata definition namespaces" and the sections after it; openstack/glance,
`glance/api/v2/metadef_*.py`, `glance/api/v2/model/metadef_*.py`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from stillframe.api.image_v2.wire import decode_object
from stillframe.errors import ForbiddenError, InvalidInputError
from stillframe.kit.clock import iso_seconds_z, utcnow
from stillframe.metadefs.model import (
    Association,
    Contents,
    MetadefObject,
    MetadefProperty,
    MetadefTag,
    Namespace,
    NamespaceVisibility,
    Part,
    ResourceType,
)

Json = dict[str, Any]
BodyT = TypeVar("BodyT", bound=msgspec.Struct)

TIMES = frozenset({"created_at", "updated_at"})
LINKS = frozenset({"self", "schema"})

# NUL is what PostgreSQL cannot keep in a text; a slash would make the thing unreachable by any path.
Text = Annotated[str, Meta(pattern=r"\A[^\x00]*\Z")]
ShortText = Annotated[str, Meta(max_length=80, pattern=r"\A[^\x00]*\Z")]
Name = Annotated[str, Meta(max_length=80, pattern=r"\A[^\x00/]+\Z")]
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Type = Literal["array", "boolean", "integer", "number", "object", "string"]


class ItemsBody(msgspec.Struct, forbid_unknown_fields=True):
    type: Type
    enum: list[str] | UnsetType = UNSET


class PropertyBody(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Where it stands under its name, it need not repeat it."""

    type: Type
    title: str
    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    default: Any = UNSET
    readonly: bool | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    minimum: Number | UnsetType = UNSET
    maximum: Number | UnsetType = UNSET
    enum: list[str] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    min_length: Count | UnsetType = UNSET
    max_length: Count | UnsetType = UNSET
    items: ItemsBody | UnsetType = UNSET
    unique_items: bool | UnsetType = UNSET
    min_items: Count | UnsetType = UNSET
    max_items: Count | UnsetType = UNSET
    additional_items: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        _require_unique(self.required)
        # A default is a text on the wire, whatever the property's type; only lists and objects stay what they are.
        if isinstance(self.default, int | float):
            self.default = str(self.default)


class ObjectBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    description: Text | None = None
    required: list[str] = []
    properties: dict[Name, PropertyBody] = {}

    def __post_init__(self) -> None:
        _require_unique(self.required)


def _require_unique(names: list[str] | UnsetType) -> None:
    if names is not UNSET and len(set(names)) < len(names):
        raise ValueError("'required' names a property twice")


class TagBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Name


class TagsBody(msgspec.Struct, forbid_unknown_fields=True):
    tags: list[TagBody]


class AssociationBody(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    prefix: ShortText | None = None
    properties_target: ShortText | None = None


class NamespaceBody(msgspec.Struct, forbid_unknown_fields=True):
    namespace: Name
    display_name: ShortText | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=500, pattern=r"\A[^\x00]*\Z")] | UnsetType = UNSET
    visibility: NamespaceVisibility = NamespaceVisibility.PRIVATE
    protected: bool = False
    owner: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00]*\Z")] | UnsetType = UNSET
    resource_type_associations: list[AssociationBody] = []
    properties: dict[Name, PropertyBody] = {}
    objects: list[ObjectBody] = []
    tags: list[TagBody] = []


def read_body(body: bytes, kind: type[BodyT], *, read_only: Iterable[str]) -> BodyT:
    """Raises: ForbiddenError for what only the service sets, InvalidInputError that names the field."""
    decoded = decode_object(body)
    for name in sorted(read_only):
        if name in decoded:
            raise ForbiddenError(f"Attribute {name!r} is read-only.")
    try:
        return msgspec.convert(decoded, kind)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"The request body does not match the schema: {_told(error)}") from None


def _told(error: msgspec.ValidationError) -> str:
    rule, at, place = str(error).partition(" - at ")
    if "matching regex" in rule:
        rule = "A name must not be empty or hold a slash, and no text a NUL"
    return rule + at + place


def read_namespace(body: NamespaceBody, blank: Namespace) -> Namespace:
    """`blank` with what is given; everything else is as in a new namespace."""
    return replace(
        blank,
        display_name=_given(body.display_name),
        description=_given(body.description),
        visibility=body.visibility,
        protected=body.protected,
        owner=_given(body.owner) or blank.owner,
    )


def _given(text: str | UnsetType) -> str | None:
    return None if text is UNSET else text


def read_contents(body: NamespaceBody) -> Contents:
    return Contents(
        associations=[read_association(one) for one in body.resource_type_associations],
        properties=[_property(name, one) for name, one in body.properties.items()],
        objects=[read_object(one) for one in body.objects],
        tags=[read_tag(one.name) for one in body.tags],
    )


def read_association(body: AssociationBody) -> Association:
    now = utcnow()
    return Association(
        name=body.name, prefix=body.prefix, properties_target=body.properties_target, created_at=now, updated_at=now
    )


def read_object(body: ObjectBody) -> MetadefObject:
    now = utcnow()
    properties: dict[str, Json] = msgspec.to_builtins(body.properties)
    return MetadefObject(
        name=body.name,
        description=body.description,
        required=body.required,
        properties=properties,
        created_at=now,
        updated_at=now,
    )


def read_property(body: PropertyBody) -> MetadefProperty:
    """Raises: InvalidInputError without a name."""
    if body.name is UNSET:
        raise InvalidInputError("The request body does not match the schema: 'name' is missing.", field="name")
    return _property(body.name, body)


def _property(name: str, body: PropertyBody) -> MetadefProperty:
    now = utcnow()
    return MetadefProperty(name=name, schema=msgspec.to_builtins(body), created_at=now, updated_at=now)


def read_tag(name: str) -> MetadefTag:
    now = utcnow()
    return MetadefTag(name=name, created_at=now, updated_at=now)


def checked_tag_name(name: str) -> str:
    """Of a tag that is made by its path alone. Raises: InvalidInputError."""
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"The name of the tag is not valid: {_told(error)}") from None


def _times(thing: Namespace | Part | ResourceType) -> Json:
    return {"created_at": iso_seconds_z(thing.created_at), "updated_at": iso_seconds_z(thing.updated_at)}


def _said(**fields: Any) -> Json:
    """Without those that are None: Glance leaves out what was never given."""
    return {name: value for name, value in fields.items() if value is not None}


def namespace_path(namespace: Namespace) -> str:
    return f"/v2/metadefs/namespaces/{namespace.name}"


def namespace_to_wire(namespace: Namespace) -> Json:
    return {
        "namespace": namespace.name,
        **_said(display_name=namespace.display_name, description=namespace.description),
        "visibility": namespace.visibility.value,
        "protected": namespace.protected,
        "owner": namespace.owner,
        **_times(namespace),
        "self": namespace_path(namespace),
        "schema": "/v2/schemas/metadefs/namespace",
    }


def listed_namespace(namespace: Namespace, associations: list[Association]) -> Json:
    wire = namespace_to_wire(namespace)
    if associations:
        wire["resource_type_associations"] = [association_to_wire(one) for one in associations]
    return wire


def whole_namespace(namespace: Namespace, contents: Contents, resource_type: str | None = None) -> Json:
    """With its parts, of which the kinds that have none are left out.

    The names of properties begin with the prefix of the association with `resource_type`, when there is one.
    """
    prefixes = [one.prefix or "" for one in contents.associations if one.name == resource_type]
    prefix = prefixes[0] if prefixes else ""
    wire = listed_namespace(namespace, contents.associations)
    if contents.properties:
        wire["properties"] = {prefix + one.name: one.schema for one in contents.properties}
    if contents.objects:
        wire["objects"] = [object_to_wire(namespace.name, one, prefix) for one in contents.objects]
    if contents.tags:
        wire["tags"] = [{"name": tag.name} for tag in contents.tags]
    return wire


def object_to_wire(namespace_name: str, one: MetadefObject, prefix: str = "") -> Json:
    return {
        "name": one.name,
        **_said(description=one.description),
        "required": [prefix + name for name in one.required],
        "properties": {prefix + name: schema for name, schema in one.properties.items()},
        **_times(one),
        "self": f"/v2/metadefs/namespaces/{namespace_name}/objects/{one.name}",
        "schema": "/v2/schemas/metadefs/object",
    }


def property_to_wire(one: MetadefProperty) -> Json:
    return {**one.schema, "name": one.name}


def tag_to_wire(tag: MetadefTag) -> Json:
    return {"name": tag.name, **_times(tag)}


def association_to_wire(one: Association) -> Json:
    return {"name": one.name, **_said(prefix=one.prefix, properties_target=one.properties_target), **_times(one)}


def resource_type_to_wire(one: ResourceType) -> Json:
    return {"name": one.name, **_times(one)}
