"""The bodies of imports from the object store, and the checks of their fields in the documented order.

An addition of ours: `checksum` is what the object must have, in hex digits, as `sha256:...` or without a name, which is
then told by its length. Of a compressed object it is that of the object as it is in its bucket.

Source: Open Telekom Cloud, IMS API reference, "Creating an Image", "Importing an Image File Quickly", "Creating a Data
Disk Image from an External Image File", "Registering an Image".
"""

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from stillframe import errors as e
from stillframe.api.ims import wire
from stillframe.api.ims.wire import TagPair
from stillframe.config import Settings
from stillframe.images.model import Image, ImageKind, OsInfo
from stillframe.images.operating_systems import find_operating_system, unknown_system
from stillframe.images.refusals import (
    ArchitectureInvalidError,
    BareMetalKeyError,
    FirmwareInvalidError,
    KeyNotFoundError,
)
from stillframe.kit.ids import new_uuid
from stillframe.transfers.errors import (
    DuplicateFileError,
    ImageSourceInvalidError,
    ImageTypeInvalidError,
    OsInfoMissingError,
    OsTypeInvalidError,
    TooManyFilesError,
)
from stillframe.transfers.imports import DATA_KIND, SYSTEM_KIND
from stillframe.transfers.model import (
    MAX_DATA_DISK_GIB,
    MAX_SYSTEM_DISK_GIB,
    Checksum,
    ChecksumAlgorithm,
    FileToImport,
    GuestWishes,
    ImportRequest,
)

MAX_DATA_IMAGES = 3
_KINDS = {
    "ECS": ImageKind.SYSTEM,
    "FusionCompute": ImageKind.SYSTEM,
    "BMS": ImageKind.BARE_METAL,
    "Ironic": ImageKind.BARE_METAL,
    "IsoImage": ImageKind.ISO,
}
_QUICK_KINDS = {"ECS": ImageKind.SYSTEM, "BMS": ImageKind.BARE_METAL, "DataImage": ImageKind.DATA}
_DIGEST_OF_LENGTH = {
    32: ChecksumAlgorithm.MD5,
    40: ChecksumAlgorithm.SHA1,
    64: ChecksumAlgorithm.SHA256,
    128: ChecksumAlgorithm.SHA512,
}
_CHECKSUM = re.compile(r"(?:(md5|sha1|sha256|sha512):)?([0-9a-f]+)", re.IGNORECASE | re.ASCII)


class _FileBody(msgspec.Struct, kw_only=True):
    """What every import of a file has."""

    name: str | None = None
    description: str | None = None
    image_url: str | None = None
    min_disk: int | str | None = None
    tags: list[str] | None = None
    image_tags: list[TagPair] | None = None
    checksum: str | None = None


class DataImageBody(_FileBody, kw_only=True):
    """POST /v1/cloudimages/dataimages/action"""

    os_type: str | None = None
    cmk_id: str | None = None
    enterprise_project_id: str | None = None


class FurtherImageBody(_FileBody, kw_only=True):
    """One of `data_images` of POST /v2/cloudimages/action"""

    os_type: str | None = None
    is_quick_import: bool | None = None


class ImportBody(_FileBody, kw_only=True):
    """POST /v2/cloudimages/action with `image_url`, and POST /v2/cloudimages/quickimport/action"""

    type: str | None = None
    os_type: str | None = None
    os_version: str | None = None
    is_config: bool | None = None
    is_config_init: bool | str | None = None
    is_quick_import: bool | None = None
    cmk_id: str | None = None
    hw_firmware_type: str | None = None
    architecture: str | None = None
    min_ram: int | str | None = None
    max_ram: int | str | None = None
    enterprise_project_id: str | None = None
    data_images: list[FurtherImageBody] | None = None


class RegistrationBody(msgspec.Struct, kw_only=True):
    """PUT /v1/cloudimages/{image_id}/upload"""

    image_url: str | None = None
    checksum: str | None = None


def import_request(blank: Image, body: ImportBody, settings: Settings) -> ImportRequest:
    """`blank` is an image of the caller's, to be described.

    Raises, in this order: IMG.0001 0013 0002 0003 0004 0054 0115 0116 0017 0175 0109 0074 0055 0122 0166 0056 0118 0095
    0024 0141 0212 0194 (then those of each of `data_images`) 0123 0155, by their classes.
    """
    file = _described_file(blank, body, MAX_SYSTEM_DISK_GIB, is_quick=bool(body.is_quick_import))
    min_ram_mib, max_ram_mib = wire.checked_memory(body.min_ram, body.max_ram)
    _check_os_type(body.os_type, "Linux", "Windows", "Other")
    system = _checked_system(body, settings, is_needed=bool(body.is_quick_import))
    _check_key(body.cmk_id, is_bare_metal=_KINDS.get(body.type or "") is ImageKind.BARE_METAL)
    if (body.type or "ECS") not in _KINDS:
        raise ImageTypeInvalidError
    firmware, architecture = _checked_platform(body)
    further = _further_files(blank, file, body, system)
    enterprise_project_id = wire.checked_enterprise_project(body.enterprise_project_id)
    described = replace(
        file.image,
        kind=_KINDS[body.type or "ECS"],
        os=system,
        min_ram_mib=min_ram_mib,
        max_ram_mib=max_ram_mib,
        firmware=firmware,
        architecture=architecture,
        properties=_config_property(body.is_config_init),
    )
    files = tuple(
        replace(one, image=replace(one.image, enterprise_project_id=enterprise_project_id))
        for one in (replace(file, image=described), *further)
    )
    return ImportRequest(kind=SYSTEM_KIND, files=files, guest=_guest_wishes(body, described.kind))


def _guest_wishes(body: ImportBody, kind: ImageKind) -> GuestWishes:
    """Quick imports keep the disk as it is, and nobody changes an ISO."""
    if kind is ImageKind.ISO or body.is_quick_import:
        return GuestWishes()
    return GuestWishes(
        configures=bool(body.is_config),
        detects=not body.os_version,
        detects_firmware=not body.hw_firmware_type and not body.architecture,
        os_type=body.os_type or "",
    )


def data_image_request(blank: Image, body: DataImageBody, *, is_quick: bool = False) -> ImportRequest:
    """Raises, in this order: IMG.0001 0013 0002 0003 0004 0054 0115 0116 0017 0175 0109 0074 0055 0122 0095 0155."""
    file = _described_file(blank, body, MAX_DATA_DISK_GIB, is_quick=is_quick)
    _check_os_type(body.os_type, "Linux", "Windows")
    _check_key(body.cmk_id)
    image = replace(
        file.image,
        kind=ImageKind.DATA,
        os=unknown_system(body.os_type or "Linux").info,
        enterprise_project_id=wire.checked_enterprise_project(body.enterprise_project_id),
    )
    return ImportRequest(kind=DATA_KIND, files=(replace(file, image=image),))


def quick_request(blank: Image, body: ImportBody, settings: Settings) -> ImportRequest:
    """Raises: as `import_request`, with IMG.0024 and 0117 for the type before everything that depends on it."""
    kind = body.type or "ECS"
    if kind not in _QUICK_KINDS:
        raise ImageSourceInvalidError if kind in _KINDS else ImageTypeInvalidError
    if _QUICK_KINDS[kind] is not ImageKind.DATA:
        return import_request(blank, msgspec.structs.replace(body, is_quick_import=True, is_config=None), settings)
    _checked_platform(body)
    data = DataImageBody(
        **{name: getattr(body, name) for name in DataImageBody.__struct_fields__ if hasattr(body, name)}
    )
    return data_image_request(blank, data, is_quick=True)


def registration_file(blank: Image, body: RegistrationBody) -> FileToImport:
    """Raises, in this order: IMG.0001 0017 0175 0109 0074, by their classes."""
    if not body.image_url:
        raise e.RequestFormatError("image_url must be given.")
    checksum = _checked_checksum(body.checksum)
    bucket, key = checked_source(body.image_url)
    return FileToImport(bucket=bucket, key=key, image=blank, checksum=checksum)


def names_no_system(body: ImportBody) -> bool:
    """What some clients send to the v1 path of creating images when they want a data disk image."""
    return not body.type and not body.os_version and body.is_config is None


def _described_file(blank: Image, body: _FileBody, largest_disk_gib: int, *, is_quick: bool) -> FileToImport:
    if not body.image_url:
        raise e.RequestFormatError("image_url must be given.")
    if body.min_disk is None or body.min_disk == "":
        raise e.RequestFormatError("min_disk must be given.")
    if body.tags and body.image_tags:
        raise e.RequestFormatError("tags and image_tags exclude each other.")
    checksum = _checked_checksum(body.checksum)
    image = replace(
        blank,
        name=wire.checked_name(body.name),
        description=wire.checked_description(body.description),
        tags=wire.checked_tags(body.tags, body.image_tags),
    )
    bucket, key = checked_source(body.image_url)
    min_disk_gib = wire.checked_integer(body.min_disk)
    if not 1 <= min_disk_gib <= largest_disk_gib:
        raise e.ImageSizesInvalidError(f"min_disk must be between 1 and {largest_disk_gib}.")
    return FileToImport(
        bucket=bucket,
        key=key,
        image=replace(image, min_disk_gib=min_disk_gib),
        is_quick=is_quick,
        checksum=checksum,
    )


def checked_source(url: str) -> tuple[str, str]:
    """`bucket:path/to/key` split at the first colon.

    Raises, in this order: IMG.0017 0175 0109 0074, by their classes.
    """
    bucket, colon, key = url.partition(":")
    if not colon or not bucket or not key or any(part in ("", ".", "..") for part in key.split("/")):
        raise e.UrlFormatInvalidError("An image file is named as bucket:path/to/file.")
    if not key.isprintable():
        raise e.UrlFormatInvalidError("The name of the image file contains control characters.")
    if " " in key:
        raise e.UrlHasSpaceError
    if not wire.is_bucket_name(bucket):
        raise e.BucketNameInvalidError
    if len(key.encode()) > 1024 or len(key.rsplit("/", 1)[-1]) > 255:
        raise e.ExportNameTooLongError
    return bucket, key


def _checked_checksum(text: str | None) -> Checksum | None:
    if not text:
        return None
    found = _CHECKSUM.fullmatch(text.strip())
    algorithm = _DIGEST_OF_LENGTH.get(len(found[2])) if found else None
    if found is None or algorithm is None or (found[1] and found[1].lower() != algorithm):
        raise e.RequestFormatError("checksum must be an MD5, SHA-1, SHA-256 or SHA-512 in hex digits.")
    return Checksum(algorithm, found[2].lower())


def _check_os_type(text: str | None, *known: str) -> None:
    if text and text not in known:
        raise OsTypeInvalidError(f"os_type must be one of {', '.join(known)}.")


def _checked_system(body: ImportBody, settings: Settings, *, is_needed: bool) -> OsInfo:
    if not body.os_version:
        if body.type == "IsoImage":
            raise OsInfoMissingError("os_version must be given for an ISO file.")
        if is_needed:
            raise e.OsVersionInvalidError("os_version must be given for a quick import.")
        return unknown_system(body.os_type or "Linux").info
    system = find_operating_system(body.os_version, settings.extra_os_versions)
    if system is None:
        raise e.OsVersionInvalidError("GET /v1/cloudimages/os_version lists the known versions.")
    if body.os_type and body.os_type != system.os_type:
        raise e.OsVersionInvalidError(f"{system.version} is not of the os_type {body.os_type}.")
    return system.info


def _check_key(key_id: str | None, *, is_bare_metal: bool = False) -> None:
    """There is no key management service, so no key is known."""
    if key_id and key_id.strip():
        raise BareMetalKeyError if is_bare_metal else KeyNotFoundError


def _checked_platform(body: ImportBody) -> tuple[str, str]:
    """Firmware and architecture."""
    architecture = (body.architecture or "x86").lower()
    firmware = body.hw_firmware_type or ("uefi" if architecture == "arm" else "bios")
    if firmware not in ("bios", "uefi") or (firmware == "bios" and architecture == "arm"):
        raise FirmwareInvalidError
    if architecture not in ("x86", "arm"):
        raise ArchitectureInvalidError
    return firmware, architecture


def _further_files(blank: Image, system_file: FileToImport, body: ImportBody, system: OsInfo) -> list[FileToImport]:
    further = body.data_images or []
    if len(further) > MAX_DATA_IMAGES:
        raise TooManyFilesError(f"data_images may have {MAX_DATA_IMAGES} entries.")
    if further and body.type == "IsoImage":
        raise e.RequestFormatError("data_images cannot be imported together with an ISO file.")
    files = [_further_file(blank, system_file, number, one, system) for number, one in enumerate(further, start=1)]
    _require_different(file.url for file in (system_file, *files))
    return files


def _further_file(
    blank: Image, system_file: FileToImport, number: int, body: FurtherImageBody, system: OsInfo
) -> FileToImport:
    named = msgspec.structs.replace(body, name=body.name or f"{(system_file.image.name or '')[:118]}_data_{number}")
    file = _described_file(blank, named, MAX_DATA_DISK_GIB, is_quick=bool(body.is_quick_import))
    _check_os_type(body.os_type, "Linux", "Windows")
    if body.os_type and body.os_type != system.os_type:
        raise OsTypeInvalidError("The os_type of data_images must be that of the system image.")
    image = replace(
        file.image,
        id=new_uuid(),
        kind=ImageKind.DATA,
        os=unknown_system(system.os_type).info,
    )
    return replace(file, image=image)


def _require_different(urls: Iterable[str]) -> None:
    named = list(urls)
    if len(set(named)) != len(named):
        raise DuplicateFileError


def _config_property(value: bool | str | None) -> dict[str, str]:  # noqa: FBT001
    return {} if value is None else {"__is_config_init": str(value).lower()}
