"""Images, members and their bodies exactly as on the wire of Glance v2, with the attributes IMS adds."""

from operator import attrgetter
from typing import Any

import msgspec

from stillframe.api.image_v2.attributes import ATTRIBUTES, with_attribute
from stillframe.api.image_v2.kinds import checked_text, plain
from stillframe.config import Settings
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images.model import Image, ImageStatus, Member, MemberStatus, Visibility
from stillframe.images.stores import STORE_ID
from stillframe.kit.clock import iso_seconds_z
from stillframe.kit.ids import is_uuid

_WITH_DATA = (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED)
_BOOLEANS = frozenset({"__system_support_market", "__whole_image"})
"""The only properties of IMS that are JSON booleans; all others are the strings "true" and "false"."""

_ALWAYS = tuple(one for one in ATTRIBUTES if not one.omit_empty)
_ALWAYS_NAMES = tuple(one.name for one in _ALWAYS)
_always_fields = attrgetter(*(one.field for one in _ALWAYS))
_SPELLED = tuple((one.name, one.kind.write) for one in _ALWAYS if one.kind.write is not plain)
_OPTIONAL = tuple((one.name, attrgetter(one.field), one.kind.write) for one in ATTRIBUTES if one.omit_empty)


def image_to_wire(image: Image, caller: Caller, settings: Settings) -> dict[str, Any]:
    """One flat object, as `caller` sees it; the same at both doors."""
    wire: dict[str, Any] = dict(image.properties)
    for name in _BOOLEANS & wire.keys():
        wire[name] = wire[name] == "true"
    # All fields at once and then the few that are spelled otherwise: a list of images is made of this function.
    wire.update(zip(_ALWAYS_NAMES, _always_fields(image), strict=True))
    for name, write in _SPELLED:
        wire[name] = write(wire[name])
    for name, get, write in _OPTIONAL:
        if value := get(image):
            wire[name] = write(value)
    if image.origin and settings.image_format_label:
        wire["disk_format"] = settings.image_format_label
    if image.deleted_at is not None:
        wire |= {"deleted": True, "deleted_at": iso_seconds_z(image.deleted_at)}
    if image.layer_id is not None and image.status in _WITH_DATA:
        wire["stores"] = STORE_ID
        wire["__image_location"] = f"{STORE_ID}:layers:{image.layer_id}"
    path = f"/v2/images/{image.id}"
    wire["tags"] = list(image.tags)
    wire["os_hash_algo"] = "sha512" if image.os_hash_value else None
    wire["self"] = path
    wire["file"] = f"{path}/file"
    wire["schema"] = "/v2/schemas/image"
    wire["__imagetype"] = _image_type(image, caller)
    wire["__image_size"] = str(image.size_bytes or 0)
    wire["__image_source_type"] = "uds"
    wire["__lazyloading"] = "true" if image.is_lazy else "false"
    return wire


def _image_type(image: Image, caller: Caller) -> str:
    """`shared` is what a member sees; to its owner a shared image stays private."""
    if image.visibility is Visibility.PUBLIC:
        return "gold"
    return "private" if image.project_id == caller.project_id else "shared"


def member_to_wire(member: Member) -> dict[str, Any]:
    return {
        "member_id": member.project_id,
        "image_id": member.image_id,
        "status": str(member.status),
        "created_at": iso_seconds_z(member.created_at),
        "updated_at": iso_seconds_z(member.updated_at),
        "schema": "/v2/schemas/member",
    }


def decode_json(body: bytes) -> Any:
    """Raises: InvalidInputError for anything that is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidInputError("Malformed JSON in request body.") from None


def decode_object(body: bytes) -> dict[str, Any]:
    decoded = decode_json(body)
    if not isinstance(decoded, dict):
        raise InvalidInputError("The request body must be a JSON object.")
    return decoded


def described_image(blank: Image, body: dict[str, Any], settings: Settings) -> Image:
    """What POST /v2/images asks for.

    A container format that is not mentioned is `bare`, as on Open Telekom Cloud; a disk format that is not mentioned
    stays unknown, for the label `zvhd2` of that cloud would be untrue here.

    Raises: as `with_attribute`.
    """
    image = msgspec.structs.replace(blank, container_format="bare", disk_format=settings.image_format_label or None)
    if "id" in body:
        image = msgspec.structs.replace(image, id=_checked_id(body["id"]))
    for name, value in body.items():
        if name != "id" and not (name == "owner" and value is None):
            image = with_attribute(image, name, value)
    return image


def _checked_id(value: Any) -> str:
    if not isinstance(value, str) or not is_uuid(value.lower()):
        raise InvalidInputError("'id' must be a UUID with dashes.", field="id")
    return value.lower()


def new_member_id(body: bytes) -> str:
    """Of POST .../members {"member": project}."""
    member_id = checked_text("member", decode_object(body).get("member"))
    if not member_id:
        raise InvalidInputError("'member' must not be empty.", field="member")
    return member_id


def member_status(body: bytes) -> MemberStatus:
    """Of PUT .../members/{id} {"status": ...}."""
    status = decode_object(body).get("status")
    if status not in set(MemberStatus):
        raise InvalidInputError("'status' must be accepted, rejected or pending.", field="status")
    return MemberStatus(status)


def image_schema() -> dict[str, Any]:
    """The JSON schema clients read before they create or update: base properties, and any other as a string."""
    properties = {
        one.name: {**one.kind.schema, **({"readOnly": True} if one.read_only else {}), "is_base": one.is_base}
        for one in ATTRIBUTES
    }
    text, flag = {"type": "string"}, {"is_base": True}
    properties["tags"] = {"type": "array", "items": {"type": "string", "maxLength": 255}, **flag}
    properties["os_hash_algo"] = {"type": ["null", "string"], "readOnly": True, **flag}
    for name in ("self", "file", "schema"):
        properties[name] = {**text, "readOnly": True, **flag}
    for name in (
        "__imagetype",
        "__image_size",
        "__image_source_type",
        "__image_location",
        "__lazyloading",
        "stores",
    ):
        properties[name] = {**text, "readOnly": True, "is_base": False}
    for name in sorted(_BOOLEANS):
        properties[name] = {"type": ["boolean", "string"], "enum": [True, False, "true", "false"], "is_base": False}
    properties["deleted"] = {"type": "boolean", "readOnly": True, "is_base": False}
    properties["deleted_at"] = {**text, "readOnly": True, "is_base": False}
    # Not read-only to who creates an image, and clients have only the one schema to learn that from.
    properties["id"] = {**text, "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", **flag}
    return {
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def images_schema() -> dict[str, Any]:
    return list_schema("images", image_schema()) | {
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ]
    }


def member_schema() -> dict[str, Any]:
    text = {"type": "string"}
    statuses = {"type": "string", "enum": [status.value for status in MemberStatus]}
    names = ("member_id", "image_id", "created_at", "updated_at", "schema")
    return {"name": "member", "properties": {**dict.fromkeys(names, text), "status": statuses}}


def members_schema() -> dict[str, Any]:
    return list_schema("members", member_schema())


def list_schema(name: str, items: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": items},
            "schema": text,
            "first": text,
            "next": text,
        },
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }
