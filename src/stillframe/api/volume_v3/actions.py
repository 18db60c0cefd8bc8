"""POST /volumes/{id}/action: the one key of the body names what to do.

Source: OpenStack Block Storage API v3 reference, "Volume actions". What Nova asks of Cinder while it attaches a volume
is done here in one go, by servers: so os-attach and os-detach do the whole of it.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from litestar import Request, Response, post
from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.bodies import convert, decode_object, int_of
from stillframe.api.image_v2.attributes import with_attribute
from stillframe.api.volume_v3 import wire
from stillframe.api.volume_v3.requests import Key, Text, checked_metadata, type_name
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotOfferedError, VolumeNotFoundError
from stillframe.identity.model import Caller
from stillframe.images import disk_capture
from stillframe.images import service as images
from stillframe.images.disk_capture import DiskCapture
from stillframe.images.model import ImageKind, Visibility
from stillframe.servers import attachments, growth
from stillframe.volumes import service as volumes
from stillframe.volumes import states
from stillframe.volumes.model import VolumeStatus

Answer = Response[Any]

NOT_OFFERED = frozenset(
    {
        *("os-initialize_connection", "os-terminate_connection", "os-migrate_volume", "os-unmanage", "os-reimage"),
        *("os-migrate_volume_completion", "os-update_readonly_flag", "os-extend_volume_completion", "revert"),
    }
)
UPLOAD_FORMATS = frozenset({"qcow2", "raw", "zvhd2", "zvhd"})
"""What a caller may ask for; every image of a volume is kept as qcow2, and says so."""


class Acting(Struct, frozen=True):
    tx: Transaction
    caller: Caller
    settings: Settings
    volume_id: str


class Extend(Struct):
    new_size: int | str


class Bootable(Struct):
    bootable: bool | str


class ResetStatus(Struct):
    status: str | None = None


class Retype(Struct):
    new_type: Text
    migration_policy: str | None = None


class Attach(Struct):
    instance_uuid: str | None = None
    host_name: str | None = None
    mountpoint: Text | None = None
    mode: str | None = None


class Detach(Struct):
    attachment_id: str | None = None


class ImageMetadata(Struct):
    metadata: dict[Key, Text]


class ImageMetadataKey(Struct):
    key: Text


class Upload(Struct):
    image_name: Annotated[str, Meta(min_length=1, max_length=255)]
    force: bool | str = False
    disk_format: Text | None = None
    container_format: Text | None = None
    visibility: Text | None = None
    protected: bool | str | None = None
    os_type: Text | None = field(default=None, name="__os_type")
    os_version: Text | None = field(default=None, name="__os_version")


@post("/volumes/{volume_id:str}/action", status_code=202)
async def run_action(
    request: Request[Any, Any, Any], volume_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Answer:
    body = decode_object(await request.body())
    if len(body) != 1:
        raise InvalidInputError("There is no such action: the body must have one key.")
    name, argument = next(iter(body.items()))
    if name in NOT_OFFERED:
        raise NotOfferedError(f"The action {name} is not offered by this deployment.")
    if name not in _ACTIONS:
        raise InvalidInputError(f"There is no such action: {name[:255]}")
    return await _ACTIONS[name](Acting(tx, caller, settings, volume_id), argument)


async def _extend(acting: Acting, argument: Any) -> Answer:
    size_gib = int_of(convert(argument, Extend).new_size, "new_size") or 0
    await growth.extend_volume(acting.tx, acting.caller, acting.settings, acting.volume_id, size_gib)
    return _accepted()


async def _set_bootable(acting: Acting, argument: Any) -> Answer:
    bootable = as_bool(convert(argument, Bootable).bootable, "bootable")
    await volumes.update_volume(acting.tx, acting.caller, acting.volume_id, bootable=bootable)
    return _accepted(200)


async def _reset_status(acting: Acting, argument: Any) -> Answer:
    wanted = convert(argument, ResetStatus).status
    if wanted is not None:
        await states.reset_status(acting.tx, acting.caller, acting.volume_id, wanted)
    return _accepted()


async def _retype(acting: Acting, argument: Any) -> Answer:
    new_type = type_name(convert(argument, Retype).new_type)
    if new_type is None:
        raise InvalidInputError("new_type must be given.", field="new_type")
    await volumes.update_volume(acting.tx, acting.caller, acting.volume_id, volume_type=new_type)
    return _accepted()


async def _reserve(acting: Acting, _argument: Any) -> Answer:
    await states.move(acting.tx, acting.caller, acting.volume_id, VolumeStatus.AVAILABLE, VolumeStatus.ATTACHING)
    return _accepted()


async def _unreserve(acting: Acting, _argument: Any) -> Answer:
    await states.move(acting.tx, acting.caller, acting.volume_id, VolumeStatus.ATTACHING, VolumeStatus.AVAILABLE)
    return _accepted()


async def _begin_detaching(acting: Acting, _argument: Any) -> Answer:
    await states.move(acting.tx, acting.caller, acting.volume_id, VolumeStatus.IN_USE, VolumeStatus.DETACHING)
    return _accepted()


async def _roll_detaching(acting: Acting, _argument: Any) -> Answer:
    await states.move(acting.tx, acting.caller, acting.volume_id, VolumeStatus.DETACHING, VolumeStatus.IN_USE)
    return _accepted()


async def _attach(acting: Acting, argument: Any) -> Answer:
    wanted = convert(argument, Attach)
    if not wanted.instance_uuid:
        raise NotOfferedError("Volumes are attached to servers only: give instance_uuid.")
    if wanted.mode not in {None, "rw"}:
        raise NotOfferedError("Volumes are attached for reading and writing (mode rw).")
    await states.forget_reservation(acting.tx, acting.caller, acting.volume_id)
    device = wanted.mountpoint if wanted.mountpoint not in {"", "auto"} else None
    await attachments.attach_volume(
        acting.tx, acting.caller, acting.settings, wanted.instance_uuid, acting.volume_id, device=device
    )
    return _accepted()


async def _detach(acting: Acting, argument: Any) -> Answer:
    wanted = convert(argument or {}, Detach)
    volume = await volumes.get_volume(acting.tx, acting.caller, acting.volume_id)
    if volume.attachment is None or wanted.attachment_id not in {None, "", volume.attachment.id}:
        raise VolumeNotFoundError(f"Volume {volume.id} has no such attachment.")
    server_id = volume.attachment.server_id
    if volume.status is VolumeStatus.DETACHING and volume.job_id is None:
        await states.move(acting.tx, acting.caller, volume.id, VolumeStatus.DETACHING, VolumeStatus.IN_USE)
    await attachments.detach_volume(acting.tx, acting.caller, acting.settings, server_id, volume.id)
    return _accepted()


async def _force_delete(acting: Acting, _argument: Any) -> Answer:
    """Of a volume in any state that nobody uses, for administrators of the platform."""
    await states.reset_status(acting.tx, acting.caller, acting.volume_id, VolumeStatus.ERROR)
    await volumes.delete_volume(acting.tx, acting.caller, acting.volume_id)
    return _accepted()


async def _set_image_metadata(acting: Acting, argument: Any) -> Answer:
    volume = await volumes.lock_own_volume(acting.tx, acting.caller, acting.volume_id)
    merged = checked_metadata((volume.image_metadata or {}) | convert(argument, ImageMetadata).metadata)
    await volumes.change_volume(acting.tx, volume, image_metadata=merged)
    return Response({"metadata": merged}, status_code=200)


async def _unset_image_metadata(acting: Acting, argument: Any) -> Answer:
    key = convert(argument, ImageMetadataKey).key
    volume = await volumes.lock_own_volume(acting.tx, acting.caller, acting.volume_id)
    left = dict(volume.image_metadata or {})
    if left.pop(key, None) is None:
        raise VolumeNotFoundError(f"Metadata has no key {key[:255]}.")
    await volumes.change_volume(acting.tx, volume, image_metadata=left)
    return _accepted(200)


async def _show_image_metadata(acting: Acting, _argument: Any) -> Answer:
    volume = await volumes.get_volume(acting.tx, acting.caller, acting.volume_id)
    return Response({"metadata": volume.image_metadata or {}}, status_code=200)


async def _upload(acting: Acting, argument: Any) -> Answer:
    """The image has its id at once, and becomes active when the job behind it has sealed the disk."""
    wanted = convert(argument, Upload)
    if wanted.disk_format not in UPLOAD_FORMATS | {None, ""}:
        raise NotOfferedError("Images of volumes are kept as qcow2; export one to get another format.")
    if wanted.container_format not in {None, "", "bare"}:
        raise NotOfferedError("The container format of an image of a volume is bare.")
    acting.caller.require_writer()
    volume = await volumes.get_volume(acting.tx, acting.caller, acting.volume_id)
    fit = (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE) if as_bool(wanted.force, "force") else (VolumeStatus.AVAILABLE,)
    volumes.require_status(volume, *fit)
    blank = images.new_image(acting.caller)
    for name, value in _attributes(wanted).items():
        blank = with_attribute(blank, name, value)
    if blank.visibility is Visibility.PUBLIC and not acting.caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform can publish images.")
    request = DiskCapture(volume_id=volume.id, name=wanted.image_name, kind=ImageKind.SYSTEM, blank=blank)
    job = await disk_capture.upload_volume(acting.tx, acting.caller, acting.settings, request)
    image = job.args["images"][0]
    volume = await volumes.get_volume(acting.tx, acting.caller, volume.id)
    return Response({"os-volume_upload_image": wire.upload_to_wire(volume, image)}, status_code=202)


def _attributes(wanted: Upload) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": wanted.image_name,
        "visibility": wanted.visibility or None,
        "protected": None if wanted.protected is None else as_bool(wanted.protected, "protected"),
        "__os_type": wanted.os_type or None,
        "__os_version": wanted.os_version or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def as_bool(value: bool | str, name: str) -> bool:  # noqa: FBT001
    """Clients write true in several ways. Raises: InvalidInputError."""
    if isinstance(value, bool):
        return value
    text = value.strip().lower()
    if text not in {"true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"}:
        raise InvalidInputError(f"Invalid input for field/attribute {name}: a boolean is expected", field=name)
    return text in {"true", "1", "yes", "on", "t", "y"}


def _accepted(status_code: int = 202) -> Answer:
    return Response(b"", status_code=status_code)


_ACTIONS: dict[str, Callable[[Acting, Any], Awaitable[Answer]]] = {
    "os-extend": _extend,
    "os-set_bootable": _set_bootable,
    "os-reset_status": _reset_status,
    "os-retype": _retype,
    "os-reserve": _reserve,
    "os-unreserve": _unreserve,
    "os-begin_detaching": _begin_detaching,
    "os-roll_detaching": _roll_detaching,
    "os-attach": _attach,
    "os-detach": _detach,
    "os-force_delete": _force_delete,
    "os-force_detach": _detach,
    "os-set_image_metadata": _set_image_metadata,
    "os-unset_image_metadata": _unset_image_metadata,
    "os-show_image_metadata": _show_image_metadata,
    "os-volume_upload_image": _upload,
}
