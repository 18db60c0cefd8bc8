"""IMS on the wire: what bodies may hold, and the checks of single fields in the documented order.

Source: Open Telekom Cloud, IMS API reference ("Creating an Image", "Exporting an Image", "Image Tag Format"); what the
error codes mean field by field is decided here where the reference only gives their texts.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from stillframe import errors as e
from stillframe.api.image_v2.kinds import parsed_int
from stillframe.identity.model import Caller
from stillframe.images.capture import CaptureRequest
from stillframe.kit.ids import is_uuid, normalized_uuid
from stillframe.transfers.model import ExportFormat, ExportRequest

MAX_RAM_MIB = 8 * 1024 * 1024
MAX_SYSTEM_DISK_GIB, MAX_DATA_DISK_GIB = 1024, 2048
_TAG_PART = re.compile(r"[A-Za-z0-9_-]*")
_TAG_SEPARATOR = re.compile(r"[.=]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_BAD_IN_KEY = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')

_EXPORT_FORMATS = {str(known): known for known in ExportFormat}

BodyType = TypeVar("BodyType")


class TagPair(msgspec.Struct, kw_only=True):
    key: str | None = None
    value: str | None = None


class DataImage(msgspec.Struct, kw_only=True):
    volume_id: str | None = None
    image_url: str | None = None


class CreateImageBody(msgspec.Struct, kw_only=True):
    """POST /v2/cloudimages/action; which source fields are there chooses the operation."""

    name: str | None = None
    description: str | None = None
    instance_id: str | None = None
    image_url: str | None = None
    volume_id: str | None = None
    data_images: list[DataImage] | None = None
    tags: list[str] | None = None
    image_tags: list[TagPair] | None = None
    enterprise_project_id: str | None = None
    min_ram: int | str | None = None
    max_ram: int | str | None = None


class ExportBody(msgspec.Struct, kw_only=True):
    """POST /v1/cloudimages/{image_id}/file"""

    bucket_url: str | None = None
    file_format: str | None = None
    is_quick_export: bool | None = None


def decode_body(body: bytes, kind: type[BodyType]) -> BodyType:
    """Raises: RequestBodyEmptyError for nothing, null or {}; RequestFormatError for anything not of the form."""
    if body.strip() in (b"", b"null", b"{}"):
        raise e.RequestBodyEmptyError
    try:
        plain = msgspec.json.decode(body)
        if plain in (None, {}):
            raise e.RequestBodyEmptyError
        if b"\\u0000" in body and _holds_nul(plain):
            raise e.RequestFormatError
        return msgspec.convert(plain, kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise e.RequestFormatError(cause=error) from None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_holds_nul(part) for part in (*value.keys(), *value.values()))
    return isinstance(value, list) and any(_holds_nul(part) for part in value)


def require_one_source(body: CreateImageBody) -> None:
    """Raises: RequestFormatError when the body names several sources, or none at all."""
    data_volumes = [image for image in body.data_images or [] if image.volume_id]
    named = [body.instance_id, body.image_url, body.volume_id, data_volumes if not body.image_url else None]
    if sum(bool(source) for source in named) > 1 or (body.instance_id and body.data_images):
        raise e.RequestFormatError("More than one source of the image is given.")
    if not any(named) and body.instance_id is None:
        raise e.RequestFormatError("One of instance_id, data_images, image_url and volume_id must be given.")


def capture_request(body: CreateImageBody) -> CaptureRequest:
    """Raises, in this order: IMG.0001 0013 0002 0003 0004 0054 0115 0116 0012 0055 0155, by their classes."""
    if body.tags and body.image_tags:
        raise e.RequestFormatError("tags and image_tags exclude each other.")
    name = checked_name(body.name)
    description = checked_description(body.description)
    tags = checked_tags(body.tags, body.image_tags)
    server_id = normalized_uuid(body.instance_id or "")
    if server_id is None:
        raise e.ServerIdMissingError
    min_ram_mib, max_ram_mib = checked_memory(body.min_ram, body.max_ram)
    return CaptureRequest(
        server_id=server_id,
        name=name,
        description=description,
        tags=tags,
        min_ram_mib=min_ram_mib,
        max_ram_mib=max_ram_mib,
        enterprise_project_id=checked_enterprise_project(body.enterprise_project_id),
    )


def checked_name(name: str | None) -> str:
    if name is None or not name.strip():
        raise e.ImageNameMissingError
    if len(name) > 128:
        raise e.ImageNameTooLongError
    if name != name.strip() or not all(map(_is_of_name, name)):
        raise e.ImageNameInvalidError
    return name


def _is_of_name(char: str) -> bool:
    """Letters of all scripts, which write some of them with marks of their own."""
    return char.isalnum() or char in "-._ " or unicodedata.category(char).startswith("M")


def checked_description(description: str | None) -> str:
    text = description or ""
    if len(text) > 1024:
        raise e.DescriptionTooLongError
    if any(char in "<>\r\n" for char in text):
        raise e.DescriptionInvalidError
    return text


def checked_tags(texts: Iterable[str] | None, pairs: Iterable[TagPair] | None) -> tuple[str, ...]:
    """Tags as they are kept: `key=value`, or `key` when the value is empty; the last of equal keys counts."""
    if pairs:
        given = [((pair.key or "").strip(" "), (pair.value or "").strip(" ")) for pair in pairs]
    else:
        given = [_split_tag(text) for text in texts or ()]
    for key, value in given:
        legal = _TAG_PART.fullmatch(key) and _TAG_PART.fullmatch(value)
        if not legal or not 1 <= len(key) <= 36 or len(value) > 43:
            raise e.ImageTagInvalidError
    kept = dict(given)
    if len(kept) > 10:
        raise e.TooManyImageTagsError
    return tuple(sorted(f"{key}={value}" if value else key for key, value in kept.items()))


def _split_tag(text: str) -> tuple[str, str]:
    """At the first dot or equals sign; neither may stand in a key."""
    key, *rest = _TAG_SEPARATOR.split(text, maxsplit=1)
    return key, rest[0] if rest else ""


def checked_memory(min_ram: int | str | None, max_ram: int | str | None) -> tuple[int, int]:
    """MiB; 0 means no bound."""
    lowest, highest = checked_integer(min_ram), checked_integer(max_ram)
    if not (0 <= lowest <= MAX_RAM_MIB and 0 <= highest <= MAX_RAM_MIB) or 0 < highest < lowest:
        raise e.ImageSizesInvalidError
    return lowest, highest


def checked_integer(value: int | str | None) -> int:
    """A JSON integer or a decimal string."""
    if value is None or value == "":
        return 0
    text = str(value)
    if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII):
        raise e.ImageSizesInvalidError
    return int(text)


def checked_enterprise_project(value: str | None) -> str:
    if value is None or value.strip() in ("", "0"):
        return "0"
    if not is_uuid(value.lower()):
        raise e.EnterpriseProjectInvalidError
    return value.lower()


def require_same_project(project_id: str, caller: Caller) -> None:
    """Raises: ProjectMismatchError when the path names another project than the token."""
    if project_id != caller.require_project():
        raise e.ProjectMismatchError


def require_own_project(project_id: str, caller: Caller) -> None:
    """For what changes something, but for the tag service's paths. Raises: ForbiddenError as above."""
    if project_id != caller.require_project():
        raise e.ForbiddenError("The path names another project than the token.")


def checked_limit(text: str | None, *, default: int, highest: int) -> int:
    limit = default if not text else parsed_int("limit", text)
    if not 1 <= limit <= highest:
        raise e.InvalidInputError(f"limit must be between 1 and {highest}.", field="limit")
    return limit


def checked_image_id(text: str) -> str:
    image_id = normalized_uuid(text)
    if image_id is None:
        raise e.ImageIdInvalidError
    return image_id


def export_request(image_id: str, body: ExportBody, *, zvhd_writes_vhd: bool) -> ExportRequest:
    """Raises, in this order: IMG.0001 0068 0073 0017 0175 0074 0075 0109 0072, by their classes."""
    if body.bucket_url is None:
        raise e.RequestFormatError("bucket_url must be given.")
    if body.is_quick_export and body.file_format:
        raise e.RequestFormatError("file_format and is_quick_export exclude each other.")
    bucket, key = checked_object_url(body.bucket_url)
    file_format = None if body.is_quick_export else checked_export_format(body.file_format, zvhd_writes_vhd)
    return ExportRequest(image_id=image_id, bucket=bucket, key=key, file_format=file_format)


def checked_object_url(url: str) -> tuple[str, str]:
    """`bucket:path/to/key` split at the first colon."""
    bucket, colon, key = url.partition(":")
    if not colon or key.startswith("//"):
        raise e.UrlFormatInvalidError
    if not bucket:
        raise e.BucketNameEmptyError
    if not key or key.endswith("/"):
        raise e.ExportNameEmptyError
    if " " in key:
        raise e.UrlHasSpaceError
    if len(key.encode()) > 1024 or len(key.rsplit("/", 1)[-1]) > 255:
        raise e.ExportNameTooLongError
    if _BAD_IN_KEY.search(key) or any(part in ("", ".", "..") for part in key.split("/")):
        raise e.ExportNameInvalidError
    if not is_bucket_name(bucket):
        raise e.BucketNameInvalidError
    return bucket, key


def is_bucket_name(text: str) -> bool:
    return bool(_BUCKET.fullmatch(text)) and ".." not in text and not _ADDRESS.fullmatch(text)


def checked_export_format(text: str | None, zvhd_writes_vhd: bool) -> ExportFormat:  # noqa: FBT001
    wanted = (text or "").lower()
    if wanted == "zvhd" and zvhd_writes_vhd:
        return ExportFormat.VHD
    if wanted not in _EXPORT_FORMATS:
        raise e.ExportFormatInvalidError
    return _EXPORT_FORMATS[wanted]
