"""Keeps guests from filling the host's disk: disks are thin, so what they are promised may not be there.

New disks are refused below a reserve. When half of that is used up too, whoever still writes is paused, with its memory
and its disks as they are, until somebody has made room; all others, and the service itself, go on.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

import structlog
from msgspec.structs import replace

from stillframe.errors import StillframeError
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import service as layers
from stillframe.qemu import machine
from stillframe.servers import rows
from stillframe.servers.machines import find_machine
from stillframe.servers.model import VmState
from stillframe.volumes import service as volumes

log = structlog.get_logger("stillframe.servers")


class DiskGuard:
    """Looks at the disks of servers only while the host has little room."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._stored: dict[str, int] = {}

    async def look(self, server_ids: Iterable[str]) -> None:
        """Of servers with a machine. Call it again and again: only what has grown since the last look is paused."""
        if not await asyncio.to_thread(self._is_nearly_full):
            self._stored = {}
            return
        stored = await self._stored_bytes(list(server_ids))
        grown = [an_id for an_id, now in stored.items() if now > self._stored.get(an_id, now)]
        self._stored = stored
        for server_id in grown:
            try:
                await self._pause(server_id)
            except StillframeError as error:
                log.warning("servers.not_paused", server=server_id, error=error.message)

    def _is_nearly_full(self) -> bool:
        found = os.statvfs(self._resources.layout.root)
        return found.f_bavail * found.f_frsize < self._resources.settings.host_disk_reserve_bytes // 2

    async def _stored_bytes(self, server_ids: list[str]) -> dict[str, int]:
        """What the files that each server writes to take up."""
        layout = self._resources.layout
        async with self._resources.database.reading() as tx:
            attached = await volumes.list_attached(tx, server_ids)
            tops = {
                server_id: [(await layers.chain(tx, layout, disk.layer_id))[0].path for disk in disks if disk.layer_id]
                for server_id, disks in attached.items()
            }
        return {server_id: sum(_blocks(path) for path in paths) for server_id, paths in tops.items()}

    async def _pause(self, server_id: str) -> None:
        """Held by its row, so that no job begins meanwhile."""
        async with self._resources.database.writing() as tx:
            server = await rows.get_server(tx, server_id, lock=True)
            running = await find_machine(self._resources, server_id)
            if server is None or running is None or server.vm_state is not VmState.ACTIVE or server.task_state:
                return
            await machine.freeze(running)
            await rows.replace_server(tx, replace(server, vm_state=VmState.PAUSED, updated_at=utcnow()))
        log.warning("servers.paused_because_the_disk_is_full", server=server_id)


def _blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks
    except FileNotFoundError:
        return 0
