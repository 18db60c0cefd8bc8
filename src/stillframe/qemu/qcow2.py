"""The two things about qcow2 files that are done here and not by qemu-img: an empty file, and another backing name.

`qemu-img create` writes these same bytes (the tests compare them), but costs a process and five flushes of the disk,
25 ms and more on a busy machine. A new overlay stands on the path of every capture and every boot, so it is one write
and one flush here. Source: https://www.qemu.org/docs/master/interop/qcow2.html
"""

import os
import struct
from pathlib import Path

from stillframe.qemu.model import DiskDriver

CLUSTER_BYTES = 65536
_CLUSTER_BITS = 16
_BYTES_PER_L1_ENTRY = CLUSTER_BYTES * (CLUSTER_BYTES // 8)
_REFCOUNT_BITS_LOG2 = 4
_HEADER_LENGTH = 112
# One refcount block counts 32768 clusters, the L1 table of 128 TiB takes 32; so one block is always enough.
MAX_SIZE_BYTES = 128 * 1024**4

_BACKING_FORMAT_EXTENSION = 0xE2792ACA
_FEATURE_NAMES_EXTENSION = 0x6803F857
_INCOMPATIBLE, _COMPATIBLE, _AUTOCLEAR = 0, 1, 2
_FEATURES = (
    (_INCOMPATIBLE, 0, b"dirty bit"),
    (_INCOMPATIBLE, 1, b"corrupt bit"),
    (_INCOMPATIBLE, 2, b"external data file"),
    (_INCOMPATIBLE, 3, b"compression type"),
    (_INCOMPATIBLE, 4, b"extended L2 entries"),
    (_COMPATIBLE, 0, b"lazy refcounts"),
    (_AUTOCLEAR, 0, b"bitmaps"),
    (_AUTOCLEAR, 1, b"raw external data"),
)


def encode_empty(size_bytes: int, *, backing_name: str = "", backing_format: DiskDriver | None = None) -> bytes:
    """The file from its first byte to its last, for a disk of `size_bytes` (rounded up to whole sectors).

    Clusters of 64 KiB, refcounts of 16 bits, nothing allocated: qemu-img's defaults, which every reader of qcow2 knows.
    """
    if not 0 < size_bytes <= MAX_SIZE_BYTES:
        raise ValueError(f"{size_bytes} is no size of a disk")
    size_bytes = -(-size_bytes // 512) * 512
    l1_entries = -(-size_bytes // _BYTES_PER_L1_ENTRY)
    l1_table = bytes(l1_entries * 8)
    l1_clusters = -(-len(l1_table) // CLUSTER_BYTES)
    header = _header(size_bytes, l1_entries, backing_name.encode(), backing_format)
    refcount_table = struct.pack(">Q", 2 * CLUSTER_BYTES)
    refcount_block = struct.pack(">H", 1) * (3 + l1_clusters)
    return _cluster(header) + _cluster(refcount_table) + _cluster(refcount_block) + l1_table


def rename_backing(path: Path, name: str) -> None:
    """Writes another backing file name of the same length over the one in the header, in place and without a lock.

    `qemu-img rebase -u` locks the file while it does so, which fails whoever opens it at that moment.

    Raises: ValueError for a file whose backing name has another length.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        magic, offset, length = struct.unpack(">4s4xQI", os.pread(descriptor, 20, 0))
        if magic != b"QFI\xfb" or length != len(name.encode()):
            raise ValueError(f"{path.name} has no backing name of {len(name)} bytes")
        os.pwrite(descriptor, name.encode(), offset)
    finally:
        os.close(descriptor)


def _header(size_bytes: int, l1_entries: int, backing_name: bytes, backing_format: str | None) -> bytes:
    extensions = _extensions(backing_format)
    name_offset = _HEADER_LENGTH + len(extensions) if backing_name else 0
    fixed = struct.pack(
        ">4sIQIIQIIQQIIQQQQIIB7x",
        b"QFI\xfb",
        3,
        name_offset,
        len(backing_name),
        _CLUSTER_BITS,
        size_bytes,
        0,  # not encrypted
        l1_entries,
        3 * CLUSTER_BYTES,
        CLUSTER_BYTES,  # of the refcount table ...
        1,  # ... which is one cluster
        0,  # no internal snapshots ...
        0,  # ... and no table of them
        0,  # features: incompatible
        0,  # compatible
        0,  # autoclear
        _REFCOUNT_BITS_LOG2,
        _HEADER_LENGTH,
        0,  # zlib, though nothing here is compressed
    )
    return fixed + extensions + backing_name


def _extensions(backing_format: str | None) -> bytes:
    names = b"".join(struct.pack(">BB46s", kind, bit, name) for kind, bit, name in _FEATURES)
    backing = _extension(_BACKING_FORMAT_EXTENSION, backing_format.encode()) if backing_format else b""
    return backing + _extension(_FEATURE_NAMES_EXTENSION, names) + _extension(0, b"")


def _extension(kind: int, data: bytes) -> bytes:
    padding = -len(data) % 8
    return struct.pack(">II", kind, len(data)) + data + bytes(padding)


def _cluster(data: bytes) -> bytes:
    if len(data) > CLUSTER_BYTES:
        raise ValueError("the backing file name is too long for the header")
    return data.ljust(CLUSTER_BYTES, b"\0")
