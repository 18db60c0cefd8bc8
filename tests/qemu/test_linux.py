"""One real operating system in a machine of ours, with all it is given: disk, config drive, network, power button."""

import asyncio
import uuid
from pathlib import Path

import pytest

from stillframe.guest import default_cache_dir, public_image
from stillframe.qemu import img, machine
from stillframe.qemu.configdrive import build_config_drive
from stillframe.qemu.machine import DiskSpec, MachineSpec, NicSpec, StoppedBy
from stillframe.qemu.model import ChainLink
from tests.qemu.disks import GIB

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("guest")]

PORT_ID = str(uuid.uuid4())
USER_DATA = """#!/bin/bash
echo "probe: host $(hostname)"
echo "probe: disks $(ls /dev | grep -c '^vd[a-z]$')"
echo "probe: card $(cat /sys/class/net/eth0/address)"
"""


async def test_linux_finds_its_disk_its_metadata_its_card_and_its_power_button(tmp_path: Path) -> None:
    base = ChainLink(await asyncio.to_thread(public_image, default_cache_dir()), "qcow2")
    top = ChainLink(tmp_path / "top.qcow2", "qcow2")
    await img.create_overlay(top.path, (base,), GIB)
    server_id = str(uuid.uuid4())
    drive = tmp_path / "config-drive.iso"
    meta_data = {"uuid": server_id, "hostname": "harbour"}
    await build_config_drive(drive, meta_data=meta_data, user_data=USER_DATA.encode())
    spec = MachineSpec(
        server_id=server_id,
        run_dir=tmp_path,
        memory_mib=256,
        vcpus=1,
        disks=(DiskSpec(chain=(top, base), device_index=0),),
        accelerator="tcg",
        config_drive=drive,
        nics=(NicSpec(port_id=PORT_ID, mac="fa:16:3e:00:00:07"),),
    )
    running = await machine.start(spec)
    try:
        console = await read_until(spec.run_dir, "stillframe: ready")
        assert "probe: host harbour" in console
        assert "probe: card fa:16:3e:00:00:07" in console
        assert "probe: disks 2" in console
        assert await machine.stop(running, 30) is StoppedBy.GUEST
    finally:
        await machine.kill(running)
    assert (await img.check(top)).is_sound


async def read_until(run_dir: Path, text: str) -> str:
    async with asyncio.timeout(120):
        while text not in (console := await machine.read_console(run_dir)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return console
