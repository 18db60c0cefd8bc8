"""What an export and an import are asked to do."""

import enum
from typing import Any

import msgspec

from stillframe.images.model import Image, ImageKind
from stillframe.images.preparation import GuestReport
from stillframe.kit.units import GIB
from stillframe.qemu.inspection import ForeignFormat, Window

MAX_SYSTEM_DISK_GIB = 1024
MAX_DATA_DISK_GIB = 2048


class ExportFormat(enum.StrEnum):
    """Spelled as IMS spells it; `driver` is what qemu-img calls it."""

    QCOW2 = "qcow2"
    VHD = "vhd"
    VMDK = "vmdk"
    RAW = "raw"

    @property
    def driver(self) -> str:
        return "vpc" if self is ExportFormat.VHD else self.value


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`file_format` None delivers the stored file as it is."""

    image_id: str
    bucket: str
    key: str
    file_format: ExportFormat | None


class ChecksumAlgorithm(enum.StrEnum):
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"


class Checksum(msgspec.Struct, frozen=True):
    """Of an object as it is in its bucket; `value` in lower-case hex digits."""

    algorithm: ChecksumAlgorithm
    value: str


class FileToImport(msgspec.Struct, frozen=True, kw_only=True):
    """An object, and the image that is to be made of it. `image` has what the caller said and no project yet."""

    bucket: str
    key: str
    image: Image
    size_bytes: int = 0
    """0 until the object was looked at."""
    is_quick: bool = False
    """Kept as it is: only raw disks may be."""
    checksum: Checksum | None = None

    @property
    def url(self) -> str:
        return f"{self.bucket}:{self.key}"


class GuestWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with the guest on the system disk. Nothing that the caller has said is overruled."""

    configures: bool = False
    detects: bool = False
    """The caller has not said which operating system it is."""
    detects_firmware: bool = False
    os_type: str = ""
    """Linux, Windows or Other; empty if the caller has not said."""

    @classmethod
    def of(cls, encoded: dict[str, Any]) -> "GuestWishes":
        return msgspec.convert(encoded, cls)

    def encode(self) -> dict[str, Any]:
        encoded: dict[str, Any] = msgspec.to_builtins(self)
        return encoded


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`files` has the system disk first, where there is one."""

    kind: str
    files: tuple[FileToImport, ...]
    guest: GuestWishes = GuestWishes()


class FoundDisk(msgspec.Struct, frozen=True, kw_only=True):
    """What a file turned out to hold. `offset` and `length` are of the part that is the disk, if it is not all."""

    format: ForeignFormat
    virtual_size_bytes: int
    offset: int = 0
    length: int | None = None

    @property
    def window(self) -> Window | None:
        return None if self.length is None else Window(self.offset, self.length)


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """One disk on its way to an image, as a job carries it along in JSON.

    `staged` numbers the file the disk is in; disks of one archive share it. What is None is not known yet.
    """

    image_id: str
    image_name: str
    kind: ImageKind
    layer_id: str
    min_disk_gib: int
    """The disk may not be larger; 0 is no bound."""
    bucket: str
    key: str
    source_bytes: int
    is_quick: bool = False
    checksum: Checksum | None = None
    staged: int = 0
    staged_bytes: int = 0
    md5: str | None = None
    sha512: str | None = None
    found: FoundDisk | None = None
    is_converted: bool = False
    guest: GuestReport | None = None

    @property
    def url(self) -> str:
        return f"{self.bucket}:{self.key}"

    @property
    def largest_bytes(self) -> int:
        """What the disk may have, whatever its image says."""
        return (MAX_DATA_DISK_GIB if self.kind is ImageKind.DATA else MAX_SYSTEM_DISK_GIB) * GIB

    @property
    def content_bytes(self) -> int:
        """Of the file, or the part of it that is this disk."""
        return self.found.length if self.found and self.found.length is not None else self.staged_bytes

    def encode(self) -> dict[str, Any]:
        encoded: dict[str, Any] = msgspec.to_builtins(self)
        return encoded
