"""One sparse extent in one file: monolithicSparse and streamOptimized.

Source: the VMware "Virtual Disk Format 5.0" note, and block/vmdk.c of QEMU.
"""

import re

from stillframe.qemu.inspection.reader import Reader, furthest_and_count, refuse

_SECTOR = 512
_COMPRESSED = 1 << 16
_DIRECTORY_AT_END = 0xFFFFFFFFFFFFFFFF
_FOOTER_BYTES = 1024  # the footer and the end-of-stream marker after it
_HEADER = "<4sIIQQQQIQQQ"
_MARKER_BYTES = 12  # before each compressed grain: its place in the disk, and its length
_MAX_DESCRIPTOR_BYTES = 1024**2
_MAX_GRAINS_PER_TABLE = 512
_EXTENT = re.compile(r'(rw|rdonly|noaccess)\s+(\d+)\s+(\w+)\s+"([^"/\\]*)"', re.ASCII)


def virtual_size(file: Reader) -> int:
    magic, version, flags, capacity, grain, descriptor_at, descriptor_sectors, *_ = file.unpack(_HEADER, 0)
    if magic != b"KDMV" or version not in (1, 2, 3):
        raise refuse("Only VMDK files of one sparse extent are accepted: monolithicSparse or streamOptimized.")
    # With a capacity of 0, QEMU would open the extents which the descriptor names.
    if capacity == 0:
        raise refuse("The image file refers to other files.")
    if descriptor_sectors == 0 or descriptor_sectors * _SECTOR > _MAX_DESCRIPTOR_BYTES:
        raise refuse("The image file has no usable VMDK descriptor.")
    _check_descriptor(file.read(descriptor_at * _SECTOR, descriptor_sectors * _SECTOR), capacity)
    if not 1 <= grain <= 128 * 1024:
        raise refuse("The image file is damaged: its grain size is impossible.")
    _check_grains(file, capacity, grain, is_compressed=bool(flags & _COMPRESSED))
    return int(capacity) * _SECTOR


def _check_descriptor(data: bytes, capacity: int) -> None:
    text = data.split(b"\0", 1)[0].decode("ascii", errors="replace").lower()
    lines = [line.strip() for line in text.splitlines()]
    fields = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if "parentfilenamehint" in fields or fields.get("parentcid", "ffffffff") != "ffffffff":
        raise refuse("The image file refers to a parent disk.")
    if fields.get("createtype", "").strip('"') not in ("monolithicsparse", "streamoptimized"):
        raise refuse("Only VMDK files of one sparse extent are accepted: monolithicSparse or streamOptimized.")
    extents = [line for line in lines if line.split(" ")[0] in ("rw", "rdonly", "noaccess")]
    matched = [_EXTENT.match(line) for line in extents]
    if len(matched) != 1 or matched[0] is None or matched[0][3] != "sparse":
        raise refuse("The image file refers to other files.")
    if int(matched[0][2]) > capacity:
        raise refuse("The image file is damaged: its descriptor and its header do not agree.")


def _check_grains(file: Reader, capacity: int, grain: int, *, is_compressed: bool) -> None:
    *_, per_table, _redundant, directory_at, _overhead = file.unpack(_HEADER, 0)
    if directory_at == _DIRECTORY_AT_END:
        magic, *_, per_table, _redundant, directory_at, _overhead = file.unpack(
            _HEADER, file.size_bytes - _FOOTER_BYTES
        )
        if magic != b"KDMV" or directory_at == _DIRECTORY_AT_END:
            raise refuse("The image file is truncated: its footer is missing.")
    if not 1 <= per_table <= _MAX_GRAINS_PER_TABLE:
        raise refuse("The image file is damaged: its table size is impossible.")
    tables = -(-capacity // (grain * per_table))
    furthest, used = 0, 0
    for table_at in file.table("<I", directory_at * _SECTOR, tables):
        if table_at:
            grains = (entry for entry in file.table("<I", table_at * _SECTOR, per_table) if entry > 1)  # 1: zeros
            last, count = furthest_and_count(grains)
            furthest, used = max(furthest, last), used + count
    if used:
        last_grain_bytes = (capacity % grain or grain) * _SECTOR
        _require_grain(file, furthest * _SECTOR, last_grain_bytes, is_compressed=is_compressed)
    # A compressed grain begins in a sector of its own.
    file.require_blocks(used, _SECTOR if is_compressed else grain * _SECTOR)


def _require_grain(file: Reader, offset: int, grain_bytes: int, *, is_compressed: bool) -> None:
    if is_compressed:
        _place, length = file.unpack("<QI", offset)
        file.require(offset, _MARKER_BYTES + length)
    else:
        file.require(offset, grain_bytes)
