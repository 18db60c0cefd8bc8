"""Makes a running machine write to new layers from one moment on, the same for all of its disks.

What the guest has written until then is in the old files, which nobody changes any more: as after a power cut at that
moment.
"""

import os
from logging import getLogger
from pathlib import Path
from typing import Any

import msgspec

from stillframe.errors import ToolFailedError
from stillframe.qemu import qmp
from stillframe.qemu.graph import overlay_node
from stillframe.qemu.hotplug import PERIPHERALS
from stillframe.qemu.machine_spec import DiskSpec, RunningMachine
from stillframe.qemu.qmp import Qmp

log = getLogger("stillframe.qemu")


class NewTop(msgspec.Struct, frozen=True, kw_only=True):
    """An empty overlay for the disk in that place; `overlay_id` is a uuid, and tells it from any other."""

    device_index: int
    overlay_id: str
    path: Path

    @property
    def node_name(self) -> str:
        # QEMU takes at most 31 characters, and the file below is called a little longer.
        return f"{self._disk.node_name}-{self.overlay_id.replace('-', '')[:16]}"

    @property
    def device_path(self) -> str:
        return f"{PERIPHERALS}/{self._disk.device_id}"

    @property
    def _disk(self) -> DiskSpec:
        return DiskSpec(chain=(), device_index=self.device_index)


async def switch_tops(machine: RunningMachine, tops: list[NewTop]) -> None:
    """Of all disks in one moment, or of none. Safe to repeat: what has been done is seen and left.

    Raises: UnavailableError when the machine does not answer, ToolFailedError when QEMU refuses.
    """
    async with qmp.connected(machine.run_dir) as client:
        current = {top: await _top_node(client, top) for top in tops}
        if all(node == top.node_name for top, node in current.items()):
            return
        for top in tops:
            await _open(client, top)
        actions = [
            {"type": "blockdev-snapshot", "data": {"node": node, "overlay": top.node_name}}
            for top, node in current.items()
        ]
        await client.execute("transaction", {"actions": actions})
    log.info("machine %s writes to %d new layers", machine.server_id, len(tops))


async def _top_node(client: Qmp, top: NewTop) -> str:
    return str(await client.execute("qom-get", {"path": top.device_path, "property": "drive"}))


async def _open(client: Qmp, top: NewTop) -> None:
    """A node left over by an attempt that got no further is opened anew."""
    nodes: list[dict[str, Any]] = await client.execute("query-named-block-nodes", {"flat": True})
    if any(node["node-name"] == top.node_name for node in nodes):
        await client.execute("blockdev-del", {"node-name": top.node_name})
    try:
        name = await client.pass_file(top.path, os.O_RDWR, f"disk{top.device_index}")
    except OSError as error:
        raise ToolFailedError("A new layer of the disk is missing.", cause=error) from error
    await client.execute("blockdev-add", overlay_node(top.path, top.node_name, lambda _: name))
