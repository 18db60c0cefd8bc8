"""The machines of a data directory, looked for without the service."""

import asyncio

from stillframe.blobs.layout import DataLayout
from stillframe.qemu import machine
from stillframe.qemu.machine_spec import RunningMachine


def count_machines(layout: DataLayout) -> int:
    return len(asyncio.run(_find_all(layout)))


def end_machines(layout: DataLayout) -> int:
    """Kills every machine and returns how many ran. Only a machine that carries a server's id is touched."""
    return asyncio.run(_end_all(layout))


async def _find_all(layout: DataLayout) -> list[RunningMachine]:
    if not layout.machines_dir.is_dir():
        return []
    found = [await machine.find(run_dir, run_dir.name) for run_dir in sorted(layout.machines_dir.iterdir())]
    return [running for running in found if running is not None]


async def _end_all(layout: DataLayout) -> int:
    running = await _find_all(layout)
    for one in running:
        await machine.kill(one)
    return len(running)
