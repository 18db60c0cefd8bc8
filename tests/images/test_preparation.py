"""The parts of an import that look into a guest; what is done to its files is tested where the files are."""

from pathlib import Path

import pytest

from stillframe.errors import GuestToolsMissingError
from stillframe.images.preparation import (
    GuestReport,
    detect_operating_system,
    keep_changes,
    prepare_above,
    require_guest_tools,
)
from stillframe.qemu import img
from stillframe.qemu.guestfs import runner
from stillframe.qemu.model import ChainLink
from tests.qemu.disks import MIB, tool, write_pattern
from tests.qemu.guests import boot_sector, bootable_disk


async def test_a_disk_that_starts_on_no_machine_is_not_looked_into(tmp_path: Path) -> None:
    disk = ChainLink(tmp_path / "disk.qcow2", "qcow2")
    await img.create_blank(disk.path, MIB)
    assert await detect_operating_system(disk, os_type="Windows") == GuestReport()


@pytest.fixture
def no_libguestfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host where the package is not installed: the system's Python has no binding."""
    monkeypatch.setattr("stillframe.guest.appliance.PYTHON", "/bin/false")


@pytest.mark.usefixtures("no_libguestfs")
async def test_where_libguestfs_is_not_installed_the_package_is_named(tmp_path: Path) -> None:
    disk = ChainLink(bootable_disk(tmp_path / "disk.qcow2", boot_sector("hello")), "qcow2")
    with pytest.raises(GuestToolsMissingError, match="python3-guestfs"):
        await require_guest_tools()
    with pytest.raises(GuestToolsMissingError, match="python3-guestfs"):
        await prepare_above(disk, tmp_path / "overlay.qcow2")
    report = await detect_operating_system(disk)
    assert report.system is None
    assert "python3-guestfs" in report.notes[0]
    assert runner.PACKAGE == "python3-guestfs"


async def test_changes_are_kept_once_and_whoever_repeats_that_changes_nothing(tmp_path: Path) -> None:
    disk = ChainLink(tmp_path / "disk.qcow2", "qcow2")
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(disk.path), "8M")
    write_pattern(disk.path, 1, "0", "2M")
    overlay = tmp_path / "overlay.qcow2"
    await img.create_overlay(overlay, (disk,), 8 * MIB)
    write_pattern(overlay, 2, "1M", "64k")
    shown = tmp_path / "shown.qcow2"
    await img.consolidate((ChainLink(overlay, "qcow2"), disk), shown)
    for _ in range(2):
        await keep_changes(disk, overlay)
        assert not overlay.exists()
        assert await img.compare((disk,), (ChainLink(shown, "qcow2"),))
