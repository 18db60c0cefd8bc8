"""Programs that are measured with or against: found on the machine, or unpacked from Debian's packages.

They are unpacked into the user's cache and not installed: installing nginx or memcached would start a service of the
machine's, and only root can.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs

CACHE = platformdirs.user_cache_path("stillframe") / "benchmarks"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def provide(programs: Sequence[str]) -> list[str]:
    """Puts the programs (named as their packages) on the PATH; answers those that cannot be had."""
    unpacked = CACHE / "debian"
    directories = [str(unpacked / where) for where in ("usr/bin", "usr/sbin")]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *directories])
    libraries = [str(path) for path in unpacked.glob("usr/lib/*-linux-gnu")]
    if missing := _missing(programs):
        _unpack(missing, unpacked)
        libraries = [str(path) for path in unpacked.glob("usr/lib/*-linux-gnu")]
    if libraries:
        before = os.environ.get("LD_LIBRARY_PATH")
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, before] if before else libraries)
    return _missing(programs)


def versions() -> dict[str, str]:
    asked = {"wrk": ["wrk", "--version"], "nginx": ["nginx", "-v"], "QEMU": ["qemu-img", "--version"]}
    found = {"Python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in ("uvicorn", "uvloop", "argon2-cffi")}
    for name, argv in asked.items():
        if shutil.which(argv[0]):
            said = subprocess.run(argv, capture_output=True, text=True, check=False)
            found[name] = next(iter(re.findall(r"\d+\.[\d.]+\d", said.stdout + said.stderr)), "?")
    return found


def _missing(programs: Sequence[str]) -> list[str]:
    return [program for program in programs if shutil.which(program) is None]


def _unpack(packages: Sequence[str], target: Path) -> None:
    """With what they need and the machine lacks. Does nothing where there is no apt or no package."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    print(f"unpacking {', '.join(packages)} from Debian's packages into {target}", flush=True)
    downloads = target / "packages"
    (downloads / "partial").mkdir(parents=True, exist_ok=True)
    options = ["Debug::NoLocking=1", f"Dir::Cache::archives={downloads}", "APT::Sandbox::User=root"]
    argv = ["apt-get", "-qq", "-y", "--download-only", "--no-install-recommends"]
    argv += [part for option in options for part in ("-o", option)]
    download = [*argv, "install", *packages]
    if _fails(download) and (os.geteuid() != 0 or _fails(["apt-get", "-qq", "update"]) or _fails(download)):
        return
    for package in downloads.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(package), str(target)], check=True)


def _fails(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode != 0
