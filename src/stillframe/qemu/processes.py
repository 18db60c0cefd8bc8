"""Processes of machines: told apart by their start time, watched without being their parent."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from stillframe.qemu.machine_spec import RunningMachine


def start_time_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if there is none, or only what is left of one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything, even brackets.
    fields = text.rpartition(")")[2].split()
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def is_machine_of(pid: int, server_id: str) -> bool:
    try:
        return server_id.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def is_alive(machine: RunningMachine) -> bool:
    return start_time_ticks(machine.pid) == machine.start_time_ticks and is_machine_of(machine.pid, machine.server_id)


async def wait_exit(machine: RunningMachine, timeout_s: float | None = None) -> bool:
    """Whether the machine is gone, waiting up to `timeout_s` for it (for ever if None)."""
    with _pidfd(machine) as descriptor:
        if descriptor is None:
            return True
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            async with asyncio.timeout(timeout_s):
                await gone.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(descriptor)
    return True


def send_kill(machine: RunningMachine) -> None:
    """SIGKILL to this machine and to no other process, whatever happens to its pid meanwhile."""
    with _pidfd(machine) as descriptor:
        if descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)


@contextlib.contextmanager
def _pidfd(machine: RunningMachine) -> Iterator[int | None]:
    """A handle on the process, looked at again once it is held: from then on it cannot be another one."""
    try:
        descriptor = os.pidfd_open(machine.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if is_alive(machine) else None
    finally:
        os.close(descriptor)
