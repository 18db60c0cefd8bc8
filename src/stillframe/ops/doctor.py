"""`stillframe doctor`: what this machine has, each finding with what to do about it."""

import asyncio
import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS, Settings
from stillframe.errors import StillframeError
from stillframe.guest.appliance import PACKAGE, is_installed
from stillframe.ops.pidlock import running_pid
from stillframe.ops.preflight import MIN_FREE_BYTES, TOOLS
from stillframe.ops.sockets import is_port_free
from stillframe.qemu.accelerator import probe_accelerator
from stillframe.qemu.host import detect_sandbox
from stillframe.qemu.sandbox import SandboxKind

LIBRARIES = ("litestar", "sqlalchemy", "dbos", "obstore", "qemu.qmp", "cryptography")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    check: str
    ok: bool
    finding: str
    fix: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Runs every check; none of them changes anything but a probe file in the data directory."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _accelerator,
        _tools,
        _guest_tools,
        _sandbox,
        _data_dir,
        _memory,
        _ports,
        _libraries,
    )
    return [finding for check in checks for finding in check(settings)]


def _accelerator(_settings: Settings) -> Iterator[Finding]:
    try:
        found = asyncio.run(probe_accelerator())
    except StillframeError as error:
        yield Finding(check="accelerator", ok=False, finding=error.message, fix="apt-get install qemu-system-x86")
        return
    yield Finding(check="accelerator", ok=True, finding=f"{found.kind}: {found.reason}")


def _tools(_settings: Settings) -> Iterator[Finding]:
    for tool, package in TOOLS.items():
        path = shutil.which(tool)
        if path is None:
            yield Finding(check=tool, ok=False, finding="not found", fix=f"apt-get install {package}")
        else:
            yield Finding(check=tool, ok=True, finding=f"{_first_line(path, '--version')} ({path})")


def _guest_tools(_settings: Settings) -> Iterator[Finding]:
    if is_installed():
        yield Finding(check="libguestfs", ok=True, finding="imported disks can be looked into and prepared")
    else:
        lost = "imports do not find out the operating system, and refuse is_config"
        yield Finding(check="libguestfs", ok=False, finding=f"not found: {lost}", fix=f"apt-get install {PACKAGE}")


def _first_line(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not run: {error}"
    return (done.stdout or done.stderr).partition("\n")[0]


def _sandbox(settings: Settings) -> Iterator[Finding]:
    try:
        found = asyncio.run(detect_sandbox(settings.machine_user))
    except StillframeError as error:
        yield Finding(check="sandbox", ok=False, finding=error.message, fix="set machine_user to an ordinary user")
        return
    weak = found.kind is SandboxKind.LIMITS_ONLY
    yield Finding(
        check="sandbox",
        ok=not weak,
        finding=f"{found.kind}, user id {found.uid}{f' ({found.reason})' if found.reason else ''}",
        fix="apt-get install bubblewrap",
    )


def _data_dir(settings: Settings) -> Iterator[Finding]:
    path = settings.data_dir
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    writable = os.access(path, os.W_OK)
    yield Finding(
        check="data directory",
        ok=writable and free > MIN_FREE_BYTES,
        finding=f"{settings.data_dir}, {free / 1024**3:.1f} GiB free{'' if writable else ', not writable'}",
        fix="choose another with --data-dir",
    )


def _memory(settings: Settings) -> Iterator[Finding]:
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available_mib = int(meminfo["MemAvailable"].split()[0]) // 1024
    yield Finding(
        check="memory",
        ok=available_mib > settings.host_memory_reserve_mib,
        finding=f"{available_mib} MiB available, {settings.host_memory_reserve_mib} MiB kept for the host",
        fix="stop something, or lower host_memory_reserve_mib",
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    layout = DataLayout(settings.data_dir)
    pid = running_pid(layout.pid_file("up")) if layout.runtime_dir.is_dir() else None
    if pid is not None:
        yield Finding(check="ports", ok=True, finding=f"in use by this system itself (process {pid})")
        return
    taken = [
        f"{settings.port(name)} ({name})" for name in PORTS if not is_port_free(settings.host, settings.port(name))
    ]
    yield Finding(
        check="ports",
        ok=not taken,
        finding=f"taken: {', '.join(taken)}" if taken else "all free",
        fix="choose another set with --port-offset",
    )


def _libraries(_settings: Settings) -> Iterator[Finding]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    yield Finding(check="libraries", ok=True, finding=versions)
