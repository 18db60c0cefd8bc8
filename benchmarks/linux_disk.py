"""A disk as servers have them: a file system with programs and libraries in it, taken from this machine."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FROM = (Path("/usr/lib"), Path("/usr/share"), Path("/usr/bin"), Path("/usr/local"), Path("/opt"))
_LARGEST_FILE = 64 * 1024**2


def make_linux_disk(directory: Path, *, content_mib: int, size_gib: int) -> Path:
    """An ext4 file system as a raw disk, with about so much in it; less where the machine has not as much."""
    tree, disk = directory / "tree", directory / "disk.raw"
    left = content_mib * 1024**2
    for file in _files():
        left -= file.stat().st_size
        if left < 0:
            break
        copy = tree / file.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        _place(file, copy)
    argv = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(disk), f"{size_gib}G"]
    subprocess.run(argv, check=True, start_new_session=True)
    shutil.rmtree(tree)
    return disk


def _files() -> Iterator[Path]:
    for top in _FROM:
        for where, _, names in os.walk(top):
            for name in sorted(names):
                file = Path(where, name)
                with contextlib.suppress(OSError):
                    if file.is_file() and not file.is_symlink() and file.stat().st_size <= _LARGEST_FILE:
                        yield file


def _place(file: Path, copy: Path) -> None:
    """A second name where the file system allows it, which takes no time."""
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)
