"""The JSON schemas of metadata definitions, as clients read them before they write any.

Source: OpenStack Image API v2, "Metadata definition schemas".
"""

from typing import Any

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_NAME: Json = {"type": "string", "maxLength": 80}
_READ_ONLY: Json = {"type": "string", "readOnly": True}
_COUNT: Json = {"$ref": "#/definitions/positiveInteger"}
_COUNT_FROM_0: Json = {"$ref": "#/definitions/positiveIntegerDefault0"}
_TEXTS: Json = {"$ref": "#/definitions/stringArray"}
_TYPE: Json = {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string"]}


def _time(what: str) -> Json:
    return {"type": "string", "readOnly": True, "format": "date-time", "description": f"When the {what}."}


def _times(what: str) -> Json:
    return {"created_at": _time(f"{what} was made"), "updated_at": _time(f"{what} was last changed")}


_PROPERTY: Json = {
    "name": _NAME,
    "title": {**_TEXT, "description": "What people read."},
    "description": _TEXT,
    "operators": {"type": "array", "items": _TEXT},
    "type": _TYPE,
    "required": _TEXTS,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT_FROM_0,
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object", "properties": {"type": _TYPE, "enum": {"type": "array"}}},
    "maxItems": _COUNT,
    "minItems": _COUNT_FROM_0,
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}

_DEFINITIONS: Json = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [_COUNT, {"default": 0}]},
    "stringArray": {"type": "array", "items": _TEXT, "uniqueItems": True},
    "property": {
        "type": "object",
        "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": _PROPERTY},
    },
}

_ASSOCIATION: Json = {
    "name": {**_NAME, "description": "The resource type, as Heat names it: OS::Glance::Image and the like."},
    "prefix": {**_NAME, "description": "What the names of properties begin with on this type, its separator included."},
    "properties_target": {**_NAME, "description": "Which of several sets of properties of the type is meant."},
    **_times("resource type was associated"),
}

_OBJECT: Json = {
    "name": _NAME,
    "description": _TEXT,
    "required": _TEXTS,
    "properties": {"$ref": "#/definitions/property"},
    "schema": _READ_ONLY,
    "self": _READ_ONLY,
    **_times("object"),
}

_TAG: Json = {"name": _NAME, **_times("tag")}


def _inside(properties: Json) -> Json:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


_NAMESPACE: Json = {
    "namespace": {**_NAME, "description": "The name, which no other namespace has."},
    "display_name": {**_NAME, "description": "The name that people read."},
    "description": {"type": "string", "maxLength": 500, "description": "What the namespace is for."},
    "visibility": {"type": "string", "enum": ["public", "private"], "description": "Who sees the namespace."},
    "protected": {"type": "boolean", "description": "Whether the namespace is kept from being deleted."},
    "owner": {"type": "string", "maxLength": 255, "description": "The project that the namespace belongs to."},
    "schema": _READ_ONLY,
    "self": _READ_ONLY,
    "resource_type_associations": _inside(_ASSOCIATION),
    "properties": {"$ref": "#/definitions/property"},
    "objects": _inside(_OBJECT),
    "tags": _inside(_TAG),
    **_times("namespace"),
}

_LIST_LINKS = [
    {"rel": "first", "href": "{first}"},
    {"rel": "next", "href": "{next}"},
    {"rel": "describedby", "href": "{schema}"},
]


def _one(name: str, properties: Json, required: list[str], definitions: Json | None) -> Json:
    schema = {"name": name, "properties": properties, "additionalProperties": False, "required": required}
    return schema | ({"definitions": definitions} if definitions else {})


def _several(name: str, held: Json, definitions: Json | None) -> Json:
    properties = {name: held, "first": _TEXT, "next": _TEXT, "schema": _TEXT}
    schema = {"name": name, "properties": properties, "links": _LIST_LINKS}
    return schema | ({"definitions": definitions} if definitions else {})


def _array(name: str, item: str, properties: Json, required: list[str], definitions: Json | None) -> Json:
    return _several(name, {"type": "array", "items": _one(item, properties, required, None)}, definitions)


_PROPERTIES: Json = {
    "type": "object",
    "additionalProperties": _one("property", _PROPERTY, ["type", "title"], None),
}

SCHEMAS: dict[str, Json] = {
    "namespace": _one("namespace", _NAMESPACE, ["namespace"], _DEFINITIONS),
    "namespaces": _array("namespaces", "namespace", _NAMESPACE, ["namespace"], _DEFINITIONS),
    "object": _one("object", _OBJECT, ["name"], _DEFINITIONS),
    "objects": _array("objects", "object", _OBJECT, ["name"], _DEFINITIONS),
    "property": _one("property", _PROPERTY, ["type", "title", "name"], _DEFINITIONS),
    "properties": _several("properties", _PROPERTIES, _DEFINITIONS),
    "tag": _one("tag", _TAG, ["name"], None),
    "tags": _array("tags", "tag", _TAG, ["name"], None),
    "resource_type": _one("resource_type_association", _ASSOCIATION, ["name"], None),
    "resource_types": _array("resource_type_associations", "resource_type_association", _ASSOCIATION, ["name"], None),
}
"""By the last part of /v2/schemas/metadefs/{name}."""
