"""Ending the machines of a data directory whose service is stopped."""

import asyncio

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.qemu import machine


def end_machines(settings: Settings) -> int:
    """Kills every machine and returns how many ran. Only a machine that carries a server's id is touched."""
    return asyncio.run(_end_all(DataLayout(settings.data_dir)))


async def _end_all(layout: DataLayout) -> int:
    if not layout.machines_dir.is_dir():
        return 0
    ended = 0
    for run_dir in sorted(layout.machines_dir.iterdir()):
        running = await machine.find(run_dir, run_dir.name)
        if running is not None:
            await machine.kill(running)
            ended += 1
    return ended
