"""Imports from the object store, through the door of a running system."""

import hashlib
from pathlib import Path

import pytest

from tests.api.ims import importing
from tests.api.ims.importing import DRIVERS, SIZE, import_image, put, same_disk, show
from tests.system import System


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return importing.make_disks(tmp_path_factory.mktemp("disks"))


@pytest.mark.parametrize("name", DRIVERS)
def test_a_disk_of_every_format_is_found_by_its_content_and_reads_the_same(
    system: System, disks: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Whatever the object's name says, here that it is something else."""
    job = import_image(system, put(system, f"dir/{name}.iso", disks[name]))
    assert job["status"] == "SUCCESS", job
    assert job["job_type"] == "imsImportImageJob"
    assert set(job["entities"]) == {"image_id", "image_name"}
    image = show(system, job["entities"]["image_id"])
    assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", "qcow2", SIZE)
    assert same_disk(system, image, disks["raw"], tmp_path)
    stored = importing.data_of(system, image["id"])
    assert image["checksum"] == hashlib.md5(stored).hexdigest()  # noqa: S324 - what images have
    with system.http("image") as door:
        assert door.get(f"/v2/images/{image['id']}").json()["os_hash_value"] == hashlib.sha512(stored).hexdigest()
    assert image["size"] == len(stored)
    assert importing.leftovers(system) == []
    importing.delete(system, image["id"])


def test_a_clean_qcow2_file_is_kept_as_it_is(system: System, disks: dict[str, Path]) -> None:
    job = import_image(system, put(system, "as-it-is", disks["qcow2"]))
    assert importing.data_of(system, job["entities"]["image_id"]) == disks["qcow2"].read_bytes()
    importing.delete(system, job["entities"]["image_id"])
