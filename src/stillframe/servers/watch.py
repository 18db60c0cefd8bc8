"""Keeps an eye on machines: a server must not look ACTIVE when its machine is gone, nor fill the disk with its console.

A machine may end at any time: its guest powers off, the process is killed, the host restarts. Servers with a task are
left to the job that carries it out.
"""

import asyncio
import os
from pathlib import Path

import sqlalchemy as sa
import structlog
from msgspec.structs import replace

from stillframe.errors import StillframeError
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.qemu import accelerator, machine
from stillframe.qemu.console import CONSOLE_LOG, STDERR_LOG
from stillframe.qemu.machine_spec import RunningMachine
from stillframe.servers import hosts, rows
from stillframe.servers.disk_guard import DiskGuard
from stillframe.servers.machines import find_machine
from stillframe.servers.model import WITH_MACHINE, VmState

log = structlog.get_logger("stillframe.servers")

INTERVAL_S = 1.0


class MachineWatch:
    """One per worker. The end of a machine is noticed by the kernel's word, not by asking again and again."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._guard = DiskGuard(resources)

    async def find_machines(self) -> None:
        """When the worker starts: the host says what it has, machines that still run are found again."""
        async with self._resources.database.writing() as tx:
            await hosts.register_host(tx, hosts.host_memory_mib())
        await self._look_around()
        log.info("servers.machines_found", count=len(self._watched))

    async def run(self) -> None:
        """Serves until cancelled."""
        probing = asyncio.create_task(_prove_accelerator())
        try:
            while True:
                try:
                    await self._look_around()
                    await self._trim_logs()
                    await self._guard.look(self._watched)
                except (sa.exc.SQLAlchemyError, OSError) as error:
                    log.warning("servers.watch_failed", error=str(error))
                await asyncio.sleep(INTERVAL_S)
        finally:
            for task in (probing, *self._watched.values()):
                task.cancel()

    async def _look_around(self) -> None:
        async with self._resources.database.reading() as tx:
            running = {server.id for server in await rows.list_with_machine(tx)}
        for server_id in set(self._watched) - running:
            self._watched.pop(server_id).cancel()
        for server_id in running:
            task = self._watched.get(server_id)
            if task is None or task.done():
                await self._begin(server_id)

    async def _begin(self, server_id: str) -> None:
        running = await find_machine(self._resources, server_id)
        if running is None:
            self._watched.pop(server_id, None)
            await self._note_stopped(server_id)
        else:
            self._watched[server_id] = asyncio.create_task(self._wait(running))

    async def _wait(self, running: RunningMachine) -> None:
        await machine.wait_exit(running)
        await self._note_stopped(running.server_id)

    async def _note_stopped(self, server_id: str) -> None:
        """Only when it is still so once the server's row is held: a job may have started a new machine meanwhile."""
        async with self._resources.database.writing() as tx:
            server = await rows.get_server(tx, server_id, lock=True)
            if server is None or server.vm_state not in WITH_MACHINE or server.task_state is not None:
                return
            if await find_machine(self._resources, server_id) is not None:
                return
            await rows.replace_server(tx, replace(server, vm_state=VmState.STOPPED, updated_at=utcnow()))
        log.info("servers.machine_ended", server=server_id)

    async def _trim_logs(self) -> None:
        limit = self._resources.settings.console_log_limit_bytes
        for directory in await asyncio.to_thread(_too_long, self._resources.layout.machines_dir, limit):
            await machine.trim_logs(directory, limit)


async def _prove_accelerator() -> None:
    """Takes seconds where KVM is there and broken: better now than while the first server waits for it."""
    try:
        log.info("servers.accelerator", kind=await accelerator.choose())
    except StillframeError as error:
        log.warning("servers.no_accelerator", error=error.message, cause=str(error.cause))


def _too_long(machines_dir: Path, limit_bytes: int) -> list[Path]:
    """Directories of machines that hold a log longer than that."""
    with os.scandir(machines_dir) as found:
        return [Path(directory.path) for directory in found if _longest_log(Path(directory.path)) > limit_bytes]


def _longest_log(directory: Path) -> int:
    return max(_size(directory / name) for name in (CONSOLE_LOG, STDERR_LOG))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
