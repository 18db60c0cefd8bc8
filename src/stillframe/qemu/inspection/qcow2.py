"""Source: https://www.qemu.org/docs/master/interop/qcow2.html"""

from stillframe.qemu.inspection.reader import Reader, refuse

_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION = 1, 2, 4, 8
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62
_MAX_L1_BYTES = 32 * 1024**2  # QEMU's own limit


def virtual_size(file: Reader) -> int:
    version, backing_offset, _, cluster_bits, size, encryption, l1_entries, l1_offset = file.unpack(">IQIIQIIQ", 4)
    if version not in (2, 3):
        raise refuse("The image file is a qcow2 file of an unsupported version.")
    if backing_offset:
        raise refuse("The image file refers to a backing file.")
    if encryption:
        raise refuse("The image file is encrypted.")
    if not 9 <= cluster_bits <= 21:
        raise refuse("The image file is damaged: its cluster size is impossible.")
    refcounts_offset, refcount_clusters, snapshots = file.unpack(">QII", 48)
    if snapshots:
        raise refuse("The image file holds internal snapshots.")
    if version == 3:
        _check_features(*file.unpack(">Q", 72))
    file.require(refcounts_offset, refcount_clusters << cluster_bits)
    _check_l1(size, cluster_bits, l1_entries)
    _check_clusters(file, cluster_bits, l1_offset, l1_entries, size)
    return int(size)


def _check_features(incompatible: int) -> None:
    if incompatible & _DATA_FILE:
        raise refuse("The image file keeps its data in another file.")
    if incompatible & _CORRUPT:
        raise refuse("The image file is marked as damaged.")
    if incompatible & _DIRTY:
        raise refuse("The image file was not closed properly; qemu-img check -r all can repair it.")
    if incompatible & ~_COMPRESSION:
        raise refuse("The image file uses qcow2 features which are not supported.")


def _check_l1(size: int, cluster_bits: int, l1_entries: int) -> None:
    bytes_per_entry = 1 << (2 * cluster_bits - 3)
    if l1_entries * 8 > _MAX_L1_BYTES or l1_entries < -(-size // bytes_per_entry):
        raise refuse("The image file is damaged: its first table does not fit its size.")


def _check_clusters(file: Reader, cluster_bits: int, l1_offset: int, l1_entries: int, size: int) -> None:
    """Every cluster a table speaks of is in the file; only what lies beyond the end of the disk need not be."""
    cluster_bytes = 1 << cluster_bits
    last_cluster_bytes = size % cluster_bytes or cluster_bytes
    sectors_at = 62 - (cluster_bits - 8)
    used = 0
    for l1_entry in file.table(">Q", l1_offset, l1_entries):
        if not l1_entry & _OFFSET:
            continue
        entries = list(file.table(">Q", l1_entry & _OFFSET, cluster_bytes // 8))
        plain = [entry & _OFFSET for entry in entries if entry & _OFFSET and not entry & _COMPRESSED]
        if plain:
            file.require(max(plain), last_cluster_bytes)
        used += len(plain)
        starts = (entry & ((1 << sectors_at) - 1) for entry in entries if entry & _COMPRESSED)
        if compressed := max(starts, default=0):
            file.require(compressed, 1)
    file.require_blocks(used, cluster_bytes)
