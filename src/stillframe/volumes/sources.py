"""What a new disk is made from: nothing, an image or a snapshot. Each costs the same, whatever its size."""

import msgspec

from stillframe.db import Transaction
from stillframe.errors import ConflictError, InvalidInputError, SnapshotNotFoundError, SnapshotStateError
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images.model import Image, ImageKind
from stillframe.kit.ids import is_uuid, new_uuid
from stillframe.kit.units import GIB, bytes_to_gib_up
from stillframe.layers import service as layers
from stillframe.volumes import rows, snapshot_rows
from stillframe.volumes.model import MAX_VOLUME_GIB, VOLUME_TYPES, SnapshotStatus


class DiskBase(msgspec.Struct, frozen=True, kw_only=True):
    """`parent_layer_id` None is a blank disk; `least_gib` is what the source needs, 0 for nothing."""

    parent_layer_id: str | None = None
    least_gib: int = 0
    bootable: bool = False
    image_metadata: dict[str, str] | None = None
    snapshot_id: str | None = None
    cdrom_layer_id: str | None = None
    """An ISO file that the server is to start from, so that something can be installed on the blank disk."""
    volume_type: str | None = None
    """What a disk made from it is unless somebody wants another."""


BLANK = DiskBase()


async def base_of_image(tx: Transaction, caller: Caller, image_id: str) -> DiskBase:
    """Raises: ImageNotFoundError, ImageNotBootableError."""
    return base_of(await images.get_disk_image(tx, caller, image_id))


async def base_of_snapshot(tx: Transaction, caller: Caller, snapshot_id: str) -> DiskBase:
    """Raises: SnapshotNotFoundError, SnapshotStateError."""
    project_id = caller.require_project()
    snapshot = await snapshot_rows.get_snapshot(tx, snapshot_id) if is_uuid(snapshot_id) else None
    if snapshot is None or (snapshot.project_id != project_id and not caller.is_platform_admin):
        raise SnapshotNotFoundError(f"Snapshot {snapshot_id[:255]} could not be found.")
    if snapshot.status is not SnapshotStatus.AVAILABLE or snapshot.layer_id is None:
        raise SnapshotStateError(
            f"Invalid snapshot: Originating snapshot status must be available, not {snapshot.status}."
        )
    volume = await rows.get_volume(tx, snapshot.volume_id)
    return DiskBase(
        parent_layer_id=snapshot.layer_id,
        least_gib=snapshot.size_gib,
        bootable=volume is not None and volume.bootable,
        image_metadata=volume.image_metadata if volume else None,
        snapshot_id=snapshot.id,
        volume_type=volume.volume_type if volume else None,
    )


def base_of(image: Image) -> DiskBase:
    return DiskBase(
        parent_layer_id=image.layer_id,
        least_gib=max(image.min_disk_gib, bytes_to_gib_up(image.virtual_size_bytes or 0)),
        bootable=image.kind is not ImageKind.DATA,
        image_metadata=image_metadata(image),
    )


async def installation_base(tx: Transaction, image: Image) -> DiskBase:
    """For the system disk of a server that starts from an ISO file, which stays until the transaction ends.

    Raises: ConflictError when it has just gone.
    """
    if image.layer_id is None or not await layers.lock_sealed(tx, image.layer_id):
        raise ConflictError("The ISO file is not available any more.")
    return DiskBase(
        least_gib=max(1, image.min_disk_gib),
        bootable=True,
        image_metadata=image_metadata(image),
        cdrom_layer_id=image.layer_id,
    )


def checked_size_bytes(base: DiskBase, size_gib: int | None, most_gib: int = MAX_VOLUME_GIB) -> int:
    """None takes the smallest that the source fits in. Raises: InvalidInputError."""
    if size_gib is None and base.parent_layer_id is None and not base.least_gib:
        raise InvalidInputError("Invalid input received: the size of a blank volume must be given.", field="size")
    least_gib = max(1, base.least_gib)
    wanted = least_gib if size_gib is None else size_gib
    if not 1 <= wanted <= most_gib:
        raise InvalidInputError(
            f"Invalid input received: the size of this disk must be 1 to {most_gib} GiB, not {wanted}.", field="size"
        )
    if wanted < least_gib:
        raise InvalidInputError(
            f"Volume is smaller than the minimum size specified in image metadata or than its snapshot: {wanted} GiB "
            f"are asked for, {least_gib} GiB are needed.",
            field="size",
        )
    return wanted * GIB


def require_volume_type(name: str | None) -> None:
    """Raises: InvalidInputError."""
    if name is not None and name not in VOLUME_TYPES:
        raise InvalidInputError(f"Volume type {name[:255]} could not be found.", field="volume_type")


async def plan_layer(
    tx: Transaction, base: DiskBase, size_bytes: int, job_id: str, *, above_writable: bool = False
) -> str:
    """The id of the layer a job is to make. It is noted with the request, so that its parent stays even if the source
    is deleted the next moment. `above_writable` is for a job that seals the parent first.

    Raises: ConflictError when the source has just gone.
    """
    layer_id = new_uuid()
    if base.parent_layer_id is None:
        await layers.plan_blob(tx, layer_id, "qcow2", virtual_size_bytes=size_bytes, job_id=job_id)
    else:
        await layers.plan_overlay(
            tx, layer_id, base.parent_layer_id, size_bytes, job_id=job_id, above_writable=above_writable
        )
    return layer_id


def image_metadata(image: Image) -> dict[str, str]:
    """What a volume keeps of its image, all of it text, by the names it has on the wire."""
    known = {
        "image_id": image.id,
        "image_name": image.name or "",
        "container_format": image.container_format or "",
        "disk_format": image.disk_format or "",
        "min_disk": str(image.min_disk_gib),
        "min_ram": str(image.min_ram_mib),
        "size": str(image.size_bytes or 0),
        "checksum": image.checksum or "",
        "__os_type": image.os.os_type,
        "__os_version": image.os.version,
        "__platform": image.os.platform,
        "__os_bit": image.os.bits,
        "hw_firmware_type": image.firmware,
        "virtual_env_type": str(image.kind),
    }
    return image.properties | known
