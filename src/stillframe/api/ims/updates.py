"""PATCH /v2/cloudimages/{image_id}: what may be changed, and to what.

Every value is checked before the image is looked at, and what only the image can tell after that.

Source: Open Telekom Cloud, IMS API reference, "Updating Image Information" and "Image Attributes".
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, patch
from msgspec.structs import replace

from stillframe.api.image_v2.attributes import BY_NAME, DERIVED, MAX_PROPERTY_LENGTH, RESERVED, RESERVED_PREFIX
from stillframe.api.image_v2.kinds import checked_text
from stillframe.api.image_v2.patches import Operation
from stillframe.api.ims import wire
from stillframe.api.ims.lists import image_to_ims
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ImageSizesInvalidError, OsVersionInvalidError, RequestFormatError
from stillframe.identity.model import Caller
from stillframe.images import updating
from stillframe.images.model import Image, ImageKind, OsInfo
from stillframe.images.operating_systems import find_operating_system
from stillframe.images.refusals import (
    ArchitectureInvalidError,
    AttributeConflictError,
    FirmwareInvalidError,
    ImageNameBlankError,
)
from stillframe.kit.units import bytes_to_gib_up

AnyRequest = Request[Any, Any, Any]

_EXTENSION = re.compile(r"[^A-Z]{1,255}")
_BAD_ESCAPE = re.compile(r"~(?![01])")
_FLAGS = frozenset(
    {
        *("__support_xen", "__support_largememory", "__support_diskintensive", "__support_highperformance"),
        *("__support_xen_gpu_type", "__support_kvm_gpu_type", "__support_xen_hana"),
        *("__support_kvm_infiniband", "__support_fc_inject", "__support_amd", "__support_kvm_hi1822_hisriov"),
        *("__support_kvm_hi1822_hivirtionet", "__is_config_init", "hw_vif_multiqueue_enabled"),
    }
)
_EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (
        frozenset({"__support_xen_gpu_type", "__support_kvm_gpu_type", "__support_xen_hana"}),
        frozenset({"__support_xen", "__support_kvm"}),
    ),
    (frozenset({"__support_kvm_infiniband"}), frozenset({"__support_xen"})),
)
"""No attribute of the one side stands beside one of the other."""


class ChangeBody(msgspec.Struct, kw_only=True):
    """`{"op": "add", "path": "/x", "value": ...}`, or in the older spelling `{"add": "/x", "value": ...}`."""

    op: str | None = None
    path: str | None = None
    add: str | None = None
    replace: str | None = None
    remove: str | None = None
    value: Any = msgspec.UNSET


class Change(msgspec.Struct, frozen=True):
    """`value` is as the model keeps it; None for a removal."""

    name: str
    value: Any


@patch("/v2/cloudimages/{image_id:str}")
async def update_image(
    request: AnyRequest, image_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> dict[str, Any]:
    changes = read_changes(wire.decode_body(await request.body(), list[ChangeBody]), settings)
    before = await updating.get_changeable_image(tx, caller, wire.checked_image_id(image_id))
    after = await updating.change_image(tx, caller, before, apply_changes(before, changes))
    return image_to_ims(after, caller, settings)


def read_changes(bodies: list[ChangeBody], settings: Settings) -> list[Change]:
    """Raises: what the value of an attribute breaks by its class; AttributeConflictError for an attribute that cannot
    be changed, or is changed in two ways.
    """
    changes, operations = [], dict[str, Operation]()
    for body in bodies:
        operation, name = _operation_and_name(body)
        if operations.setdefault(name, operation) is not operation:
            raise AttributeConflictError(f"{name!r} is changed in two ways.")
        _require_changeable(name)
        if operation is Operation.REMOVE:
            changes.append(Change(name, None))
        elif body.value is msgspec.UNSET or body.value is None:
            raise RequestFormatError(f"{operation} of {name!r} needs a value.")
        else:
            changes.append(Change(name, _read_value(name, body.value, settings)))
    return changes


def _operation_and_name(body: ChangeBody) -> tuple[Operation, str]:
    given = {Operation.ADD: body.add, Operation.REPLACE: body.replace, Operation.REMOVE: body.remove}
    if body.op is not None:
        if body.op not in set(Operation):
            raise RequestFormatError("op must be add, replace or remove.")
        return Operation(body.op), _attribute_name(body.path)
    named = [(operation, path) for operation, path in given.items() if path is not None]
    if len(named) != 1:
        raise RequestFormatError("Every change needs one op.")
    return named[0][0], _attribute_name(named[0][1])


def _attribute_name(path: str | None) -> str:
    """The one component of a JSON pointer, without its escapes."""
    if path is None or not path.startswith("/") or _BAD_ESCAPE.search(path):
        raise RequestFormatError("path must be / and the name of an attribute.")
    first, *deeper = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    if not first or deeper:
        raise RequestFormatError("path must name one attribute.")
    return first


def _require_changeable(name: str) -> None:
    if name in _FIELDS or name in _FLAGS:
        return
    fixed = name in BY_NAME or name in DERIVED or name in RESERVED or name in ("tags", "active_at")
    if fixed or name.startswith(("__", RESERVED_PREFIX)):
        raise AttributeConflictError(f"{name[:255]!r} cannot be changed.")
    if not _EXTENSION.fullmatch(name):
        raise RequestFormatError(f"The name {name[:255]!r} has capital letters, or more than 255 characters.")


def _read_value(name: str, value: Any, settings: Settings) -> Any:
    if name == "__os_version":
        return _os_info(_text(name, value), settings)
    if name in _FIELDS:
        return _FIELDS[name][1](name, value)
    if name in _FLAGS and isinstance(value, bool):
        return "true" if value else "false"
    return checked_text(name, value, 255 if name in _FLAGS else MAX_PROPERTY_LENGTH)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RequestFormatError(f"{name!r} must be a string.")
    return value


def _name(name: str, value: Any) -> str:
    if not _text(name, value).strip():
        raise ImageNameBlankError
    return wire.checked_name(value)


def _integer(name: str, value: Any) -> int:
    if type(value) not in (int, str):
        raise RequestFormatError(f"{name!r} must be an integer.")
    return wire.checked_integer(value)


def _memory_mib(name: str, value: Any) -> int:
    memory_mib, _ = wire.checked_memory(_integer(name, value), None)
    return memory_mib


def _disk_gib(name: str, value: Any) -> int:
    disk_gib = _integer(name, value)
    if not 1 <= disk_gib <= wire.MAX_DATA_DISK_GIB:
        raise ImageSizesInvalidError
    return disk_gib


def _firmware(name: str, value: Any) -> str:
    if _text(name, value) not in ("bios", "uefi"):
        raise FirmwareInvalidError
    return str(value)


def _architecture(name: str, value: Any) -> str:
    if _text(name, value).lower() not in ("x86", "arm"):
        raise ArchitectureInvalidError
    return str(value).lower()


def _os_info(version: str, settings: Settings) -> OsInfo:
    system = find_operating_system(version, settings.extra_os_versions)
    if system is None:
        raise OsVersionInvalidError
    return system.info


_FIELDS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "name": ("name", _name),
    "__description": ("description", lambda name, value: wire.checked_description(_text(name, value))),
    "min_ram": ("min_ram_mib", _memory_mib),
    "max_ram": ("max_ram_mib", _memory_mib),
    "min_disk": ("min_disk_gib", _disk_gib),
    "hw_firmware_type": ("firmware", _firmware),
    "architecture": ("architecture", _architecture),
    "enterprise_project_id": (
        "enterprise_project_id",
        lambda name, value: wire.checked_enterprise_project(_text(name, value)),
    ),
    "__os_version": ("os", _text),
}
"""Name on the wire -> field of Image, and how its value is read."""

_WHEN_REMOVED = {"__description": "", "max_ram": 0}
"""Every other field always has a value."""


def apply_changes(before: Image, changes: list[Change]) -> Image:
    """Replacing what is not there adds it.

    Raises: AttributeConflictError for removing what is not there or cannot be missing, and for attributes that exclude
    each other; ImageSizesInvalidError.
    """
    image = before
    for change in changes:
        image = _without(image, change.name) if change.value is None else _with(image, change.name, change.value)
    _require_fitting(image, {change.name for change in changes})
    return image


def _with(image: Image, name: str, value: Any) -> Image:
    if name in _FIELDS:
        return replace(image, **{_FIELDS[name][0]: value})
    return replace(image, properties={**image.properties, name: value})


def _without(image: Image, name: str) -> Image:
    if name in _WHEN_REMOVED and getattr(image, _FIELDS[name][0]) != _WHEN_REMOVED[name]:
        return _with(image, name, _WHEN_REMOVED[name])
    if name not in image.properties:
        raise AttributeConflictError(f"There is no {name!r} that could be removed.")
    return replace(image, properties={one: value for one, value in image.properties.items() if one != name})


def _require_fitting(image: Image, changed: set[str]) -> None:
    if 0 < image.max_ram_mib < image.min_ram_mib and changed & {"min_ram", "max_ram"}:
        raise ImageSizesInvalidError("max_ram is less than min_ram.")
    limit_gib = wire.MAX_DATA_DISK_GIB if image.kind is ImageKind.DATA else wire.MAX_SYSTEM_DISK_GIB
    smallest_gib = bytes_to_gib_up(image.virtual_size_bytes or 0)
    if "min_disk" in changed and not smallest_gib <= image.min_disk_gib <= limit_gib:
        raise ImageSizesInvalidError(f"min_disk must be between {max(smallest_gib, 1)} and {limit_gib}.")
    there = {name for name, value in image.properties.items() if value not in ("", "false")}
    for one_side, other_side in _EXCLUSIVE:
        if changed & (one_side | other_side) and there & one_side and there & other_side:
            raise AttributeConflictError(
                f"{min(there & one_side)!r} and {min(there & other_side)!r} exclude each other."
            )


handlers = [update_image]
