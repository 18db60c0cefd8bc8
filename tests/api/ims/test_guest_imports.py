"""Guests on imported disks, through the door: found out where the caller has not said, prepared where it is wanted.

What becomes of each file is tested in tests/qemu/guestfs; each start of the appliance costs seconds, so there are few.
"""

from pathlib import Path
from typing import Any

import pytest

from stillframe.guest import appliance
from tests.api.ims import importing
from tests.api.ims.importing import import_image, put, show
from tests.qemu.guestfs.guests import ROOT_UUID, debian_disk, file_in, open_euler_disk
from tests.system import System

pytestmark = pytest.mark.boot
needs_libguestfs = pytest.mark.skipif(
    not appliance.is_installed(), reason=f"LIBGUESTFS IS NOT HERE: install {appliance.PACKAGE}"
)
GENEROUS_S = 280.0


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return debian_disk(tmp_path_factory.mktemp("guest") / "debian.qcow2").path


def begin(system: System, url: str, **body: Any) -> str:
    answer = importing.post(system, "/v2/cloudimages/action", name="guest", image_url=url, min_disk=1, **body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


@needs_libguestfs
@pytest.mark.timeout(600)
@pytest.mark.parametrize("system", ["sqlite"], indirect=True)
def test_a_prepared_guest_is_in_the_image_and_the_job_says_what_was_changed(
    system: System, debian: Path, tmp_path: Path
) -> None:
    job = system.wait_for_job(begin(system, put(system, "prepared", debian), is_config=True), GENEROUS_S)
    assert job["status"] == "SUCCESS", job
    changes = "\n".join(job["entities"]["guest_changes"])
    assert "/etc/fstab: devices named by UUID" in changes
    assert "/etc/machine-id: emptied" in changes
    assert any("/dev/sdb1 keeps its name" in note for note in job["entities"]["guest_notes"])

    image = show(system, job["entities"]["image_id"])
    assert image["status"] == "active"
    assert (image["__os_type"], image["__platform"], image["__os_bit"]) == ("Linux", "Debian", "64")
    assert image["__os_version"] == "Debian GNU/Linux 12.0.0 64bit"
    stored = tmp_path / "stored.qcow2"
    stored.write_bytes(importing.data_of(system, image["id"]))
    assert f"UUID={ROOT_UUID}  /" in (file_in(stored, "etc/fstab") or "")
    assert importing.leftovers(system) == []
    importing.delete(system, image["id"])


@needs_libguestfs
@pytest.mark.timeout(600)
@pytest.mark.parametrize("system", ["sqlite"], indirect=True)
def test_a_guest_is_found_out_and_left_as_it_is_where_nobody_asks_for_more(system: System, tmp_path: Path) -> None:
    disk = open_euler_disk(tmp_path / "guest.qcow2").path
    job = system.wait_for_job(begin(system, put(system, "found", disk), os_type="Linux"), GENEROUS_S)
    assert job["status"] == "SUCCESS", job
    assert set(job["entities"]) == {"image_id", "image_name"}
    image = show(system, job["entities"]["image_id"])
    assert (image["__os_version"], image["__platform"]) == ("openEuler 24.03 64bit", "openEuler")
    assert image["hw_firmware_type"] == "uefi"
    assert importing.data_of(system, image["id"]) == disk.read_bytes()
    importing.delete(system, image["id"])


def test_what_the_caller_says_stands_and_quick_imports_are_not_looked_into(system: System, tmp_path: Path) -> None:
    """With the sector that any disk must have to be looked into."""
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(510) + b"\x55\xaa" + bytes(1024 * 1024 - 512))
    url = put(system, "quick", raw)
    said = "Ubuntu 22.04 server 64bit"
    quick = import_image(system, url, "/v2/cloudimages/quickimport/action", os_version=said)
    plain = import_image(system, url, os_version=said)
    for job in (quick, plain):
        assert job["status"] == "SUCCESS", job
        assert set(job["entities"]) == {"image_id", "image_name"}
        assert show(system, job["entities"]["image_id"])["__os_version"] == said
        importing.delete(system, job["entities"]["image_id"])
