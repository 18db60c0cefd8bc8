"""The block graph of a disk, spelled out for QEMU and qemu-img.

Every node has its driver and every qcow2 node its backing node, the last one `null`. So no format is ever probed and a
backing file name in a header is never opened: a file which claims to be something else is refused or read as it is.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillframe.qemu.inspection.model import ForeignFormat, Window
from stillframe.qemu.model import Chain, ChainLink

BlockNode = dict[str, Any]
FileName = Callable[[Path], str]
"""How the opening program gets at a file: its path, or `/dev/fdset/N` for one which was opened for it."""

_FOREIGN_DRIVERS = {
    ForeignFormat.QCOW2: "qcow2",
    ForeignFormat.QCOW: "qcow",
    ForeignFormat.RAW: "raw",
    ForeignFormat.VMDK: "vmdk",
    ForeignFormat.VHD: "vpc",
    ForeignFormat.VHDX: "vhdx",
    ForeignFormat.VDI: "vdi",
    ForeignFormat.QED: "qed",
    ForeignFormat.ISO: "raw",
}


def json_filename(chain: Chain, *, writable_files: int = 0) -> str:
    """What qemu-img and qemu-nbd take wherever they take a file name; so many files from the top can be written to."""
    return "json:" + _compact(_graph(chain, file_name=str, name=None, writable_files=writable_files))


def blockdev(chain: Chain, *, name: str, writable: bool, file_name: FileName = str) -> str:
    """The value of QEMU's -blockdev. The top node is called `name`, those below `name-1`, `name-2` ..."""
    return _compact(blockdev_node(chain, name=name, writable=writable, file_name=file_name))


def blockdev_node(chain: Chain, *, name: str, writable: bool, file_name: FileName) -> BlockNode:
    """As `blockdev`, in the form of QMP's blockdev-add."""
    return _graph(chain, file_name=file_name, name=name, writable_files=int(writable))


def overlay_node(path: Path, name: str, file_name: FileName) -> BlockNode:
    """A qcow2 file that a snapshot will put above a node which is there already."""
    return _node(ChainLink(path, "qcow2"), backing=None, file_name=file_name, name=name, writable=True)


def foreign_filename(path: Path, foreign_format: ForeignFormat, window: Window | None = None) -> str:
    """What qemu-img takes to read a file from outside, opened as what it was found to be and nothing else."""
    file = _file(path, str)
    if window:
        file = {"driver": "raw", "read-only": True, "offset": window.offset, "size": window.length, "file": file}
    node: BlockNode = {"driver": _FOREIGN_DRIVERS[foreign_format], "read-only": True, "file": file}
    if foreign_format in (ForeignFormat.QCOW2, ForeignFormat.QCOW, ForeignFormat.QED):
        node["backing"] = None
    if foreign_format is ForeignFormat.VHD:
        # The size the header says, and not the nearest that cylinders, heads and sectors can express.
        node["force_size_calc"] = "current_size"
    return "json:" + _compact(node)


def _graph(chain: Chain, *, file_name: FileName, name: str | None, writable_files: int) -> BlockNode:
    _check_chain(chain)
    below: BlockNode | None = None
    for depth in reversed(range(len(chain))):
        below = _node(
            chain[depth],
            backing=below,
            file_name=file_name,
            name=name and (f"{name}-{depth}" if depth else name),
            writable=depth < writable_files,
        )
    if below is None:
        raise ValueError("a disk has at least one file")
    return below


def _check_chain(chain: Chain) -> None:
    for link in chain:
        if not link.path.is_absolute():
            raise ValueError(f"{link.path} is relative: who opens it may stand elsewhere")
    if any(link.format != "qcow2" for link in chain[:-1]):
        raise ValueError("only a qcow2 file can have another below it")


def _node(
    link: ChainLink, *, backing: BlockNode | None, file_name: FileName, name: str | None, writable: bool
) -> BlockNode:
    file = _file(link.path, file_name, writable=writable)
    node: BlockNode = {"driver": link.format, "read-only": not writable}
    if name:
        node["node-name"] = name
        file["node-name"] = f"{name}-file"
    if writable:
        # What the guest trims becomes a hole in the file, so that overlays stay as small as what they hold.
        node["discard"] = file["discard"] = "unmap"
    node["file"] = file
    if link.format == "qcow2":
        node["backing"] = backing
    return node


def _file(path: Path, file_name: FileName, *, writable: bool = False) -> BlockNode:
    return {"driver": "file", "filename": file_name(path), "read-only": not writable}


def _compact(node: BlockNode) -> str:
    return json.dumps(node, separators=(",", ":"))
