"""The first version of qcow. Source: block/qcow.c of QEMU."""

from stillframe.qemu.inspection.reader import Reader, refuse

_COMPRESSED = 1 << 63
_HEADER_BYTES = 48


def is_first_version(file: Reader) -> bool:
    return file.size_bytes >= _HEADER_BYTES and file.read(0, 8) == b"QFI\xfb\x00\x00\x00\x01"


def virtual_size(file: Reader) -> int:
    backing_offset, _, _, size, cluster_bits, l2_bits, _, encryption, l1_at = file.unpack(">QIIQBBHIQ", 8)
    if backing_offset:
        raise refuse("The image file refers to a backing file.")
    if encryption:
        raise refuse("The image file is encrypted.")
    if not 9 <= cluster_bits <= 16 or not 6 <= l2_bits <= 13:
        raise refuse("The image file is damaged: its cluster size is impossible.")
    l1_entries = -(-size >> (cluster_bits + l2_bits)) if size else 0
    _check_clusters(file, l1_at, l1_entries, 1 << l2_bits, cluster_bits, size)
    return int(size)


def _check_clusters(file: Reader, l1_at: int, l1_entries: int, l2_entries: int, cluster_bits: int, size: int) -> None:
    last_cluster_bytes = size % (1 << cluster_bits) or 1 << cluster_bits
    used = 0
    for l2_at in file.table(">Q", l1_at, l1_entries):
        if l2_at == 0:
            continue
        entries = list(file.table(">Q", l2_at, l2_entries))
        plain = [entry for entry in entries if entry and not entry & _COMPRESSED]
        if plain:
            file.require(max(plain), last_cluster_bytes)
        used += len(plain)
        # A compressed cluster's length stands above its place.
        starts = ((entry & ~_COMPRESSED) & ((1 << (63 - cluster_bits)) - 1) for entry in entries if entry & _COMPRESSED)
        if compressed := max(starts, default=0):
            file.require(compressed, 1)
    file.require_blocks(used, 1 << cluster_bits)
