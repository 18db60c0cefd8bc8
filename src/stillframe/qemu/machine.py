"""Machines: QEMU processes that outlive us.

    start ──► running ──┬─ the guest powers off ──────────────────────────► gone
                        ├─ stop: power button, then quit, then SIGKILL ───► gone
                        └─ reset: the guest starts anew in the same process

All that is needed to find a machine again is in its directory: `machine.json`, and the control socket, whose listener
the kernel names. QEMU gets its files as open descriptors, so it runs as a user who may open none of them.
"""

import asyncio
import contextlib
import enum
import os
import signal
import socket
import subprocess
import time
from logging import getLogger
from pathlib import Path

import msgspec

from stillframe.errors import ConflictError, StillframeError, ToolFailedError, UnavailableError
from stillframe.qemu import qmp, sockets
from stillframe.qemu.console import STDERR_LOG, read_console, read_tail, trim_logs
from stillframe.qemu.host import host_sandbox
from stillframe.qemu.launch import launch
from stillframe.qemu.machine_spec import DiskSpec, Firmware, MachineSpec, NicSpec, RunningMachine
from stillframe.qemu.processes import is_alive, is_machine_of, send_kill, start_time_ticks, wait_exit

__all__ = [
    "DiskSpec",
    "Firmware",
    "MachineSpec",
    "NicSpec",
    "RunningMachine",
    "StoppedBy",
    "connect_console",
    "connect_screen",
    "find",
    "freeze",
    "is_alive",
    "kill",
    "press_power_button",
    "read_console",
    "reset",
    "start",
    "stop",
    "thaw",
    "trim_logs",
    "wait_exit",
]

log = getLogger("stillframe.qemu")

START_TIMEOUT_S = 30.0
_POWER_BUTTON_INTERVAL_S = 3.0
_QUIT_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0
_RECORD = "machine.json"

# Machines started by this process are its children until it ends; they are reaped here whenever one is looked for.
_children: dict[int, subprocess.Popen[bytes]] = {}


class StoppedBy(enum.StrEnum):
    GUEST = "guest"
    QUIT = "quit"
    KILL = "kill"


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    server_id: str
    pid: int
    start_time_ticks: int


async def start(spec: MachineSpec, *, timeout_s: float = START_TIMEOUT_S) -> RunningMachine:
    """Starts QEMU and returns when its machine runs; the guest has then barely begun to boot.

    Raises:
        ConflictError: the machine runs already.
        UnavailableError: it needs UEFI and none is installed.
        ToolFailedError: QEMU ended at once, or did not get ready in time; it is gone. `cause` is what it said.
    """
    if await find(spec.run_dir, spec.server_id):
        raise ConflictError("The server is running already.")
    started = time.monotonic()
    process = _keep(launch(spec, await host_sandbox()))
    try:
        machine = await _ready(spec, timeout_s)
    except BaseException as error:
        await _abandon(process)
        if isinstance(error, (StillframeError, OSError)):
            raise ToolFailedError(
                "The machine could not be started.", cause=_last_words(spec.run_dir, error)
            ) from error
        raise
    log.info("machine %s runs as pid %d after %.3f s", spec.server_id, machine.pid, time.monotonic() - started)
    return machine


async def find(run_dir: Path, server_id: str) -> RunningMachine | None:
    """The machine of this server if it runs, whoever started it. Another process with its pid is not taken for it."""
    _reap_children()
    recorded = _read_record(run_dir)
    if recorded and recorded.server_id == server_id and is_alive(recorded):
        return recorded
    try:
        pid = await sockets.listener_pid(run_dir, sockets.QMP_SOCKET)
    except OSError:
        return None
    return _record(run_dir, server_id, pid)


async def stop(machine: RunningMachine, deadline_s: float) -> StoppedBy:
    """Presses the power button, gives the guest `deadline_s` to act on it, then ends QEMU, then kills it.

    Safe to repeat; the machine is gone on return, its disks flushed unless it had to be killed.

    Raises: ToolFailedError if the process cannot even be killed.
    """
    if await _guest_powers_off(machine, deadline_s):
        return StoppedBy.GUEST
    with contextlib.suppress(UnavailableError, ToolFailedError, TimeoutError):
        async with asyncio.timeout(_QUIT_TIMEOUT_S), qmp.connected(machine.run_dir) as client:
            await client.quit()
    if await wait_exit(machine, _QUIT_TIMEOUT_S):
        return StoppedBy.QUIT
    await kill(machine)
    return StoppedBy.KILL


async def kill(machine: RunningMachine) -> None:
    """Raises: ToolFailedError if the process does not go."""
    send_kill(machine)
    if not await wait_exit(machine, _KILL_TIMEOUT_S):
        raise ToolFailedError("The machine cannot be ended.", cause=f"pid {machine.pid} survives SIGKILL")
    _reap_children()


async def reset(machine: RunningMachine) -> None:
    """A hard reboot: the guest is not asked."""
    async with qmp.connected(machine.run_dir) as client:
        await client.reset()


async def freeze(machine: RunningMachine) -> None:
    """Its processors stand still from now on; what it has in memory stays there. Safe to repeat."""
    async with qmp.connected(machine.run_dir) as client:
        await client.stop()


async def thaw(machine: RunningMachine) -> None:
    """It goes on where it stood still. Safe to repeat."""
    async with qmp.connected(machine.run_dir) as client:
        await client.cont()


async def press_power_button(machine: RunningMachine) -> None:
    """Asks the guest to power off. `wait_exit` tells whether it did; a soft reboot starts the machine again then."""
    async with qmp.connected(machine.run_dir) as client:
        await client.powerdown()


async def connect_console(run_dir: Path) -> socket.socket:
    """The guest's serial port as a connected, non-blocking stream. One client at a time is served.

    Raises: UnavailableError if the machine does not run.
    """
    try:
        return await sockets.connect(run_dir, sockets.SERIAL_SOCKET)
    except OSError as error:
        raise UnavailableError("The machine's console cannot be reached.", cause=error) from error


async def connect_screen(machine: RunningMachine) -> socket.socket:
    """The guest's screen, keyboard and mouse as a connected, non-blocking stream of RFB.

    Raises: UnavailableError if the machine does not run, ToolFailedError if it has no screen.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            async with qmp.connected(machine.run_dir) as client:
                await client.show_screen(theirs)
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    return ours


async def _guest_powers_off(machine: RunningMachine, deadline_s: float) -> bool:
    """Presses again from time to time: a guest that is still booting does not notice the first."""
    deadline = time.monotonic() + deadline_s
    while (left_s := deadline - time.monotonic()) > 0:
        with contextlib.suppress(UnavailableError, ToolFailedError, TimeoutError):
            async with asyncio.timeout(left_s):
                await press_power_button(machine)
        left_s = max(0.0, deadline - time.monotonic())
        if await wait_exit(machine, min(left_s, _POWER_BUTTON_INTERVAL_S)):
            return True
    return await wait_exit(machine, 0)


async def _ready(spec: MachineSpec, timeout_s: float) -> RunningMachine:
    """Its socket was there before QEMU: who connects waits for the greeting, and sees the end of it if QEMU ends."""
    async with qmp.connected(spec.run_dir, timeout_s=timeout_s) as client:
        await client.query_status()
        pid = await sockets.listener_pid(spec.run_dir, sockets.QMP_SOCKET)
    machine = _record(spec.run_dir, spec.server_id, pid)
    if machine is None:
        raise ToolFailedError(cause=f"pid {pid} ended as soon as it was ready")
    return machine


async def _abandon(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    _children.pop(process.pid, None)


def _last_words(run_dir: Path, error: Exception) -> str:
    said = read_tail(run_dir / STDERR_LOG, 4096).decode(errors="replace").strip()
    return said or str(getattr(error, "cause", None) or error)


def _record(run_dir: Path, server_id: str, pid: int) -> RunningMachine | None:
    ticks = start_time_ticks(pid)
    if ticks is None or not is_machine_of(pid, server_id):
        return None
    new = run_dir / f"{_RECORD}.new"
    new.write_bytes(msgspec.json.encode(_Record(server_id=server_id, pid=pid, start_time_ticks=ticks)))
    new.replace(run_dir / _RECORD)
    return RunningMachine(server_id=server_id, run_dir=run_dir, pid=pid, start_time_ticks=ticks)


def _read_record(run_dir: Path) -> RunningMachine | None:
    try:
        noted = msgspec.json.decode((run_dir / _RECORD).read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError):
        return None
    return RunningMachine(
        server_id=noted.server_id, run_dir=run_dir, pid=noted.pid, start_time_ticks=noted.start_time_ticks
    )


def _keep(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    _children[process.pid] = process
    return process


def _reap_children() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]
