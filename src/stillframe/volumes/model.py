"""What a volume is.

creating ──► available ◄──► in-use
    │            │             │
    └──► error   └──────┬──────┘
           │            ▼
           └────► (row gone, its layer released)
"""

import enum
from datetime import datetime

import msgspec

from stillframe.kit.units import bytes_to_gib_up

VOLUME_TYPES = ("SATA", "SAS", "SSD", "GPSSD", "ESSD", "GPSSD2")
DEFAULT_VOLUME_TYPE = "SSD"


class VolumeStatus(enum.StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    IN_USE = "in-use"
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


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    user_id: str
    name: str
    description: str
    size_bytes: int
    status: VolumeStatus
    volume_type: str
    availability_zone: str
    bootable: bool
    layer_id: str | None
    """Its writable layer; None when it never got one."""
    image_metadata: dict[str, str] | None
    """What was true of the image it was made from, by its names on the wire."""
    attachment: Attachment | None
    created_at: datetime
    updated_at: datetime

    @property
    def size_gib(self) -> int:
        return bytes_to_gib_up(self.size_bytes)


class NewSystemDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that a server is born with; its layer is planned already."""

    project_id: str
    user_id: str
    server_id: str
    size_bytes: int
    volume_type: str
    availability_zone: str
    layer_id: str
    image_metadata: dict[str, str]
    delete_on_termination: bool


class VolumeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is None does not narrow the list. `limit` None lists all; `marker` is the id of the last volume seen."""

    name: str | None = None
    status: str | None = None
    availability_zone: str | None = None
    every_project: bool = False
    marker: str | None = None
    offset: int = 0
    limit: int | None = None
    newest_first: bool = True
