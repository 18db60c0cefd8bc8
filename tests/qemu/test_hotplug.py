"""Disks plugged into a running Linux and out of it again."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stillframe.guest import default_cache_dir, public_image
from stillframe.qemu import hotplug, img, machine, nic_hotplug, sockets
from stillframe.qemu.machine import DiskSpec, MachineSpec, NicSpec, RunningMachine
from stillframe.qemu.machine_spec import nic_socket
from stillframe.qemu.model import ChainLink
from tests.qemu.disks import MIB

pytestmark = pytest.mark.boot


@dataclass
class Guest:
    running: RunningMachine
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def run(self, command: str) -> str:
        """What the command says on the guest's console."""
        mark = uuid.uuid4().hex
        self.writer.write(f"{command}; echo {mark[:9]}''{mark[9:]}\n".encode())
        async with asyncio.timeout(60):
            return (await self.reader.readuntil(mark.encode())).decode(errors="replace")


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    base = ChainLink(public_image(default_cache_dir()), "qcow2")
    top = ChainLink(tmp_path / "top.qcow2", "qcow2")
    await img.create_overlay(top.path, (base,), 256 * MIB)
    server_id = str(uuid.uuid4())
    run_dir = tmp_path / server_id
    run_dir.mkdir()
    spec = MachineSpec(
        server_id=server_id,
        run_dir=run_dir,
        memory_mib=192,
        vcpus=1,
        disks=(DiskSpec(chain=(top, base), device_index=0),),
        accelerator="tcg",
    )
    running = await machine.start(spec)
    try:
        reader, writer = await asyncio.open_connection(sock=await machine.connect_console(run_dir))
        async with asyncio.timeout(120):
            await reader.readuntil(b"stillframe: ready")
        writer.write(b"\n")
        yield Guest(running, reader, writer)
        writer.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            await machine.kill(running)


def open_files(pid: int) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}


async def test_a_disk_comes_and_goes_with_what_was_written(guest: Guest, tmp_path: Path) -> None:
    below, above = tmp_path / "below.qcow2", tmp_path / "above.qcow2"
    await img.create_blank(below, 16 * MIB)
    await img.create_overlay(above, (ChainLink(below, "qcow2"),), 16 * MIB)
    disk = DiskSpec(chain=(ChainLink(above, "qcow2"), ChainLink(below, "qcow2")), device_index=5, serial="data-1")
    await hotplug.plug(guest.running, disk)
    await hotplug.plug(guest.running, disk)
    assert await hotplug.is_plugged(guest.running, 5)
    await guest.run("until [ -b /dev/vdb ]; do sleep 0.1; done; echo kept | dd of=/dev/vdb conv=fsync")
    await hotplug.unplug(guest.running, 5, 60)
    await hotplug.unplug(guest.running, 5, 60)
    assert not await hotplug.is_plugged(guest.running, 5)
    assert not {str(above), str(below)} & open_files(guest.running.pid)
    await hotplug.plug(guest.running, disk)
    assert "kept" in await guest.run("until [ -b /dev/vdb ]; do sleep 0.1; done; head -c 4 /dev/vdb")


async def test_a_network_card_comes_and_goes_and_comes_again(guest: Guest) -> None:
    nic = NicSpec(port_id=str(uuid.uuid4()), mac="fa:16:3e:00:00:09", device_index=3)
    run_dir = guest.running.run_dir
    for _ in range(2):
        await nic_hotplug.plug(guest.running, nic)
        await nic_hotplug.plug(guest.running, nic)
        assert "found-it" in await guest.run(
            "until grep -q 00:09 /sys/class/net/*/address; do sleep 1; done; echo found-it"
        )
        with await sockets.connect(run_dir, nic_socket(nic.port_id)) as switch:
            await guest.run("ip link set $(ls /sys/class/net | grep -v lo) up")
            async with asyncio.timeout(60):
                frame = await asyncio.get_running_loop().sock_recv(switch, 2048)
            assert frame[10:16] == bytes.fromhex("fa163e000009")
        await nic_hotplug.unplug(guest.running, nic.port_id, 60)
        await nic_hotplug.unplug(guest.running, nic.port_id, 60)
        assert not (run_dir / nic_socket(nic.port_id)).exists()
        assert "fa:16" not in await guest.run("cat /sys/class/net/*/address")
