"""What a volume is, and what a snapshot of one is.

creating ──► available ──► attaching ──► in-use ──► detaching ──► available
    │            │                          │
    │            ├──► uploading ◄───────────┤      back to where it was when the work is done
    │            └──► extending ◄───────────┘
    ▼
  error          each of available and error ──► (row gone, its layer released)

While a job works on a volume, its row names the job, and everything else is refused.
"""

import enum
from datetime import datetime

import msgspec

from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import bytes_to_gib_up

VOLUME_TYPES = ("SATA", "SAS", "SSD", "GPSSD", "ESSD", "GPSSD2")
DEFAULT_VOLUME_TYPE = "SSD"
MAX_VOLUME_GIB = 32768


class VolumeStatus(enum.StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    ATTACHING = "attaching"
    IN_USE = "in-use"
    DETACHING = "detaching"
    UPLOADING = "uploading"
    EXTENDING = "extending"
    DELETING = "deleting"
    ERROR = "error"


USABLE = frozenset({VolumeStatus.AVAILABLE, VolumeStatus.IN_USE})


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """`boot_index` 0 is the system disk; None is a disk the server does not boot from."""

    id: str
    server_id: str
    device_index: int
    boot_index: int | None
    delete_on_termination: bool
    attached_at: datetime

    @property
    def device(self) -> str:
        """`/dev/vda`, `/dev/vdb` ...: as the guest will most likely call it."""
        return f"/dev/vd{chr(ord('a') + self.device_index)}"


def new_attachment(server_id: str, device_index: int, boot_index: int | None, *, ends_with_server: bool) -> Attachment:
    return Attachment(
        id=new_uuid(),
        server_id=server_id,
        device_index=device_index,
        boot_index=boot_index,
        delete_on_termination=ends_with_server,
        attached_at=utcnow(),
    )


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    user_id: str
    name: str = ""
    description: str = ""
    size_bytes: int
    status: VolumeStatus
    volume_type: str
    availability_zone: str
    bootable: bool = False
    layer_id: str | None
    """Its writable layer; None when it never got one."""
    image_metadata: dict[str, str] | None = None
    """What was true of the image it was made from, by its names on the wire."""
    snapshot_id: str | None = None
    source_volume_id: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    job_id: str | None = None
    """The job that works on it."""
    attachment: Attachment | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def size_gib(self) -> int:
        return bytes_to_gib_up(self.size_bytes)


class SnapshotStatus(enum.StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    ERROR = "error"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`layer_id` is the sealed disk, None until there is one."""

    id: str
    project_id: str
    user_id: str
    volume_id: str
    name: str
    description: str
    size_bytes: int
    status: SnapshotStatus
    layer_id: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    created_at: datetime
    updated_at: datetime

    @property
    def size_gib(self) -> int:
        return bytes_to_gib_up(self.size_bytes)


class NewDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that a server is born with; its layer is planned already."""

    project_id: str
    user_id: str
    server_id: str
    name: str = ""
    size_bytes: int
    volume_type: str
    availability_zone: str
    layer_id: str
    bootable: bool
    image_metadata: dict[str, str] | None = None
    snapshot_id: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    device_index: int
    boot_index: int | None
    delete_on_termination: bool


class SortKey(enum.StrEnum):
    """What a list can be sorted by: columns that are never null."""

    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    ID = "id"
    NAME = "name"
    SIZE = "size_bytes"
    STATUS = "status"
    VOLUME_TYPE = "volume_type"
    BOOTABLE = "bootable"
    AVAILABILITY_ZONE = "availability_zone"


class VolumeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is None does not narrow the list. `limit` None lists all; `marker` is the id of the last volume seen."""

    name: str | None = None
    status: str | None = None
    availability_zone: str | None = None
    volume_type: str | None = None
    bootable: bool | None = None
    server_id: str | None = None
    attachment_id: str | None = None
    attached: bool | None = None
    snapshot_id: str | None = None
    ids: tuple[str, ...] | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    every_project: bool = False
    marker: str | None = None
    offset: int = 0
    limit: int | None = None
    sort_key: SortKey = SortKey.CREATED_AT
    descending: bool = True


class SnapshotQuery(msgspec.Struct, frozen=True, kw_only=True):
    """As `VolumeQuery`."""

    id: str | None = None
    name: str | None = None
    status: str | None = None
    volume_id: str | None = None
    every_project: bool = False
    marker: str | None = None
    offset: int = 0
    limit: int | None = None
    sort_key: str = "created_at"
    """The name of a column that is never null."""
    descending: bool = True
