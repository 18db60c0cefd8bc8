"""Disks with known content, made by the tools themselves and not by the code under test."""

import json
import subprocess
from pathlib import Path
from typing import Any

from stillframe.qemu.model import Chain, ChainLink

MIB = 1024**2
GIB = 1024**3


def tool(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def write_pattern(path: Path, pattern: int, offset: str, length: str, disk_format: str = "qcow2") -> None:
    tool("qemu-io", "-f", disk_format, "-c", f"write -P {pattern} {offset} {length}", str(path))


def random_file(path: Path, size_bytes: int) -> Path:
    with Path("/dev/urandom").open("rb") as source:
        path.write_bytes(source.read(size_bytes))
    return path


def write_random(path: Path, source: Path, offset: str) -> None:
    tool("qemu-io", "-f", "qcow2", "-c", f"write -s {source} {offset} {source.stat().st_size}", str(path))


def qemu_img_info(path: Path, disk_format: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(tool("qemu-img", "info", "--output=json", "-f", disk_format, str(path)))
    return answer


def two_layers(directory: Path, size: str = "64M") -> Chain:
    """A base and an overlay on it, each with something of its own."""
    base, top = directory / "base.qcow2", directory / "top.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(base), size)
    write_pattern(base, 7, "0", "8M")
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base.name, "-F", "qcow2", str(top))
    write_pattern(top, 9, "4M", "8M")
    return (ChainLink(top, "qcow2"), ChainLink(base, "qcow2"))
