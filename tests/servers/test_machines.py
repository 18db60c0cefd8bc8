"""Servers with real machines: the whole life of one, its console, and machines that end by themselves."""

import asyncio
import base64
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from stillframe.qemu import machine, qmp
from stillframe.servers import console
from stillframe.servers import service as servers
from stillframe.servers.disk_guard import DiskGuard
from stillframe.servers.machines import find_machine, start_machine, stop_machine
from stillframe.servers.model import Server, ServerStatus
from stillframe.servers.watch import MachineWatch
from tests.servers.world import World, caller, open_world, private_database

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("boot")]

BOOT_TIMEOUT_S = 90.0
FILL = """#!/bin/sh
echo filling
while :; do dd if=/dev/urandom of=/root/fill bs=64k count=64 conv=fsync 2>/dev/null; rm /root/fill; done
"""
T = TypeVar("T")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with private_database(tmp_path) as database, open_world(database, tmp_path, bootable=True) as opened:
        yield opened
        for directory in opened.resources.layout.machines_dir.iterdir():
            await stop_machine(opened.resources, directory.name, 0)


async def booted(world: World, **wanted: str) -> Server:
    server = await world.create(**wanted)
    await world.run_jobs()
    return await in_status(world, server.id, ServerStatus.ACTIVE)


async def in_status(world: World, server_id: str, status: ServerStatus) -> Server:
    server = await world.server(server_id)
    assert server is not None
    assert server.status is status, server.fault
    return server


async def until(condition: Callable[[], Awaitable[T]], timeout_s: float = 20.0) -> T:
    """What the condition gives, as soon as it is something."""
    async with asyncio.timeout(timeout_s):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.1)


async def console_says(world: World, server_id: str, pattern: str) -> str:
    async def look() -> str:
        found = re.search(pattern, await console.read_console(world.resources.layout, server_id))
        return found[0] if found else ""

    return await until(look, BOOT_TIMEOUT_S)


async def soon(world: World, server_id: str, status: ServerStatus) -> None:
    async def look() -> bool:
        server = await world.server(server_id)
        return server is not None and server.status is status

    await until(look)


async def run(world: World, action: str, server_id: str, **more: bool) -> None:
    async with world.database.writing() as tx:
        if action == "reboot":
            await servers.reboot_server(tx, caller(), world.settings, server_id, **more)
        else:
            await getattr(servers, f"{action}_server")(tx, caller(), world.settings, server_id)
    await world.run_jobs()


async def test_a_server_lives_its_whole_life(world: World) -> None:
    """Created, booted with its metadata, stopped by its guest, started with its data still there, rebooted, deleted."""
    script = "IyEvYmluL3NoCmVjaG8gZnJvbS11c2VyLWRhdGEgPi9yb290L21hcmtlcjsgc3luYwo="
    server = await booted(world, user_data=script, name="Web Server 1")
    assert server.launched_at is not None
    await console_says(world, server.id, f"instance {server.id}")
    await console_says(world, server.id, "user data ended with 0")

    await run(world, "stop", server.id)
    await in_status(world, server.id, ServerStatus.SHUTOFF)
    assert await find_machine(world.resources, server.id) is None

    await run(world, "start", server.id)
    await in_status(world, server.id, ServerStatus.ACTIVE)
    assert await console_says(world, server.id, r"marker from-user-data")

    before = await find_machine(world.resources, server.id)
    await run(world, "reboot", server.id, hard=True)
    after = await find_machine(world.resources, server.id)
    await in_status(world, server.id, ServerStatus.ACTIVE)
    assert after is not None
    assert before != after

    await run(world, "delete", server.id)
    assert await world.server(server.id) is None
    assert not machine.is_alive(after)
    assert not world.resources.layout.machine_dir(server.id).exists()


async def test_a_machine_that_ends_shows_as_shutoff_and_its_console_stays_small(world: World) -> None:
    world.choose(console_log_limit_bytes=2000)
    server = await booted(world)
    watch = MachineWatch(world.resources)
    await watch.find_machines()
    watching = asyncio.create_task(watch.run())
    try:
        await console_says(world, server.id, "[#$] ")
        log = world.resources.layout.console_log(server.id)

        async def is_small() -> bool:
            return log.stat().st_size <= 2000

        await until(is_small)
        running = await find_machine(world.resources, server.id)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        await soon(world, server.id, ServerStatus.SHUTOFF)

        await run(world, "start", server.id)
        await asyncio.sleep(1.5)
        again = await find_machine(world.resources, server.id)
        assert again is not None
        await machine.stop(again, 0)
        await soon(world, server.id, ServerStatus.SHUTOFF)
    finally:
        watching.cancel()


async def test_a_worker_finds_machines_again_and_notices_those_that_are_gone(world: World) -> None:
    kept, lost = await booted(world), await booted(world)
    await stop_machine(world.resources, lost.id, 0)
    await MachineWatch(world.resources).find_machines()
    await in_status(world, kept.id, ServerStatus.ACTIVE)
    await in_status(world, lost.id, ServerStatus.SHUTOFF)


async def test_who_fills_the_hosts_disk_is_paused(world: World) -> None:
    server = await booted(world, user_data=base64.b64encode(FILL.encode()).decode())
    await console_says(world, server.id, "filling")
    running = await find_machine(world.resources, server.id)
    assert running is not None
    assert os.getpriority(os.PRIO_PROCESS, running.pid) == 5
    path = "/machine/peripheral/virtio-disk0/virtio-backend"
    async with qmp.connected(running.run_dir) as client:
        bounds = {entry["qdev"]: entry["inserted"] for entry in await client.execute("query-block")}[path]
    assert (bounds["iops"], bounds["bps"]) == (4000, 256 * 1024**2)

    enough = DiskGuard(world.resources)
    world.choose(host_disk_reserve_bytes=2**62)
    too_little = DiskGuard(world.resources)

    async def is_paused() -> bool:
        await too_little.look([server.id])
        found = await world.server(server.id)
        return found is not None and found.status is ServerStatus.PAUSED

    for _ in range(2):
        await enough.look([server.id])
        await in_status(world, server.id, ServerStatus.ACTIVE)
    await until(is_paused, BOOT_TIMEOUT_S)
    async with qmp.connected(running.run_dir) as client:
        assert await client.query_status() == "paused"


async def test_starting_twice_makes_one_machine(world: World) -> None:
    """The step of a worker that died between starting the machine and noting it."""
    server = await world.create()
    creation = await world.job(server.job_id or "")
    await world.run_step(creation, "disk")
    first = None
    for _ in range(2):
        await start_machine(world.resources, server.id)
        found = await find_machine(world.resources, server.id)
        assert found is not None
        assert first in {None, found}
        first = found
    await world.run_step(creation, "spawn")
    await in_status(world, server.id, ServerStatus.ACTIVE)


async def test_a_server_is_deleted_while_it_waits_for_its_guest_to_stop(world: World) -> None:
    """The guest has hardly begun to boot and does not hear the power button; the deletion does not wait for it."""
    world.choose(machine_stop_timeout_s=600.0)
    server = await booted(world)
    async with world.database.writing() as tx:
        stop = await servers.stop_server(tx, caller(), world.settings, server.id)
    stopping = asyncio.create_task(world.carry_out(stop))
    await asyncio.sleep(0.5)
    async with world.database.writing() as tx:
        await servers.delete_server(tx, caller(), world.settings, server.id)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    await world.run_jobs()
    assert await world.server(server.id) is None
