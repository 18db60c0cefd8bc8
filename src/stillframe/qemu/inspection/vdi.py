"""Source: block/vdi.c of QEMU."""

from stillframe.qemu.inspection.reader import Reader, furthest_and_count, refuse

_DYNAMIC, _STATIC = 1, 2
_BLOCK_BYTES = 1024**2  # the only size QEMU reads
_UNALLOCATED = 0xFFFFFFFE  # and above: never written, or zeros
_NOBODY = bytes(16)


def virtual_size(file: Reader) -> int:
    version, _, kind = file.unpack("<III", 0x44)
    blocks_at, data_at = file.unpack("<II", 0x154)
    size, block_bytes, extra_bytes, blocks, allocated = file.unpack("<QIIII", 0x170)
    if file.read(0x1A8, 32) != _NOBODY * 2:  # the image it depends on, and the one above that
        raise refuse("The image file refers to a parent disk.")
    if version != 0x00010001 or kind not in (_DYNAMIC, _STATIC) or block_bytes != _BLOCK_BYTES or extra_bytes:
        raise refuse("The image file is a VDI file of an unsupported kind.")
    if blocks < -(-size // _BLOCK_BYTES) or allocated > blocks:
        raise refuse("The image file is damaged: its block table does not fit its size.")
    used = (entry for entry in file.table("<I", blocks_at, -(-size // _BLOCK_BYTES)) if entry < _UNALLOCATED)
    furthest, count = furthest_and_count(used)
    if count:
        file.require(data_at + furthest * _BLOCK_BYTES, _BLOCK_BYTES)
    file.require_blocks(count, _BLOCK_BYTES)
    return int(size)
