"""Disks as they are: raw, and ISO 9660 or UDF."""

from stillframe.qemu.inspection.reader import Reader, refuse

_SECTOR = 512
_ISO_DESCRIPTOR_AT = 32 * 1024
_PRIMARY_VOLUME = 1


_TAR_MAGIC_AT = 257
_NO_DISKS = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"\x1f\x8b\x08": "compressed with gzip",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"COWD": "a VMDK of the kind which spans several files",
    b"# Disk DescriptorFile": "the descriptor of a VMDK whose data is in other files",
    b"<?xml": "a text",
    b"MSWIM\x00\x00\x00": "a WIM archive",
    b"\x7fELF": "a program",
}


def require_disk(file: Reader) -> None:
    """A raw disk has no mark of its own, so this is a list of what it is taken for."""
    head = file.read(0, min(_SECTOR, file.size_bytes))
    if what := next((what for magic, what in _NO_DISKS.items() if head.startswith(magic)), None):
        raise refuse(f"The image file is not a disk but {what}.")
    if head[_TAR_MAGIC_AT:].startswith(b"ustar"):
        raise refuse("The image file is not a disk but a tar archive.")
    if file.size_bytes % _SECTOR:
        raise refuse(
            f"The image file is of no known format, nor a raw disk: that has whole sectors of {_SECTOR} bytes."
        )


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
