"""Finds a Debian cloud kernel for the guest, or fetches one.

A kernel is never installed: on real hardware a cloud kernel could become the one the machine boots next, without the
drivers it needs. One that is installed already is used; else Debian's package is unpacked in the cache.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stillframe.errors import ToolFailedError, UnavailableError

PACKAGE = "linux-image-cloud-amd64"
_FETCH_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Kernel:
    root: Path
    """The directory that holds boot/vmlinuz-<version> and lib/modules/<version>."""
    version: str


def find_kernel(cache_dir: Path) -> Kernel | None:
    """The newest kernel installed, else the one in the cache."""
    return _newest(Path("/")) or _newest(_unpacked(cache_dir))


def fetch_kernel(cache_dir: Path) -> Kernel:
    """Downloads Debian's current kernel into the cache. Safe to call from several processes at once.

    Raises:
        UnavailableError: apt cannot deliver the package; the message says what to install.
        ToolFailedError: the package cannot be unpacked.
    """
    into = _unpacked(cache_dir)
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix="kernel.") as scratch:
        package = _download(Path(scratch))
        tree = Path(scratch, "tree")
        _run(["dpkg-deb", "--extract", str(package), str(tree)])
        if not (tree / "lib").exists():  # Debian 13 ships modules below usr/, where merged systems have them
            (tree / "lib").symlink_to("usr/lib")
        version = next(tree.glob("boot/vmlinuz-*")).name.removeprefix("vmlinuz-")
        _run(["depmod", "-b", str(tree), version])
        _put_in_place(tree, into)
    kernel = _newest(into)
    if kernel is None:
        raise ToolFailedError(f"The package {package.name} holds no cloud kernel.")
    return kernel


def _unpacked(cache_dir: Path) -> Path:
    return cache_dir / "kernel"


def _newest(root: Path) -> Kernel | None:
    usable = [
        Kernel(root, version)
        for image in root.glob("boot/vmlinuz-*-cloud-amd64")
        if os.access(image, os.R_OK)
        and (root / "lib/modules" / (version := image.name.removeprefix("vmlinuz-")) / "modules.dep").exists()
    ]
    return max(usable, key=lambda kernel: [int(number) for number in re.findall(r"\d+", kernel.version)], default=None)


def _put_in_place(tree: Path, into: Path) -> None:
    try:
        tree.rename(into)
    except OSError:  # another process was quicker, or an earlier one stopped half way through a removal
        if _newest(into) is None:
            shutil.rmtree(into)
            tree.rename(into)


def _download(into: Path) -> Path:
    try:
        # The package of this name is empty and depends on the one with the current kernel.
        depends = _run(["apt-cache", "depends", PACKAGE]).split()
        current = next(word for word in depends if re.fullmatch(r"linux-image-\d.*-cloud-amd64", word))
        _run(["apt-get", "download", "--quiet", current], cwd=into)
        return next(into.glob("*.deb"))
    except (ToolFailedError, StopIteration) as error:
        raise UnavailableError(
            f"The public image needs a kernel and apt cannot deliver one: install {PACKAGE}, or run apt-get update.",
            cause=error,
        ) from error


def _run(argv: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv, cwd=cwd, check=True, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, env=_environment()
        )
    except subprocess.CalledProcessError as error:
        raise ToolFailedError(f"{argv[0]} failed.", cause=error.stderr) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailedError(f"{argv[0]} cannot run.", cause=error) from error
    return done.stdout


def _environment() -> dict[str, str]:
    # depmod lives in sbin, which is not on the path of an ordinary user; apt answers in the user's language.
    return {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
