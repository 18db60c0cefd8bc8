"""Bounds what all disks of a machine together may do in a second, so that one guest leaves some of the host's disk."""

import msgspec

from stillframe.qemu import qmp
from stillframe.qemu.hotplug import PERIPHERALS
from stillframe.qemu.machine_spec import RunningMachine

_DISK = "virtio-disk"


class DiskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """0 is no bound."""

    operations_per_s: int
    bytes_per_s: int


async def bound_disks(machine: RunningMachine, limits: DiskLimits) -> None:
    """Of the disks it has now; they share one budget, which the host's page cache does not count against. Safe to
    repeat.

    Raises: UnavailableError, ToolFailedError.
    """
    each = {"iops_rd": 0, "iops_wr": 0, "bps_rd": 0, "bps_wr": 0, "group": "disks"}
    total = {"iops": limits.operations_per_s, "bps": limits.bytes_per_s}
    async with qmp.connected(machine.run_dir) as client:
        for entry in await client.execute("qom-list", {"path": PERIPHERALS}):
            if entry["name"].startswith(_DISK):
                # The card is a shell around the device that has the disk.
                path = f"{PERIPHERALS}/{entry['name']}/virtio-backend"
                await client.execute("block_set_io_throttle", {"id": path, **each, **total})
