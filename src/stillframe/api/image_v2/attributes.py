"""The attributes of an image on the wire: the one table behind what both doors write, filter by and let callers change.

Source: OpenStack Image API v2, "Image schemas"; Open Telekom Cloud, IMS API reference, "Image Attributes".
"""

from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.api.image_v2 import kinds
from stillframe.api.image_v2.kinds import Kind, checked_text
from stillframe.errors import ConflictError, ForbiddenError, InvalidInputError
from stillframe.images.errors import ReservedNameError
from stillframe.images.model import Image, ImageKind, ImageStatus, Visibility
from stillframe.kit.clock import utcnow

CONTAINER_FORMATS = ("bare", "ami", "ari", "aki", "ovf", "ova", "docker", "compressed")
DISK_FORMATS = (
    *("qcow2", "raw", "iso", "vmdk", "vhd", "vhdx", "vdi", "ami", "ari", "aki", "ploop"),
    # Open Telekom Cloud's own, which nothing in public can read or write: kept as opaque bytes.
    *("zvhd", "zvhd2"),
)
MAX_PROPERTY_LENGTH = 65535


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """`field` of Image (or of its OsInfo, as `os.version`) is spelled `name` on the wire."""

    name: str
    field: str
    kind: Kind
    read_only: bool = False
    is_base: bool = False
    """One of Glance's own: it is always there and cannot be removed."""
    omit_empty: bool = False

    def get(self, image: Image) -> Any:
        return attrgetter(self.field)(image)


def _base(name: str, kind: Kind, field: str = "", *, read_only: bool = False) -> Attribute:
    return Attribute(name=name, field=field or name, kind=kind, read_only=read_only, is_base=True)


ATTRIBUTES: tuple[Attribute, ...] = (
    _base("id", kinds.TEXT, read_only=True),
    _base("name", kinds.TEXT_OR_NULL),
    _base("status", kinds.member_of(ImageStatus), read_only=True),
    _base("visibility", kinds.member_of(Visibility)),
    _base("protected", kinds.BOOL),
    _base("os_hidden", kinds.BOOL),
    _base("checksum", kinds.TEXT_OR_NULL, read_only=True),
    _base("os_hash_value", kinds.TEXT_OR_NULL, read_only=True),
    _base("owner", kinds.TEXT, "project_id"),
    _base("size", kinds.INT_OR_NULL, "size_bytes", read_only=True),
    _base("virtual_size", kinds.INT_OR_NULL, "virtual_size_bytes", read_only=True),
    _base("container_format", kinds.one_of(CONTAINER_FORMATS, nullable=True)),
    _base("disk_format", kinds.one_of(DISK_FORMATS, nullable=True)),
    _base("created_at", kinds.TIME, read_only=True),
    _base("updated_at", kinds.TIME, read_only=True),
    _base("min_ram", kinds.INT, "min_ram_mib"),
    _base("min_disk", kinds.INT, "min_disk_gib"),
    Attribute(name="max_ram", field="max_ram_mib", kind=kinds.INT_TEXT),
    Attribute(name="__os_type", field="os.os_type", kind=kinds.TEXT),
    Attribute(name="__os_version", field="os.version", kind=kinds.TEXT),
    Attribute(name="__platform", field="os.platform", kind=kinds.TEXT),
    Attribute(name="__os_bit", field="os.bits", kind=kinds.TEXT),
    Attribute(name="__description", field="description", kind=kinds.text(1024), omit_empty=True),
    Attribute(name="hw_firmware_type", field="firmware", kind=kinds.one_of(["bios", "uefi"])),
    Attribute(name="architecture", field="architecture", kind=kinds.TEXT),
    Attribute(name="virtual_env_type", field="kind", kind=kinds.member_of(ImageKind)),
    Attribute(name="enterprise_project_id", field="enterprise_project_id", kind=kinds.text(36)),
    Attribute(name="__isregistered", field="registered", kind=kinds.BOOL_TEXT),
    Attribute(name="__data_origin", field="origin", kind=kinds.TEXT, read_only=True, omit_empty=True),
    Attribute(name="__originalimagename", field="source_image_id", kind=kinds.TEXT, read_only=True, omit_empty=True),
)
BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}

DERIVED = frozenset(
    {
        *("self", "file", "schema", "os_hash_algo", "direct_url", "locations", "stores"),
        *("__imagetype", "__image_size", "__image_source_type", "__image_location", "__lazyloading"),
    }
)
"""Names that follow from something else; nobody can set them."""

RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance_"
_BLANK = Image(id="", project_id="", name=None, status=ImageStatus.QUEUED, created_at=utcnow(), updated_at=utcnow())


def require_writable(name: str) -> None:
    """Raises: ReservedNameError, ForbiddenError for what only the service sets, InvalidInputError for an odd name."""
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise ReservedNameError(f"Attribute {name[:255]!r} is reserved.")
    if name in DERIVED or (name in BY_NAME and BY_NAME[name].read_only):
        raise ForbiddenError(f"Attribute {name!r} is read-only.")
    if not checked_text("property name", name):
        raise InvalidInputError("The name of a property is empty.")


def has_attribute(image: Image, name: str) -> bool:
    """The attributes of the table are always there, as is what follows from them; other properties may be missing."""
    return name == "tags" or name in BY_NAME or name in DERIVED or name in image.properties


def with_attribute(image: Image, name: str, value: Any) -> Image:
    """The image with one attribute set from decoded JSON.

    Raises: as `require_writable`; InvalidInputError when the value is not of the attribute's kind.
    """
    require_writable(name)
    if name == "tags":
        return replace(image, tags=checked_tags(value))
    if name in BY_NAME:
        return _with_field(image, BY_NAME[name].field, BY_NAME[name].kind.read(name, value))
    return replace(image, properties={**image.properties, name: checked_text(name, value, MAX_PROPERTY_LENGTH)})


def without_attribute(image: Image, name: str) -> Image:
    """The image without a property; an attribute of IMS falls back to its default.

    Raises: as `require_writable`; ForbiddenError for a base property, ConflictError for one that is not there.
    """
    require_writable(name)
    if name == "tags" or (name in BY_NAME and BY_NAME[name].is_base):
        raise ForbiddenError(f"Property {name} may not be removed.")
    if name in BY_NAME:
        return _with_field(image, BY_NAME[name].field, BY_NAME[name].get(_BLANK))
    if name not in image.properties:
        raise ConflictError(f"Property {name} does not exist.")
    return replace(image, properties={key: value for key, value in image.properties.items() if key != name})


def _with_field(image: Image, field: str, value: Any) -> Image:
    if field.startswith("os."):
        return replace(image, os=replace(image.os, **{field.removeprefix("os."): value}))
    return replace(image, **{field: value})


def checked_tags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidInputError("'tags' must be a list.", field="tags")
    return tuple(sorted({checked_text("tags", tag) for tag in value}))
