"""Disk chains, and what the tools say about files."""

from pathlib import Path
from typing import Literal

import msgspec

DiskDriver = Literal["qcow2", "raw"]
ExportDriver = Literal["qcow2", "vpc", "vmdk", "raw"]


class ChainLink(msgspec.Struct, frozen=True):
    """One file of a disk. `format` is the driver it is opened with; it comes from our rows, never from the file."""

    path: Path
    format: DiskDriver


Chain = tuple[ChainLink, ...]
"""A whole disk, top first. Every link but the last is qcow2 and shows the next where it holds nothing itself."""


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What `qemu-img info` says about one file, its backing file left alone."""

    format: str
    virtual_size_bytes: int
    actual_size_bytes: int
    backing_file: str | None
    """As it stands in the header: a name, not to be followed."""
    compression: str | None
    is_dirty: bool
    is_corrupt: bool
    is_encrypted: bool
    has_snapshots: bool


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `qemu-img check` found. Leaks cost space only; corruptions cost data."""

    corruptions: int
    leaks: int
    allocated_clusters: int
    total_clusters: int

    @property
    def is_sound(self) -> bool:
        return self.corruptions == 0


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """The size a converted file has at the most: now, and with every cluster written. Compression is not foreseen."""

    required_bytes: int
    fully_allocated_bytes: int
