"""The disks a server is born with: what the request names, checked and planned."""

from collections.abc import Mapping

import msgspec

from stillframe.blobs.layout import DiskFormat
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, TooManyDisksError
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images.disk_rows import ImageDisk
from stillframe.servers.model import MAX_DISKS, DataDisk, DiskSource, NewServer, Server
from stillframe.volumes import service as volumes
from stillframe.volumes import sources
from stillframe.volumes.model import DEFAULT_VOLUME_TYPE, NewDisk, Volume, VolumeStatus, new_attachment
from stillframe.volumes.sources import DiskBase

MAX_ROOT_DISK_GIB = 1024


class PlannedDisk(msgspec.Struct, frozen=True, kw_only=True):
    """Either a new volume on `base`, or a `volume` there is, locked until the transaction ends."""

    base: DiskBase = sources.BLANK
    volume: Volume | None = None
    size_bytes: int = 0
    volume_type: str = DEFAULT_VOLUME_TYPE
    name: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    device_index: int
    delete_on_termination: bool

    @property
    def image_metadata(self) -> dict[str, str]:
        return (self.volume.image_metadata if self.volume else self.base.image_metadata) or {}


async def check_disks(tx: Transaction, caller: Caller, new: NewServer, flavor: Flavor) -> list[PlannedDisk]:
    """The system disk first. Raises: InvalidInputError, NotFoundError, ImageNotBootableError, VolumeStateError,
    TooManyDisksError.
    """
    root, captured = await _root_disk(tx, caller, new)
    require_memory(root.image_metadata, flavor)
    chosen = {disk.device_index for disk in new.data_disks if disk.device_index is not None}
    taken = chosen | {disk.device_index for disk in (root, *captured)}
    free = iter(index for index in range(1, MAX_DISKS) if index not in taken)
    if 1 + len(captured) + len(new.data_disks) > MAX_DISKS:
        raise TooManyDisksError(f"A server has at most {MAX_DISKS} disks, the system disk among them.")
    disks = [root, *captured]
    for wanted in new.data_disks:
        index = next(free) if wanted.device_index is None else wanted.device_index
        if any(disk.device_index == index for disk in disks):
            raise InvalidInputError("Block Device Mapping is Invalid: two disks have the same device name.")
        disks.append(await _data_disk(tx, caller, wanted, index))
    ids = [disk.volume.id for disk in disks if disk.volume]
    if len(set(ids)) < len(ids):
        raise InvalidInputError("Block Device Mapping is Invalid: a volume is named twice.")
    return disks


async def _root_disk(tx: Transaction, caller: Caller, new: NewServer) -> tuple[PlannedDisk, list[PlannedDisk]]:
    """And the data disks that a full-ECS image brings with it."""
    wanted = new.root_disk
    if wanted.source is DiskSource.VOLUME:
        volume = await _existing(tx, caller, wanted.source_id or "")
        if not volume.bootable:
            raise InvalidInputError(f"Block Device {volume.id} is not bootable.")
        return PlannedDisk(volume=volume, device_index=0, delete_on_termination=wanted.delete_on_termination), []
    captured: list[PlannedDisk] = []
    if wanted.source is DiskSource.IMAGE:
        image = await images.get_bootable_image(tx, caller, new.image_id or "")
        is_iso = image.disk_format == DiskFormat.ISO
        base = await sources.installation_base(tx, image) if is_iso else sources.base_of(image)
        captured = [_captured(disk) for disk in await images.list_data_disks(tx, image)]
    else:
        base = await _base(tx, caller, wanted.source, wanted.source_id or "")
    if not base.bootable:
        raise InvalidInputError("Block Device Mapping is Invalid: the system disk would hold no system.")
    sources.require_volume_type(wanted.volume_type)
    root = PlannedDisk(
        base=base,
        size_bytes=sources.checked_size_bytes(base, wanted.size_gib, MAX_ROOT_DISK_GIB),
        volume_type=wanted.volume_type or base.volume_type or DEFAULT_VOLUME_TYPE,
        device_index=0,
        delete_on_termination=wanted.delete_on_termination,
    )
    return root, captured


def _captured(disk: ImageDisk) -> PlannedDisk:
    return PlannedDisk(
        base=DiskBase(parent_layer_id=disk.layer_id),
        size_bytes=disk.size_bytes,
        volume_type=disk.volume_type,
        name=disk.name,
        device_index=disk.device_index,
        delete_on_termination=disk.delete_on_termination,
    )


async def _data_disk(tx: Transaction, caller: Caller, wanted: DataDisk, device_index: int) -> PlannedDisk:
    if not 0 < device_index < MAX_DISKS:
        raise InvalidInputError("Block Device Mapping is Invalid: no disk can have that device name.")
    if wanted.source is DiskSource.VOLUME:
        volume = await _existing(tx, caller, wanted.source_id or "")
        ends_with_server = wanted.delete_on_termination
        return PlannedDisk(volume=volume, device_index=device_index, delete_on_termination=ends_with_server)
    base = await _base(tx, caller, wanted.source, wanted.source_id or "")
    sources.require_volume_type(wanted.volume_type)
    return PlannedDisk(
        base=base,
        size_bytes=sources.checked_size_bytes(base, wanted.size_gib),
        volume_type=wanted.volume_type or base.volume_type or DEFAULT_VOLUME_TYPE,
        name=wanted.name,
        metadata=wanted.metadata,
        device_index=device_index,
        delete_on_termination=wanted.delete_on_termination,
    )


async def _base(tx: Transaction, caller: Caller, source: DiskSource, source_id: str) -> DiskBase:
    if source is DiskSource.IMAGE:
        return await sources.base_of_image(tx, caller, source_id)
    if source is DiskSource.SNAPSHOT:
        return await sources.base_of_snapshot(tx, caller, source_id)
    return sources.BLANK


async def _existing(tx: Transaction, caller: Caller, volume_id: str) -> Volume:
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    volumes.require_status(volume, VolumeStatus.AVAILABLE)
    return volume


def require_memory(image_metadata: Mapping[str, str], flavor: Flavor) -> None:
    """Raises: InvalidInputError when the flavor has less than the image needs."""
    text = image_metadata.get("min_ram", "")  # which the owner of a volume may have changed
    needed_mib = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if needed_mib > flavor.ram_mib:
        raise InvalidInputError(
            f"Flavor's memory is too small for requested image: {needed_mib} MiB are needed.", field="flavorRef"
        )


async def plan_disks(
    tx: Transaction, settings: Settings, server: Server, disks: list[PlannedDisk]
) -> list[dict[str, str | None]]:
    """The volumes in their rows; for the job, their ids and those of the layers it is to make.

    Raises: VolumeQuotaExceededError; ConflictError when a source has just gone.
    """
    return [await _plan_disk(tx, settings, server, disk) for disk in disks]


async def _plan_disk(tx: Transaction, settings: Settings, server: Server, disk: PlannedDisk) -> dict[str, str | None]:
    boot_index = 0 if disk.device_index == 0 else None
    if disk.volume is not None:
        ends_with_server = disk.delete_on_termination
        attachment = new_attachment(server.id, disk.device_index, boot_index, ends_with_server=ends_with_server)
        status, job_id = VolumeStatus.ATTACHING, server.job_id
        await volumes.change_volume(tx, disk.volume, status=status, attachment=attachment, job_id=job_id)
        return {"volume_id": disk.volume.id, "layer_id": None}
    layer_id = await sources.plan_layer(tx, disk.base, disk.size_bytes, server.job_id or "")
    volume = await volumes.create_disk(
        tx,
        settings,
        NewDisk(
            project_id=server.project_id,
            user_id=server.user_id,
            server_id=server.id,
            name=disk.name,
            size_bytes=disk.size_bytes,
            volume_type=disk.volume_type,
            availability_zone=server.availability_zone,
            layer_id=layer_id,
            bootable=disk.base.bootable,
            image_metadata=disk.base.image_metadata,
            snapshot_id=disk.base.snapshot_id,
            metadata=disk.metadata,
            device_index=disk.device_index,
            boot_index=boot_index,
            delete_on_termination=disk.delete_on_termination,
        ),
    )
    return {"volume_id": volume.id, "layer_id": layer_id}
