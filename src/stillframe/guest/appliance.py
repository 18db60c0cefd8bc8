"""Builds the small system in which libguestfs opens other systems' disks, once, and keeps it in the cache.

libguestfs would make one by itself on first use, below /var/tmp and out of an installed kernel. Made here it needs no
installed kernel (the one the public image is made of serves), works where machines run as another user, and lets the
sandbox around it see three files instead of the host's packages.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.guest.kernel import Kernel, fetch_kernel, find_kernel

PACKAGE = "python3-guestfs"
"""The Debian package that brings libguestfs, supermin and their Python binding."""
PYTHON = "/usr/bin/python3"
"""The system's own, which the binding belongs to."""

_RECIPE_DIRECTORIES = (Path("/usr/lib/x86_64-linux-gnu/guestfs/supermin.d"), Path("/usr/lib64/guestfs/supermin.d"))
_BUILD_TIMEOUT_S = 300.0


def is_installed() -> bool:
    """Whether libguestfs is here with its Python binding, which costs a process to find out."""
    argv = [PYTHON, "-I", "-c", "import guestfs"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def appliance(cache_dir: Path) -> Path:
    """The directory with the appliance's kernel, initrd and root; built first where it is missing: seconds, 370 MB.

    Its name carries a digest of what it is made of. Safe to call from several processes at once: it appears complete.

    Raises:
        UnavailableError: libguestfs is not installed, or there is no kernel; the message names the package.
        ToolFailedError: the build failed.
    """
    recipe = _recipe()
    kernel = find_kernel(cache_dir) or fetch_kernel(cache_dir)
    into = cache_dir / f"appliance-{_digest(recipe, kernel)}"
    if into.exists():
        return into
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="build.") as scratch:
        built = Path(scratch, "appliance")
        _build(built, recipe, kernel)
        try:
            built.rename(into)
        except OSError:  # another process was quicker
            if not into.exists():
                raise
    return into


def _recipe() -> Path:
    found = next((directory for directory in _RECIPE_DIRECTORIES if directory.is_dir()), None)
    if found is None or shutil.which("supermin") is None:
        raise UnavailableError(f"Disks cannot be looked into: install {PACKAGE} (libguestfs).")
    # supermin copies the directory's owner and mode even where it is told to take the modules from elsewhere.
    if not Path("/lib/modules").is_dir():
        raise UnavailableError("Disks cannot be looked into: create /lib/modules, which supermin needs (sudo mkdir).")
    return found


def _digest(recipe: Path, kernel: Kernel) -> str:
    digest = hashlib.sha256(kernel.version.encode())
    for part in sorted(recipe.iterdir()):
        digest.update(f"\0{part.name}\0".encode() + part.read_bytes())
    return digest.hexdigest()[:16]


def _build(out: Path, recipe: Path, kernel: Kernel) -> None:
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
        "SUPERMIN_KERNEL": str(kernel.root / f"boot/vmlinuz-{kernel.version}"),
        "SUPERMIN_KERNEL_VERSION": kernel.version,
        "SUPERMIN_MODULES": str(kernel.root / f"lib/modules/{kernel.version}"),
    }
    argv = ["supermin", "--build", "-f", "ext2", "--host-cpu", "x86_64", "--copy-kernel", "-o", str(out), str(recipe)]
    try:
        subprocess.run(
            argv,
            check=True,
            capture_output=True,
            text=True,
            timeout=_BUILD_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except subprocess.CalledProcessError as error:
        raise ToolFailedError("The appliance of libguestfs cannot be built.", cause=error.stderr) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolFailedError("The appliance of libguestfs cannot be built.", cause=error) from error
    # libguestfs takes a directory for a finished appliance only if it finds this name there.
    (out / "README.fixed").write_text("Built by stillframe; it can be made again at any time.\n")
    out.chmod(0o755)
    for part in out.iterdir():
        part.chmod(0o644)
