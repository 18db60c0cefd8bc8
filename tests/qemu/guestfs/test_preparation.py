"""Real disks, looked into and changed by libguestfs in its appliance, in the sandbox; read back by e2fsprogs.

One disk and one run serve every test here, for each start of the appliance costs seconds under emulation.
"""

from pathlib import Path

import pytest

from stillframe.guest import appliance
from stillframe.qemu import img
from stillframe.qemu.guestfs.model import Preparation
from stillframe.qemu.guestfs.runner import prepare_guest
from tests.qemu.guestfs.guests import ROOT_UUID, debian_disk, file_in

pytestmark = [
    pytest.mark.boot,
    pytest.mark.xdist_group("guestfs"),
    pytest.mark.skipif(not appliance.is_installed(), reason=f"LIBGUESTFS IS NOT HERE: install {appliance.PACKAGE}"),
]


class Prepared:
    def __init__(self, base: Path, top: Path, told: Preparation) -> None:
        self.base = base
        self.top = top
        self.told = told

    def file(self, name: str) -> str | None:
        return file_in(self.top, name)


@pytest.fixture(scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory = tmp_path_factory.mktemp("guest")
    base = debian_disk(directory / "base.qcow2")
    before = base.path.read_bytes()
    top = type(base)(directory / "top.qcow2", "qcow2")
    await img.create_overlay(top.path, (base,), await img.virtual_size(base))
    told = await prepare_guest((top, base))
    assert base.path.read_bytes() == before
    assert (await img.check(top)).is_sound
    return Prepared(base.path, top.path, told)


async def test_the_operating_system_is_found_on_the_way(prepared: Prepared) -> None:
    system = prepared.told.inspection.system
    assert system is not None
    assert (system.os_type, system.distro, system.major, system.minor, system.arch) == (
        "linux",
        "debian",
        12,
        5,
        "x86_64",
    )
    assert prepared.told.inspection.firmware == "bios"


async def test_cards_ask_for_addresses_and_no_rule_remembers_old_ones(prepared: Prepared) -> None:
    interfaces = prepared.file("etc/network/interfaces") or ""
    assert "iface eth0 inet dhcp" in interfaces
    assert "192.168.1" not in interfaces
    assert "iface any-card inet dhcp" in interfaces
    assert "mtu 1400" in interfaces
    assert prepared.file("etc/udev/rules.d/70-persistent-net.rules") is None
    assert prepared.file("etc/udev/rules.d/60-mine.rules") == "# stays\n"


async def test_file_systems_are_named_by_uuid_where_they_are_on_the_disk(prepared: Prepared) -> None:
    fstab = prepared.file("etc/fstab") or ""
    assert f"UUID={ROOT_UUID}  /  ext4" in fstab
    assert "/dev/sdb1  /data" in fstab
    assert any("/dev/sdb1 keeps its name" in note for note in prepared.told.notes)
    assert f"root=UUID={ROOT_UUID} ro" in (prepared.file("boot/grub/grub.cfg") or "")
    assert f'"root=UUID={ROOT_UUID}"' in (prepared.file("etc/default/grub") or "")


async def test_two_servers_made_from_it_share_no_identity(prepared: Prepared) -> None:
    assert prepared.file("etc/machine-id") == ""
    assert prepared.file("etc/ssh/ssh_host_ed25519_key") is None
    assert prepared.file("etc/ssh/ssh_host_ed25519_key.pub") is None
    assert prepared.file("etc/ssh/sshd_config") == "PermitRootLogin no\n"
    assert "ssh-keygen -A" in (prepared.file("etc/systemd/system/generate-ssh-host-keys.service") or "")


async def test_its_past_is_gone(prepared: Prepared) -> None:
    for name in ("var/lib/cloud/data/instance-id", "var/log/syslog", "var/log/apt/history.log", "root/.bash_history"):
        assert prepared.file(name) is None, name
    assert prepared.file("var/log/journal/0123456789abcdef0123456789abcdef/system.journal") is None
    assert prepared.file("var/lib/cloud/seed/nocloud/meta-data") == "instance-id: mine\n"


async def test_an_initramfs_without_virtio_is_made_anew_by_the_guest_itself(prepared: Prepared) -> None:
    assert "virtio_blk\n" in (prepared.file("etc/initramfs-tools/modules") or "")
    assert "virtio_blk.ko" in (prepared.file("var/lib/initramfs-content") or "")


async def test_all_that_was_changed_is_told_and_left_in_the_guest(prepared: Prepared) -> None:
    told = "\n".join(prepared.told.changes)
    for name in (
        "70-persistent-net.rules",
        "interfaces",
        "fstab",
        "grub.cfg",
        "machine-id",
        "ssh_host",
        "cloud",
        "/var/log",
    ):
        assert name in told, name
    record = prepared.file("var/log/rainbow_modification_record.log") or ""
    assert all(change in record for change in prepared.told.changes)
