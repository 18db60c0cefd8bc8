"""Plugs disks into running machines and out of them.

Every function looks at the machine before it acts, so each can be repeated after a crash of ours at any point. A guest
has to let go of a disk: nothing can be taken from under it.
"""

import asyncio
import os
import re
import time
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

from stillframe.errors import DiskHeldByGuestError, ToolFailedError
from stillframe.qemu import qmp
from stillframe.qemu.graph import blockdev_node
from stillframe.qemu.machine_argv import disk_device
from stillframe.qemu.machine_spec import DiskSpec, RunningMachine
from stillframe.qemu.qmp import FILE_SETS, Qmp

log = getLogger("stillframe.qemu")

PERIPHERALS = "/machine/peripheral"
LOOK_INTERVAL_S = 0.2
ASK_INTERVAL_S = 5.0


async def plug(machine: RunningMachine, disk: DiskSpec) -> None:
    """The guest finds the disk in its slot. One that is there already is left alone.

    Raises: UnavailableError when the machine does not answer, ToolFailedError when QEMU refuses the disk; then nothing
    of it is left in the machine.
    """
    async with qmp.connected(machine.run_dir) as client:
        if await has_device(client, disk.device_id):
            return
        await _remove_nodes(client, disk.device_index)
        try:
            await client.execute("blockdev-add", await _node(client, disk))
            await client.execute("device_add", dict(disk_device(disk)))
        except (ToolFailedError, OSError) as error:
            await _remove_nodes(client, disk.device_index)
            cause = getattr(error, "cause", error)
            raise ToolFailedError("The disk cannot be attached to the running server.", cause=cause) from error
    log.info("machine %s has got disk %d", machine.server_id, disk.device_index)


async def unplug(machine: RunningMachine, device_index: int, deadline_s: float) -> None:
    """The disk's files are closed on return. A disk that is not there is none to be taken.

    Raises: DiskHeldByGuestError when the guest does not let go in time; UnavailableError, ToolFailedError.
    """
    device_id = DiskSpec(chain=(), device_index=device_index).device_id
    deadline, ask_at = time.monotonic() + deadline_s, 0.0
    while True:
        async with qmp.connected(machine.run_dir) as client:
            if not await has_device(client, device_id):
                await _remove_nodes(client, device_index)
                break
            now = time.monotonic()
            if now >= ask_at:
                # Again from time to time: a guest that is still booting forgets the first. QEMU refuses while it waits.
                with suppress(ToolFailedError):
                    await client.execute("device_del", {"id": device_id})
                ask_at = now + ASK_INTERVAL_S
        if now > deadline:
            raise DiskHeldByGuestError
        # Without a connection meanwhile: QEMU serves one at a time, and the server may be stopped at any moment.
        await asyncio.sleep(LOOK_INTERVAL_S)
    log.info("machine %s has given disk %d back", machine.server_id, device_index)


async def resize(machine: RunningMachine, device_index: int, size_bytes: int) -> None:
    """Makes a disk larger under the guest, which is told. Safe to repeat.

    Raises: UnavailableError, ToolFailedError.
    """
    device_id = DiskSpec(chain=(), device_index=device_index).device_id
    async with qmp.connected(machine.run_dir) as client:
        node = await client.execute("qom-get", {"path": f"{PERIPHERALS}/{device_id}", "property": "drive"})
        await client.execute("block_resize", {"node-name": node, "size": size_bytes})


async def is_plugged(machine: RunningMachine, device_index: int) -> bool:
    """Raises: UnavailableError."""
    async with qmp.connected(machine.run_dir) as client:
        return await has_device(client, DiskSpec(chain=(), device_index=device_index).device_id)


async def has_device(client: Qmp, device_id: str) -> bool:
    found = await client.execute("qom-list", {"path": PERIPHERALS})
    return any(entry["name"] == device_id for entry in found)


async def _node(client: Qmp, disk: DiskSpec) -> dict[str, Any]:
    names: dict[Path, str] = {}
    for depth, link in enumerate(disk.chain):
        flags = os.O_RDWR if disk.writable and depth == 0 else os.O_RDONLY
        names[link.path] = await client.pass_file(link.path, flags, disk.node_name)
    return blockdev_node(disk.chain, name=disk.node_name, writable=disk.writable, file_name=lambda path: names[path])


async def _remove_nodes(client: Qmp, device_index: int) -> None:
    """What QEMU has of a disk that no device uses: its nodes, and the files opened for them."""
    label = f"disk{device_index}"
    own = re.compile(rf"{label}(-.*)?")
    nodes = await client.execute("query-named-block-nodes", {"flat": True})
    names = {node["node-name"] for node in nodes if own.fullmatch(node["node-name"])}
    file_sets = {node["file"] for node in nodes if node["node-name"] in names}
    # One that lies below another goes after it, and those nobody has added by themselves with the one above.
    while removed := {name for name in names if await _remove_node(client, name)}:
        names -= removed
    left = {node["file"] for node in await client.execute("query-named-block-nodes", {"flat": True})}
    for found in await client.execute("query-fdsets"):
        labelled = any(fd.get("opaque") == label for fd in found["fds"])
        name = f"{FILE_SETS}{found['fdset-id']}"
        if (labelled or name in file_sets) and name not in left:
            with suppress(ToolFailedError):
                await client.execute("remove-fd", {"fdset-id": found["fdset-id"]})


async def _remove_node(client: Qmp, name: str) -> bool:
    try:
        await client.execute("blockdev-del", {"node-name": name})
    except ToolFailedError:
        return False
    return True
