"""What an image is.

    queued ──► saving ──► active ◄──► deactivated
      │  ▲        │          │             │
      │  └────────┤          ▼             │
      │  (upload  └──►    deleted  ◄───────┘
      │   failed)            ▲
      └──────────────────────┘
    queued ──► uploading ──► importing ──► active      (staged import; back to queued or uploading when it fails)

`queued` has no bytes yet, `saving` is being written, `active` has bytes that never change again.
"""

import enum
from datetime import datetime

import msgspec

MAX_PROPERTIES = 128
MAX_TAGS = 128
MAX_MEMBERS = 256

SERVICE_PROPERTIES = "os_glance_"
"""Properties of the service's own, by how their names begin; nobody can set them, and they count for nobody."""
IMPORT_TASK_PROPERTY = SERVICE_PROPERTIES + "import_task"
"""The task that is importing the image's data."""


class ImageStatus(enum.StrEnum):
    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    KILLED = "killed"
    DELETED = "deleted"


TRANSITIONS: dict[ImageStatus, frozenset[ImageStatus]] = {
    ImageStatus.QUEUED: frozenset(
        {ImageStatus.SAVING, ImageStatus.UPLOADING, ImageStatus.IMPORTING, ImageStatus.ACTIVE, ImageStatus.DELETED}
    ),
    ImageStatus.SAVING: frozenset({ImageStatus.ACTIVE, ImageStatus.QUEUED, ImageStatus.KILLED, ImageStatus.DELETED}),
    ImageStatus.UPLOADING: frozenset({ImageStatus.IMPORTING, ImageStatus.QUEUED, ImageStatus.DELETED}),
    ImageStatus.IMPORTING: frozenset(
        {ImageStatus.ACTIVE, ImageStatus.QUEUED, ImageStatus.UPLOADING, ImageStatus.DELETED}
    ),
    ImageStatus.ACTIVE: frozenset({ImageStatus.DEACTIVATED, ImageStatus.DELETED}),
    ImageStatus.DEACTIVATED: frozenset({ImageStatus.ACTIVE, ImageStatus.DELETED}),
    ImageStatus.KILLED: frozenset({ImageStatus.DELETED}),
    ImageStatus.DELETED: frozenset(),
}


class Visibility(enum.StrEnum):
    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


class MemberStatus(enum.StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class ImageKind(enum.StrEnum):
    """What the disk in the image is for; `virtual_env_type` on the IMS wire."""

    SYSTEM = "FusionCompute"
    BARE_METAL = "Ironic"
    DATA = "DataImage"
    ISO = "IsoImage"


class OsInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The operating system as IMS names it: `__os_type`, `__os_version`, `__platform`, `__os_bit` on the wire."""

    os_type: str = "Linux"
    version: str = "Other Linux(64 bit)"
    platform: str = "Other"
    bits: str = "64"


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image. Sizes in bytes unless the name says otherwise; empty strings mean "not given"."""

    id: str
    project_id: str
    name: str | None
    status: ImageStatus
    visibility: Visibility = Visibility.PRIVATE
    protected: bool = False
    os_hidden: bool = False
    kind: ImageKind = ImageKind.SYSTEM
    disk_format: str | None = None
    container_format: str | None = None
    size_bytes: int | None = None
    """Stored bytes; of a captured image not consolidated yet, the bytes its disk has in use."""
    virtual_size_bytes: int | None = None
    checksum: str | None = None
    """MD5 of the stored bytes in hex; None until they are consolidated."""
    os_hash_value: str | None = None
    """SHA-512 of the stored bytes in hex."""
    layer_id: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    max_ram_mib: int = 0
    os: OsInfo = msgspec.field(default_factory=OsInfo)
    description: str = ""
    firmware: str = "bios"
    architecture: str = "x86"
    origin: str = ""
    """Where it came from: `instance,<id>`, `file,<bucket:key>`, `volume,<id>` or `image,<region>,<id>`."""
    source_image_id: str = ""
    enterprise_project_id: str = "0"
    registered: bool = True
    """Made by IMS or uploaded whole; the `__isregistered` attribute."""
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    """Everything else callers have set, by its name on the wire."""
    tags: tuple[str, ...] = ()
    """Sorted; `key=value`, or a bare word."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Made of all disks of a server."""
        return self.properties.get("__whole_image") == "true"

    @property
    def is_encrypted(self) -> bool:
        return bool(self.properties.get("__system__cmkid"))

    @property
    def is_lazy(self) -> bool:
        """Captured, but not consolidated yet: bootable at once, its stored bytes and digests still to come."""
        return self.status is ImageStatus.ACTIVE and self.os_hash_value is None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A project an image is shared with."""

    image_id: str
    project_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """Data on its way into an image that is `saving`; the layer it is written to becomes the image's at the end."""

    image_id: str
    layer_id: str
    started_at: datetime


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has; `uploading` counts images whose data is on its way, staged or not."""

    images: int
    uploading: int
    stored_bytes: int
    staged_bytes: int
