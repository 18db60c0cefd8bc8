"""The public image in real machines: one disk, booted twice as one instance and once more, larger, as another."""

import re
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from stillframe.guest import default_cache_dir, public_image
from tests.guest.machine import running_machine, write_config_drive

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("guest")]

FIRST_INSTANCE, SECOND_INSTANCE = str(uuid.uuid4()), str(uuid.uuid4())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK tester"

USER_DATA = r"""#!/bin/bash
echo "user data: host $(hostname), shell ${BASH_VERSION%%.*}"
echo "user data: root of $(df -m / | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2) MiB"
echo "user data: address $(cat /run/address)"
sed 's/^/user data: key /' /root/.ssh/authorized_keys
echo -n x >>/root/marker
"""


@dataclass(frozen=True)
class Consoles:
    """What each of the three boots has said."""

    first: str
    second: str
    as_another_instance: str
    disk_bytes_used: int


@pytest.fixture(scope="module")
async def consoles(tmp_path_factory: pytest.TempPathFactory) -> Consoles:
    directory = tmp_path_factory.mktemp("guest")
    disk, seed = directory / "disk.qcow2", directory / "seed.iso"
    image = public_image(default_cache_dir())
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", disk, "1G")
    write_config_drive(seed, metadata(FIRST_INSTANCE, "first"), USER_DATA)
    first = await boot(disk, seed)
    second = await boot(disk, seed, command="echo shell-$((40 + 2))", answer="\nshell-42\n")
    qemu_img("resize", "-f", "qcow2", disk, "100G")
    write_config_drive(seed, metadata(SECOND_INSTANCE, "second"), USER_DATA)
    third = await boot(disk, seed)
    return Consoles(first, second, third, disk.stat().st_blocks * 512)


def qemu_img(command: str, *arguments: str | Path) -> None:
    subprocess.run(["qemu-img", command, "-q", *arguments], check=True)


def metadata(instance: str, hostname: str) -> dict[str, object]:
    return {"uuid": instance, "hostname": hostname, "public_keys": {'odd "name"/': f"{KEY}\n"}, "launch_index": 0}


async def boot(disk: Path, seed: Path, *, command: str = "", answer: str = "") -> str:
    async with running_machine(disk, config_drive=seed) as machine:
        await machine.wait_for("stillframe: ready\n")
        if command:
            await machine.type(command)
            await machine.wait_for(answer)
        await machine.press_power_button()
        return machine.console


def test_the_boot_is_counted_on_the_disk(consoles: Consoles) -> None:
    assert re.search(r"^stillframe: boot 1 after \d+\.\d+ s$", consoles.first, re.MULTILINE)
    assert re.search(r"^stillframe: boot 2 after ", consoles.second, re.MULTILINE)
    assert re.search(r"^stillframe: boot 3 after ", consoles.as_another_instance, re.MULTILINE)


def test_the_config_drive_says_which_instance_it_is(consoles: Consoles) -> None:
    assert f"stillframe: instance {FIRST_INSTANCE}\n" in consoles.first
    assert f"stillframe: instance {FIRST_INSTANCE}\n" in consoles.second
    assert f"stillframe: instance {SECOND_INSTANCE}\n" in consoles.as_another_instance


def test_user_data_runs_once_for_each_instance(consoles: Consoles) -> None:
    assert "stillframe: user data ended with 0\n" in consoles.first
    assert "user data" not in consoles.second
    assert "stillframe: user data ended with 0\n" in consoles.as_another_instance


def test_what_was_written_is_there_after_the_power_button(consoles: Consoles) -> None:
    assert "stillframe: marker" not in consoles.first
    assert "stillframe: marker x\n" in consoles.second
    assert "stillframe: marker x\n" in consoles.as_another_instance


def test_the_host_name_and_the_keys_are_those_of_the_config_drive(consoles: Consoles) -> None:
    assert "user data: host first, shell 5\n" in consoles.first
    assert "user data: host second, shell 5\n" in consoles.as_another_instance
    assert consoles.first.count(f"user data: key {KEY}\n") == 1
    assert consoles.as_another_instance.count(f"user data: key {KEY}\n") == 1


def test_the_root_file_system_reaches_the_end_of_the_disk(consoles: Consoles) -> None:
    assert 900 < root_size_mib(consoles.first) < 1024
    assert 98 * 1024 < root_size_mib(consoles.as_another_instance) < 100 * 1024


def test_growing_to_100_gib_writes_little(consoles: Consoles) -> None:
    assert consoles.disk_bytes_used < 64 * 1024**2


def root_size_mib(console: str) -> int:
    found = re.search(r"user data: root of (\d+) MiB", console)
    assert found
    return int(found[1])


def test_the_network_is_up_before_user_data_runs(consoles: Consoles) -> None:
    assert "user data: address 10.0.2.15\n" in consoles.first


def test_the_serial_console_has_a_shell(consoles: Consoles) -> None:
    assert "root@first:~# " in consoles.second
    assert "\nshell-42\n" in consoles.second


async def test_a_machine_without_a_config_drive_boots_too(tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    image = public_image(default_cache_dir())
    qemu_img("create", "-f", "qcow2", "-b", image, "-F", "qcow2", disk)
    async with running_machine(disk) as machine:
        await machine.wait_for("stillframe: ready\n")
        await machine.press_power_button()
        assert "stillframe: instance" not in machine.console
