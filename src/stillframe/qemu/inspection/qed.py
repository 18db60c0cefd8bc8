"""Source: docs/interop/qed_spec.txt of QEMU."""

from stillframe.qemu.inspection.reader import Reader, furthest_and_count, refuse

_HAS_BACKING_FILE, _NEEDS_CHECK, _RAW_BACKING_FILE = 1, 2, 4
_MAX_TABLE_CLUSTERS = 16


def virtual_size(file: Reader) -> int:
    cluster_bytes, table_clusters, _, features, _, _, l1_at, size = file.unpack("<IIIQQQQQ", 4)
    if features & (_HAS_BACKING_FILE | _RAW_BACKING_FILE):
        raise refuse("The image file refers to a backing file.")
    if features & _NEEDS_CHECK:
        raise refuse("The image file was not closed properly; qemu-img check -r all can repair it.")
    if features:
        raise refuse("The image file uses QED features which are not supported.")
    if not 4096 <= cluster_bytes <= 64 * 1024**2 or cluster_bytes & (cluster_bytes - 1):
        raise refuse("The image file is damaged: its cluster size is impossible.")
    if not 1 <= table_clusters <= _MAX_TABLE_CLUSTERS:
        raise refuse("The image file is damaged: its table size is impossible.")
    _check_clusters(file, l1_at, size, cluster_bytes, table_clusters * cluster_bytes // 8)
    return int(size)


def _check_clusters(file: Reader, l1_at: int, size: int, cluster_bytes: int, entries: int) -> None:
    if size > entries * entries * cluster_bytes:
        raise refuse("The image file is damaged: its tables do not fit its size.")
    used = 0
    for l2_at in file.table("<Q", l1_at, entries):
        if l2_at == 0:
            continue
        clusters = (cluster for cluster in file.table("<Q", l2_at, entries) if cluster > 1)  # 1 stands for zeros
        furthest, count = furthest_and_count(clusters)
        if count:
            file.require(furthest, size % cluster_bytes or cluster_bytes)
        used += count
    file.require_blocks(used, cluster_bytes)
