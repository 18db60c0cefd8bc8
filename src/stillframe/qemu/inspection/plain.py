"""Disks as they are: raw, and ISO 9660 or UDF."""

from stillframe.qemu.inspection.reader import Reader, refuse

_SECTOR = 512
_ISO_DESCRIPTOR_AT = 32 * 1024
_PRIMARY_VOLUME = 1


def raw_size(file: Reader) -> int:
    """A raw disk shows that it was cut only where its partition table says how long it was."""
    if file.size_bytes >= 2 * _SECTOR and file.read(_SECTOR, 8) == b"EFI PART":
        (other_table_at,) = file.unpack("<Q", _SECTOR + 32)
        file.require(other_table_at * _SECTOR, _SECTOR)
    return file.size_bytes


def iso_size(file: Reader) -> int:
    kind, name = file.unpack("<B5s", _ISO_DESCRIPTOR_AT)
    if kind == _PRIMARY_VOLUME and name == b"CD001":
        (blocks,) = file.unpack("<I", _ISO_DESCRIPTOR_AT + 80)
        (block_bytes,) = file.unpack("<H", _ISO_DESCRIPTOR_AT + 128)
        file.require(0, blocks * block_bytes)
    if file.size_bytes == 0:
        raise refuse("The image file is empty.")
    return file.size_bytes
