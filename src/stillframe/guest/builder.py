"""Builds the public image once and keeps it in a cache."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.guest.kernel import Kernel, fetch_kernel, find_kernel

_PARTS = Path(__file__).parent
_BUILD_TIMEOUT_S = 300.0

_PACKAGES = {
    "busybox": "busybox-static",
    "cpio": "cpio",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "qemu-img": "qemu-utils",
    "resize2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "syslinux": "syslinux",
    "xz": "xz-utils",
}
"""Every program build.sh calls beyond what each Debian has, and the package it comes from."""

_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")


def public_image(cache_dir: Path) -> Path:
    """The image in the cache; built first where it is missing, which takes a few seconds and maybe a download.

    The name carries a digest of all the image is made of, so a changed builder never meets an old image. Safe to call
    from several processes at once: the file appears complete or not at all.

    Raises:
        UnavailableError: this machine cannot build it; the message names the packages to install.
        ToolFailedError: a step of the build failed.
    """
    _require_amd64()
    kernel = find_kernel(cache_dir)
    if kernel is None:
        _require_packages()
        kernel = fetch_kernel(cache_dir)
    image = cache_dir / f"stillframe-tiny-{_digest(kernel)}.qcow2"
    if image.exists():
        return image
    _require_packages()
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="build.") as scratch:
        built = Path(scratch, "image.qcow2")
        _build(built, kernel)
        built.rename(image)
    return image


def missing_packages() -> list[str]:
    """The Debian packages the build needs and this machine lacks, without the kernel, which is fetched."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    missing = {package for program, package in _PACKAGES.items() if shutil.which(program, path=path) is None}
    if not _MBR.exists():
        missing.add("syslinux-common")
    return sorted(missing)


def _require_amd64() -> None:
    if platform.machine() != "x86_64":
        raise UnavailableError("The public image can be built on an amd64 machine only.")


def _require_packages() -> None:
    if missing := missing_packages():
        raise UnavailableError(f"The public image cannot be built: install the Debian packages {' '.join(missing)}.")


def _digest(kernel: Kernel) -> str:
    digest = hashlib.sha256(kernel.version.encode())
    for part in sorted([_PARTS / "build.sh", *(_PARTS / "initramfs").rglob("*"), *(_PARTS / "root").rglob("*")]):
        if part.is_file():
            digest.update(f"\0{part.relative_to(_PARTS)}\0".encode() + part.read_bytes())
    return digest.hexdigest()[:16]


def _build(out: Path, kernel: Kernel) -> None:
    script = _PARTS / "build.sh"
    try:
        subprocess.run(
            ["bash", str(script), str(out), str(kernel.root)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_BUILD_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        raise ToolFailedError("The public image cannot be built.", cause=error.stderr) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailedError("The public image cannot be built.", cause=error) from error
