"""PATCH: two dialects of JSON patch, read and applied to an image. All changes hold, or none does.

Source: OpenStack Image API v2, "Appendix B: HTTP PATCH media types".
"""

import enum
import re
from typing import Any

import msgspec

from stillframe.api.image_v2.attributes import has_attribute, with_attribute, without_attribute
from stillframe.api.image_v2.wire import decode_json
from stillframe.errors import ConflictError, ForbiddenError, InvalidInputError
from stillframe.images.model import Image

V21 = "application/openstack-images-v2.1-json-patch"
V20 = "application/openstack-images-v2.0-json-patch"
ACCEPT_PATCH = f"{V21}, {V20}"

_BAD_ESCAPE = re.compile(r"~(?![01])")


class Operation(enum.StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


class Change(msgspec.Struct, frozen=True):
    """`value` is decoded JSON; None for a removal."""

    operation: Operation
    name: str
    value: Any


def read_changes(body: bytes) -> list[Change]:
    """Either spelling of a change, `{"op": "add", "path": "/x"}` and `{"add": "/x"}`, is taken from both dialects.

    Raises: InvalidInputError, ForbiddenError for a path below `locations`.
    """
    decoded = decode_json(body)
    if not isinstance(decoded, list):
        raise InvalidInputError("Request body must be a JSON array of operation objects.")
    return [_read_change(one) for one in decoded]


def _read_change(raw: Any) -> Change:
    if not isinstance(raw, dict):
        raise InvalidInputError("Operations must be JSON objects.")
    operation, path = _operation_and_path(raw)
    name = _attribute_name(path)
    if operation is not Operation.REMOVE and "value" not in raw:
        raise InvalidInputError(f'Operation "{operation}" requires a member named "value".')
    return Change(operation, name, None if operation is Operation.REMOVE else raw["value"])


def _operation_and_path(raw: dict[str, Any]) -> tuple[Operation, Any]:
    if "op" in raw:
        if raw["op"] not in list(Operation):
            raise InvalidInputError("Operations must be one of add, replace and remove.")
        return Operation(raw["op"]), raw.get("path")
    named = [operation for operation in Operation if operation in raw]
    if len(named) != 1:
        raise InvalidInputError("Operation objects must contain exactly one member named add, replace or remove.")
    return named[0], raw[named[0]]


def _attribute_name(path: Any) -> str:
    """The one component of a JSON pointer, without its escapes."""
    if not isinstance(path, str) or not path.startswith("/") or _BAD_ESCAPE.search(path):
        raise InvalidInputError("A path must start with / and hold ~ only as ~0 and ~1.")
    first, *deeper = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    if first == "locations":
        raise ForbiddenError("Locations are not open to changes.")
    if not first or deeper:
        raise InvalidInputError("A path must name one attribute, without a trailing slash.")
    return first


def apply_changes(image: Image, changes: list[Change], media_type: str) -> Image:
    """The image with all changes, in their order.

    Raises: as `with_attribute` and `without_attribute`; ConflictError for adding what is there in the older dialect,
    and for replacing a property that is not there.
    """
    for change in changes:
        image = _apply(image, change, media_type)
    return image


def _apply(image: Image, change: Change, media_type: str) -> Image:
    if change.operation is Operation.REMOVE:
        return without_attribute(image, change.name)
    there = has_attribute(image, change.name)
    changed = with_attribute(image, change.name, change.value)
    if change.operation is Operation.ADD and media_type == V20 and there:
        raise ConflictError(f"Property {change.name} already present.")
    if change.operation is Operation.REPLACE and not there:
        raise ConflictError(f"Property {change.name} does not exist.")
    return changed
