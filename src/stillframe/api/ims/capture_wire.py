"""The bodies of images made of volumes and of whole servers, field by field in the documented order.

Source: Open Telekom Cloud, IMS API reference, "Creating an Image", "Creating a Full-ECS Image".
"""

import msgspec

from stillframe import errors as e
from stillframe.api.ims.wire import (
    TagPair,
    checked_description,
    checked_enterprise_project,
    checked_memory,
    checked_name,
    checked_tags,
)
from stillframe.config import Settings
from stillframe.images import refusals as r
from stillframe.images.disk_capture import DiskCapture
from stillframe.images.model import ImageKind
from stillframe.images.operating_systems import find_operating_system
from stillframe.images.whole_capture import WholeCapture
from stillframe.kit.ids import normalized_uuid
from stillframe.transfers.errors import ImageSourceInvalidError, ImageTypeInvalidError

_KIND_OF_TYPE = {
    "ECS": ImageKind.SYSTEM,
    "FusionCompute": ImageKind.SYSTEM,
    "BMS": ImageKind.BARE_METAL,
    "Ironic": ImageKind.BARE_METAL,
}
_OTHER_TYPES = frozenset({"DataImage", "IsoImage"})
"""Right elsewhere: they say that the image is to be made from something else."""


class DataImageWanted(msgspec.Struct, kw_only=True):
    name: str | None = None
    volume_id: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    image_tags: list[TagPair] | None = None


class DataImagesBody(msgspec.Struct, kw_only=True):
    data_images: list[DataImageWanted]
    enterprise_project_id: str | None = None


class VolumeImageBody(msgspec.Struct, kw_only=True):
    volume_id: str
    name: str | None = None
    os_version: str | None = None
    type: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    image_tags: list[TagPair] | None = None
    min_ram: int | str | None = None
    max_ram: int | str | None = None
    enterprise_project_id: str | None = None


class WholeImageBody(msgspec.Struct, kw_only=True):
    name: str | None = None
    description: str | None = None
    instance_id: str | None = None
    backup_id: str | None = None
    whole_image_type: str | None = None
    vault_id: str | None = None
    tags: list[str] | None = None
    image_tags: list[TagPair] | None = None
    min_ram: int | str | None = None
    max_ram: int | str | None = None
    enterprise_project_id: str | None = None


def data_captures(body: DataImagesBody) -> list[DiskCapture]:
    """Raises, entry by entry: IMG.0001 0013 0002 0003 0004 0054 0115 0116 0120; then 0001 for one volume named twice,
    and 0155.
    """
    wanted = [_data_capture(entry) for entry in body.data_images]
    if len({one.volume_id for one in wanted}) < len(wanted):
        raise e.RequestFormatError("A volume is named more than once in data_images.")
    enterprise_project_id = checked_enterprise_project(body.enterprise_project_id)
    return [msgspec.structs.replace(one, enterprise_project_id=enterprise_project_id) for one in wanted]


def _data_capture(entry: DataImageWanted) -> DiskCapture:
    _require_one_form_of_tags(entry.tags, entry.image_tags)
    return DiskCapture(
        name=checked_name(entry.name),
        description=checked_description(entry.description),
        tags=checked_tags(entry.tags, entry.image_tags),
        volume_id=_checked_volume_id(entry.volume_id),
    )


def volume_capture(body: VolumeImageBody, settings: Settings) -> DiskCapture:
    """Raises, in this order: IMG.0001 0013 0002 0003 0056 0024 0117 0004 0054 0115 0116 0055 0155 0120."""
    _require_one_form_of_tags(body.tags, body.image_tags)
    name = checked_name(body.name)
    system = find_operating_system(body.os_version or "", settings.extra_os_versions)
    if system is None:
        raise e.OsVersionInvalidError("GET /v1/cloudimages/os_version lists the known versions.")
    kind = _checked_type(body.type)
    description, tags = checked_description(body.description), checked_tags(body.tags, body.image_tags)
    min_ram_mib, max_ram_mib = checked_memory(body.min_ram, body.max_ram)
    enterprise_project_id = checked_enterprise_project(body.enterprise_project_id)
    return DiskCapture(
        volume_id=_checked_volume_id(body.volume_id),
        name=name,
        description=description,
        tags=tags,
        kind=kind,
        os=system.info,
        min_ram_mib=min_ram_mib,
        max_ram_mib=max_ram_mib,
        enterprise_project_id=enterprise_project_id,
    )


def whole_capture(body: WholeImageBody) -> WholeCapture:
    """Raises, in this order: IMG.0001 0013 0002 0003 0004 0054 0115 0116 0019 0020 0180 0012 0055 0155."""
    _require_one_form_of_tags(body.tags, body.image_tags)
    name = checked_name(body.name)
    description, tags = checked_description(body.description), checked_tags(body.tags, body.image_tags)
    server_id = _whole_source(body)
    min_ram_mib, max_ram_mib = checked_memory(body.min_ram, body.max_ram)
    return WholeCapture(
        server_id=server_id,
        name=name,
        description=description,
        tags=tags,
        min_ram_mib=min_ram_mib,
        max_ram_mib=max_ram_mib,
        enterprise_project_id=checked_enterprise_project(body.enterprise_project_id),
    )


def _whole_source(body: WholeImageBody) -> str:
    """Of a server only: there is no backup service here, so no backup can be found."""
    if body.whole_image_type and body.whole_image_type not in ("CBR", "CSBS"):
        raise e.RequestFormatError("whole_image_type must be CBR or CSBS.")
    if body.instance_id and body.backup_id:
        raise e.RequestFormatError("instance_id and backup_id exclude each other.")
    if body.backup_id:
        raise r.BackupServiceMissingError if body.whole_image_type == "CBR" else r.BackupNotFoundError
    if body.instance_id is None:
        raise r.BackupIdMissingError
    server_id = normalized_uuid(body.instance_id)
    if server_id is None:
        raise e.ServerIdMissingError
    return server_id


def _require_one_form_of_tags(tags: list[str] | None, image_tags: list[TagPair] | None) -> None:
    if tags and image_tags:
        raise e.RequestFormatError("tags and image_tags exclude each other.")


def _checked_type(text: str | None) -> ImageKind:
    if not text:
        return ImageKind.SYSTEM
    if text in _OTHER_TYPES:
        raise ImageSourceInvalidError
    if text not in _KIND_OF_TYPE:
        raise ImageTypeInvalidError
    return _KIND_OF_TYPE[text]


def _checked_volume_id(text: str | None) -> str:
    if not text:
        raise e.RequestFormatError("volume_id must be given.")
    volume_id = normalized_uuid(text)
    if volume_id is None:
        raise e.VolumeNotFoundError
    return volume_id
