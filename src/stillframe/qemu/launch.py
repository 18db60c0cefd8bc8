"""Starts QEMU with everything it uses already open, in the sandbox, as a process that will not end with us."""

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from logging import getLogger
from pathlib import Path

from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.qemu import sockets
from stillframe.qemu.console import CONSOLE_LOG, STDERR_LOG
from stillframe.qemu.machine_argv import TCG_CACHE_MIB, build_argv, uefi_vars
from stillframe.qemu.machine_spec import Firmware, MachineFiles, MachineSpec, nic_socket, spare_socket
from stillframe.qemu.sandbox import MINIMAL_ENVIRONMENT, Access, Limits, Sandbox, kvm_access, wrap_machine

log = getLogger("stillframe.qemu")

_MIB = 1024**2
# What QEMU needs besides the guest's memory: its code cache under TCG, the graphics card, thread stacks, disk caches.
_OVERHEAD_MIB = 1024 + TCG_CACHE_MIB
# For cards that come later: QEMU opens nothing by itself, and its control socket can hand it none to listen on.
SPARE_SOCKETS = 12
_UEFI_FIRMWARE = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
)


def launch(spec: MachineSpec, sandbox: Sandbox) -> subprocess.Popen[bytes]:
    """The process at the head of the machine's session: bubblewrap, or QEMU itself.

    Takes a few milliseconds and never waits, so it need not run in a thread, where a cancelled start would leave behind
    a launch which nobody knows of.

    Raises:
        UnavailableError: the machine needs UEFI and none is installed.
        ToolFailedError: a file is missing, or nothing can be started.
    """
    uefi_code = _prepare_uefi(spec)
    access = kvm_access() if spec.accelerator == "kvm" else Access()
    limits = Limits(data_bytes=(spec.memory_mib + _OVERHEAD_MIB) * _MIB)
    try:
        with _opened(spec, uefi_code) as files, (spec.run_dir / STDERR_LOG).open("ab") as errors:
            errors.truncate()
            argv = build_argv(spec, files, uefi_code=uefi_code)
            log.info("%s  # with %s", shlex.join(argv), {number: str(path) for path, number in files.disks.items()})
            return subprocess.Popen(
                wrap_machine(sandbox, argv, access, limits),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=MINIMAL_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                pass_fds=files.all,
            )
    except OSError as error:
        raise ToolFailedError("The machine could not be started.", cause=error) from error


@contextlib.contextmanager
def _opened(spec: MachineSpec, uefi_code: Path | None) -> Iterator[MachineFiles]:
    with contextlib.ExitStack() as stack:

        def opened(path: Path, flags: int) -> int:
            descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            return descriptor

        def listening(name: str) -> int:
            return stack.enter_context(sockets.listen(spec.run_dir, name)).fileno()

        _forget_sockets(spec.run_dir)
        yield MachineFiles(
            qmp=listening(sockets.QMP_SOCKET),
            serial=listening(sockets.SERIAL_SOCKET),
            # Appending, so that the log can be cut while QEMU writes it.
            console=opened(spec.run_dir / CONSOLE_LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC),
            disks={path: opened(path, flags) for path, flags in _disk_files(spec, uefi_code).items()},
            nics=tuple(listening(nic_socket(nic.port_id)) for nic in spec.nics),
            spares=tuple(stack.enter_context(_spare(spec.run_dir)).fileno() for _ in range(SPARE_SOCKETS)),
        )


def _forget_sockets(run_dir: Path) -> None:
    """Those of cards, of the machine that was there before."""
    for path in (*run_dir.glob(nic_socket("*")), *run_dir.glob("spare-*.sock")):
        path.unlink(missing_ok=True)


def _spare(run_dir: Path) -> socket.socket:
    """Called after its number, under which QEMU inherits it."""
    listening = sockets.listen(run_dir, "spare.sock")
    (run_dir / "spare.sock").rename(run_dir / spare_socket(listening.fileno()))
    return listening


def _disk_files(spec: MachineSpec, uefi_code: Path | None) -> dict[Path, int]:
    """The files of all disks and how to open them. A file below several disks is opened once."""
    files = {link.path: os.O_RDONLY for disk in spec.disks for link in disk.chain}
    files |= {path: os.O_RDONLY for path in (spec.config_drive, spec.cdrom) if path}
    files |= {disk.chain[0].path: os.O_RDWR for disk in spec.disks if disk.writable}
    if uefi_code:
        files |= {uefi_code: os.O_RDONLY, uefi_vars(spec): os.O_RDWR}
    return files


def _prepare_uefi(spec: MachineSpec) -> Path | None:
    """The firmware's code; the machine gets variables of its own when it first starts."""
    if spec.firmware is Firmware.BIOS:
        return None
    for code, variables in _UEFI_FIRMWARE:
        if code.exists() and variables.exists():
            if not uefi_vars(spec).exists():
                shutil.copyfile(variables, uefi_vars(spec))
            return code
    raise UnavailableError("This host has no UEFI firmware for servers; install the package ovmf.")
