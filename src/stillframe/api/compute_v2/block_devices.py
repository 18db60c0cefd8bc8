"""block_device_mapping_v2 of POST /servers: the disks of a new server.

Source: OpenStack Compute API reference, "Create Server"; OpenStack Compute user guide, "Block Device Mapping in Nova".
"""

from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import int_of
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.kit.ids import is_uuid
from stillframe.servers.attachments import device_index
from stillframe.servers.model import DataDisk, DiskSource, RootDisk

Text = Annotated[str, Meta(max_length=255)]

_SOURCES = {str(source): source for source in DiskSource}


class BlockDevice(Struct):
    boot_index: int | str | None = None
    uuid: str | None = None
    source_type: str | None = None
    destination_type: str | None = None
    device_name: Text | None = None
    guest_format: Text | None = None
    volume_size: int | str | None = None
    volume_type: Text | None = None
    delete_on_termination: bool | None = None

    @property
    def is_boot_disk(self) -> bool:
        return self.boot_index in {0, "0"}


class WantedDisks(NamedTuple):
    image_id: str | None
    root: RootDisk
    data: tuple[DataDisk, ...]


def wanted_disks(devices: list[BlockDevice], image_ref: str | None) -> WantedDisks:
    """Raises: InvalidInputError for what is wrong, NotOfferedError for what is right and not there."""
    boot_disks = [device for device in devices if device.is_boot_disk]
    if len(boot_disks) > 1:
        raise InvalidInputError("Block Device Mapping is Invalid: more than one device has boot index 0.")
    boot = boot_disks[0] if boot_disks else BlockDevice(source_type="image")
    data = tuple(_data_disk(device) for device in devices if not device.is_boot_disk)
    source = _source(boot)
    if source is DiskSource.BLANK:
        raise InvalidInputError("Block Device Mapping is Invalid: a blank disk cannot be booted from.")
    if source is DiskSource.IMAGE:
        return WantedDisks(_image_id(image_ref, boot), _root_disk(boot, source, None), data)
    # Nova takes the disk with boot index 0 and leaves imageRef aside, unless it names an image to boot from as well.
    if image_ref:
        raise InvalidInputError("Block Device Mapping is Invalid: imageRef and boot index 0 both name a system disk.")
    return WantedDisks(None, _root_disk(boot, source, _required_id(boot)), data)


def _data_disk(device: BlockDevice) -> DataDisk:
    source = _source(device)
    if device.destination_type == "local" or device.guest_format == "swap":
        raise NotOfferedError("Disks beside the system disk are volumes: destination_type must be volume.")
    return DataDisk(
        source=source,
        source_id=None if source is DiskSource.BLANK else _required_id(device),
        size_gib=int_of(device.volume_size, "volume_size"),
        delete_on_termination=bool(device.delete_on_termination),
        volume_type=device.volume_type or None,
        device_index=device_index(device.device_name) if device.device_name else None,
    )


def _root_disk(boot: BlockDevice, source: DiskSource, source_id: str | None) -> RootDisk:
    if boot.boot_index is None:
        return RootDisk()
    ends_with_server = boot.delete_on_termination
    if ends_with_server is None:
        ends_with_server = boot.destination_type != "volume"
    size_gib = int_of(boot.volume_size, "volume_size")
    return RootDisk(
        size_gib=size_gib if boot.destination_type == "volume" or size_gib else None,
        delete_on_termination=ends_with_server,
        volume_type=boot.volume_type or None,
        source=source,
        source_id=source_id,
    )


def _source(device: BlockDevice) -> DiskSource:
    if device.source_type not in _SOURCES:
        raise InvalidInputError(
            "Block Device Mapping is Invalid: source_type must be blank, image, snapshot or volume.",
            field="source_type",
        )
    return _SOURCES[device.source_type]


def _required_id(device: BlockDevice) -> str:
    if not device.uuid or not is_uuid(device.uuid.lower()):
        raise InvalidInputError("Block Device Mapping is Invalid: uuid must be that of the source.", field="uuid")
    return device.uuid.lower()


def _image_id(image_ref: str | None, boot_disk: BlockDevice) -> str:
    named = {reference for reference in (image_ref, boot_disk.uuid) if reference}
    if not named:
        raise InvalidInputError("Invalid imageRef provided: a server is made from an image.", field="imageRef")
    if len(named) > 1:
        raise InvalidInputError("imageRef and block_device_mapping_v2 name different images.", field="imageRef")
    image_id = named.pop().lower()
    if not is_uuid(image_id):
        raise InvalidInputError("Invalid imageRef provided.", field="imageRef")
    return image_id
