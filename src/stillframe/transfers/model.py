"""What an export is asked to do."""

import enum

import msgspec


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
