"""Source: [MS-VHDX], https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx"""

import uuid

from stillframe.qemu.inspection.reader import Reader, refuse

_HEADERS_AT = (64 * 1024, 128 * 1024)
_REGIONS_AT = 192 * 1024
_MAX_ENTRIES = 2047
_MIB = 1024**2

_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_SECTOR_SIZE = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_HAS_PARENT = 2
_FULLY_PRESENT = 6


def virtual_size(file: Reader) -> int:
    _check_log_is_empty(file)
    regions = _regions(file)
    if _BAT not in regions or _METADATA not in regions:
        raise refuse("The image file is damaged: a region is missing.")
    items = _metadata(file, regions[_METADATA])
    if not {_FILE_PARAMETERS, _DISK_SIZE, _SECTOR_SIZE} <= items.keys():
        raise refuse("The image file is damaged: its metadata are incomplete.")
    block_bytes, flags = file.unpack("<II", items[_FILE_PARAMETERS])
    if flags & _HAS_PARENT:
        raise refuse("The image file refers to a parent disk.")
    (size,) = file.unpack("<Q", items[_DISK_SIZE])
    (sector_bytes,) = file.unpack("<I", items[_SECTOR_SIZE])
    if sector_bytes not in (512, 4096) or not _MIB <= block_bytes <= 256 * _MIB or block_bytes & (block_bytes - 1):
        raise refuse("The image file is damaged: its block size is impossible.")
    _check_blocks(file, regions[_BAT], int(size), block_bytes, sector_bytes)
    return int(size)


def _check_log_is_empty(file: Reader) -> None:
    """A log with entries means the file was not closed, and what it says is only true once they are replayed."""
    newest, log = -1, bytes(16)
    for offset in _HEADERS_AT:
        magic, _, sequence, _file_id, _data_id, log_id = file.unpack("<4sIQ16s16s16s", offset)
        if magic == b"head" and sequence > newest:
            newest, log = sequence, log_id
    if newest < 0:
        raise refuse("The image file is damaged: it has no header.")
    if log != bytes(16):
        raise refuse("The image file was not closed properly.")


def _regions(file: Reader) -> dict[uuid.UUID, int]:
    magic, _, count = file.unpack("<4sII", _REGIONS_AT)
    return _entries(file, _REGIONS_AT + 16, count, is_table=magic == b"regi", layout="<16sQII")


def _metadata(file: Reader, region_at: int) -> dict[uuid.UUID, int]:
    magic, _, count = file.unpack("<8sHH", region_at)
    items = _entries(file, region_at + 32, count, is_table=magic == b"metadata", layout="<16sIIII")
    return {item: region_at + offset for item, offset in items.items()}


def _entries(file: Reader, first_at: int, count: int, *, is_table: bool, layout: str) -> dict[uuid.UUID, int]:
    if not is_table or count > _MAX_ENTRIES:
        raise refuse("The image file is damaged: a table is missing.")
    found: dict[uuid.UUID, int] = {}
    for number in range(count):
        name, offset, *_ = file.unpack(layout, first_at + 32 * number)
        if uuid.UUID(bytes_le=name) in found:
            raise refuse("The image file is damaged: a table names something twice.")
        found[uuid.UUID(bytes_le=name)] = offset
    return found


def _check_blocks(file: Reader, table_at: int, size: int, block_bytes: int, sector_bytes: int) -> None:
    blocks = -(-size // block_bytes)
    # After this many blocks the table has one entry for a bitmap, which only disks with a parent use.
    chunk = (1 << 23) * sector_bytes // block_bytes
    entries = blocks + (blocks - 1) // chunk if blocks else 0
    used = 0
    for number, entry in enumerate(file.table("<Q", table_at, entries)):
        if entry & 7 == _FULLY_PRESENT and number % (chunk + 1) != chunk:
            file.require(entry & ~0xFFFFF, block_bytes)
            used += 1
    file.require_blocks(used, block_bytes)
