"""Source: Microsoft's "Virtual Hard Disk Image Format Specification", and block/vpc.c of QEMU."""

from stillframe.qemu.inspection.reader import Reader, furthest_and_count, refuse

MAGIC = b"conectix"
_FOOTER_BYTES = 512
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFFFFFF
_MAX_BLOCK_BYTES = 256 * 1024**2


def is_fixed_vhd(file: Reader) -> bool:
    """A fixed VHD begins with the disk itself; only its end tells."""
    if file.size_bytes < 2 * _FOOTER_BYTES or file.read(file.size_bytes - _FOOTER_BYTES, 8) != MAGIC:
        return False
    (size, kind) = _size_and_kind(file, file.size_bytes - _FOOTER_BYTES)
    return kind == _FIXED and size == file.size_bytes - _FOOTER_BYTES


def virtual_size(file: Reader) -> int:
    footer_at = file.size_bytes - _FOOTER_BYTES
    if file.read(footer_at, 8) != MAGIC:
        raise refuse("The image file is truncated: its footer is missing.")
    size, kind = _size_and_kind(file, footer_at)
    if kind == _DIFFERENCING:
        raise refuse("The image file refers to a parent disk.")
    if kind == _DYNAMIC:
        # QEMU reads the copy at the beginning.
        if (size, kind) != _size_and_kind(file, 0):
            raise refuse("The image file is damaged: its header and its footer do not agree.")
        _check_blocks(file, size)
    elif kind != _FIXED or size != footer_at:
        raise refuse("The image file is damaged: its size does not fit its content.")
    return size


def _size_and_kind(file: Reader, offset: int) -> tuple[int, int]:
    size, _geometry, kind = file.unpack(">QII", offset + 48)
    return int(size), int(kind)


def _check_blocks(file: Reader, size: int) -> None:
    (header_at,) = file.unpack(">Q", 16)
    magic, _, table_at, _, entries, block_bytes = file.unpack(">8sQQIII", header_at)
    if magic != b"cxsparse" or not 512 <= block_bytes <= _MAX_BLOCK_BYTES or block_bytes & (block_bytes - 1):
        raise refuse("The image file is damaged: its header is impossible.")
    if entries < -(-size // block_bytes):
        raise refuse("The image file is damaged: its block table does not fit its size.")
    needed = -(-size // block_bytes)
    bitmap_bytes = -(-block_bytes // 512 // 8 // 512) * 512
    furthest, count = furthest_and_count(entry for entry in file.table(">I", table_at, needed) if entry != _UNUSED)
    if count:
        file.require(furthest * 512, bitmap_bytes + block_bytes)
    file.require_blocks(count, bitmap_bytes + block_bytes)
