import enum

import msgspec


class ForeignFormat(enum.StrEnum):
    """The formats a file from outside may have, as Glance calls them."""

    QCOW2 = "qcow2"
    QCOW = "qcow"
    RAW = "raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    VDI = "vdi"
    QED = "qed"
    ISO = "iso"


class Window(msgspec.Struct, frozen=True):
    """A part of a file, which is a disk by itself: one member of an archive."""

    offset: int
    length: int


class InspectedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A file that passed. `virtual_size_bytes` is the size of the disk a guest would see."""

    format: ForeignFormat
    virtual_size_bytes: int
    file_size_bytes: int
