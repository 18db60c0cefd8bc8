"""Imports from the object store, through the door of a running system."""

import asyncio
import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest

from stillframe.qemu.configdrive import build_config_drive
from tests.api.ims import importing
from tests.api.ims.importing import BUCKET, DRIVERS, SIZE, import_image, make_ova, packed, post, put, same_disk, show
from tests.qemu.disks import tool
from tests.system import System

DATA = "/v1/cloudimages/dataimages/action"
QUICK = "/v2/cloudimages/quickimport/action"
OS = {"os_version": "CentOS 7.3 64bit"}


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return importing.make_disks(tmp_path_factory.mktemp("disks"))


def test_disks_of_every_format_are_found_by_their_content_and_read_the_same(
    system: System, disks: dict[str, Path], tmp_path: Path
) -> None:
    """Whatever the object's name says, here that it is something else."""
    submitted = {
        name: post(system, "/v2/cloudimages/action", name=name, image_url=put(system, f"{name}.iso", disk), min_disk=1)
        for name, disk in disks.items()
    }
    assert disks.keys() == DRIVERS.keys()
    for name, answer in submitted.items():
        assert answer.status_code == 200, answer.text
        job = system.wait_for_job(answer.json()["job_id"])
        assert (job["status"], job["job_type"]) == ("SUCCESS", "imsImportImageJob"), (name, job)
        assert job["entities"] == {"image_id": job["entities"]["image_id"], "image_name": name}
        image = show(system, job["entities"]["image_id"])
        assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", "qcow2", SIZE)
        assert same_disk(system, image, disks["raw"], tmp_path), name
        importing.delete(system, image["id"])
    assert importing.leftovers(system) == []


def test_an_image_says_what_was_said_about_it(system: System, disks: dict[str, Path]) -> None:
    url = put(system, "dir/described.raw", disks["raw"])
    job = import_image(
        system,
        url,
        description="from a file",
        min_disk="2",
        min_ram=512,
        max_ram=1024,
        os_version="Ubuntu 18.04 server 64bit",
        is_config_init="true",
        hw_firmware_type="uefi",
        image_tags=[{"key": "a", "value": "1"}],
        enterprise_project_id="0",
    )
    image = show(system, job["entities"]["image_id"])
    told = {
        "name": "imported",
        "__description": "from a file",
        "min_disk": 2,
        "min_ram": 512,
        "max_ram": "1024",
        "__os_type": "Linux",
        "__os_version": "Ubuntu 18.04 server 64bit",
        "__platform": "Ubuntu",
        "__os_bit": "64",
        "__is_config_init": "true",
        "__data_origin": f"file,{url}",
        "__root_origin": "file",
        "__originalimagename": None,
        "__imagetype": "private",
        "visibility": "private",
        "virtual_env_type": "FusionCompute",
        "hw_firmware_type": "uefi",
        "architecture": "x86",
        "container_format": "bare",
        "tags": ["a=1"],
    }
    assert {name: image.get(name) for name in told} == told
    stored = importing.data_of(system, image["id"])
    assert (image["size"], image["__image_size"]) == (len(stored), str(len(stored)))
    assert image["checksum"] == hashlib.md5(stored).hexdigest()  # noqa: S324 - what images have
    with system.http("image") as door:
        assert door.get(f"/v2/images/{image['id']}").json()["os_hash_value"] == hashlib.sha512(stored).hexdigest()
    importing.delete(system, image["id"])


def test_a_clean_qcow2_file_is_kept_as_it_is_and_so_is_a_raw_disk_imported_quickly(
    system: System, disks: dict[str, Path]
) -> None:
    for name, path, body in (
        ("qcow2", "/v2/cloudimages/action", {"type": "BMS"}),
        ("raw", QUICK, OS),
        ("raw", "/v2.1/cloudimages/action", OS | {"is_quick_import": True}),
        ("raw", QUICK, {"type": "DataImage"}),
    ):
        job = import_image(system, put(system, "as-it-is", disks[name]), path, **body)
        assert job["status"] == "SUCCESS", job
        image = show(system, job["entities"]["image_id"])
        stored = importing.data_of(system, image["id"])
        assert stored == disks[name].read_bytes()
        assert (image["disk_format"], image["checksum"]) == (name, hashlib.md5(stored).hexdigest())  # noqa: S324
        kind = {"BMS": "Ironic", "DataImage": "DataImage"}.get(body.get("type", ""), "FusionCompute")
        assert image["virtual_env_type"] == kind
        importing.delete(system, image["id"])


@pytest.mark.parametrize("path", [DATA, "/v1/cloudimages/action"])
def test_a_data_disk_image_is_told_in_both_ways_that_clients_look_for(
    system: System, disks: dict[str, Path], path: str
) -> None:
    """On the path of the second, some clients want a data disk image and say so by what they leave out."""
    job = import_image(system, put(system, "data", disks["vhdx"]), path, os_type="Windows", tags=["a.b"])
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsImportDataImageJob")
    (part,) = job["entities"]["sub_jobs_result"]
    image_id = job["entities"]["image_id"]
    assert part["entities"] == {"image_id": image_id, "image_name": "imported"}
    assert job["entities"]["sub_jobs_list"] == [part["job_id"]]
    with system.http("image") as door:
        found = door.get(f"/v1/{system.project_id()}/jobs/{part['job_id']}").json()
    assert found | {"end_time": part["end_time"]} == part
    image = show(system, image_id)
    assert (image["virtual_env_type"], image["__os_type"], image["tags"]) == ("DataImage", "Windows", ["a=b"])
    importing.delete(system, image_id)


def test_data_disks_are_imported_together_with_a_system_disk(
    system: System, disks: dict[str, Path], tmp_path: Path
) -> None:
    further = [
        {"image_url": put(system, "data1", disks["vmdk"]), "min_disk": 1, "name": "first", "tags": ["x.y"]},
        {"image_url": put(system, "data2", disks["raw"]), "min_disk": 3, "is_quick_import": True},
    ]
    job = import_image(system, put(system, "system", disks["qcow2"]), data_images=further)
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsImportImageJob")
    parts = [part["entities"] for part in job["entities"]["sub_jobs_result"]]
    assert [part["image_name"] for part in parts] == ["imported", "first", "imported_data_2"]
    assert parts[0]["image_id"] == job["entities"]["image_id"]
    images = [show(system, part["image_id"]) for part in parts]
    assert [image["virtual_env_type"] for image in images] == ["FusionCompute", "DataImage", "DataImage"]
    assert [image["disk_format"] for image in images] == ["qcow2", "qcow2", "raw"]
    assert [(image["min_disk"], image["tags"]) for image in images] == [(1, []), (1, ["x=y"]), (3, [])]
    assert all(same_disk(system, image, disks["raw"], tmp_path) for image in images)
    importing.delete(system, *(image["id"] for image in images))


@pytest.mark.parametrize("key", ["machine.ova", "named-otherwise"])
def test_an_ova_becomes_an_image_of_each_of_its_disks(
    system: System, disks: dict[str, Path], tmp_path: Path, key: str
) -> None:
    archive = make_ova(tmp_path / "machine.ova", [disks["vmdk-stream"], disks["vmdk"], disks["raw"]])
    job = import_image(system, put(system, key, archive), os_type="Linux", tags=["a.b"])
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsImportOvaImageJob"), job
    parts = job["entities"]["sub_jobs_result"]
    assert job["entities"]["sub_jobs_list"] == [part["job_id"] for part in parts]
    assert [part["job_type"] for part in parts] == ["imsImportImageJob"] + 2 * ["imsImportDataImageJob"]
    images = [show(system, part["entities"]["image_id"]) for part in parts]
    assert [image["name"] for image in images] == ["imported", "imported_data_1", "imported_data_2"]
    assert [image["virtual_env_type"] for image in images] == ["FusionCompute", "DataImage", "DataImage"]
    assert all(same_disk(system, image, disks["raw"], tmp_path) for image in images)
    importing.delete(system, *(image["id"] for image in images))


@pytest.mark.parametrize("program", ["gzip", "xz", "zstd", "bzip2"])
def test_a_compressed_file_is_unpacked_on_the_way(
    system: System, disks: dict[str, Path], tmp_path: Path, program: str
) -> None:
    data = packed(disks["qcow2"], program)
    checksum = hashlib.sha256(data).hexdigest()
    job = import_image(system, put(system, "packed", data), checksum=f"sha256:{checksum}")
    assert job["status"] == "SUCCESS", job
    image = show(system, job["entities"]["image_id"])
    assert same_disk(system, image, disks["raw"], tmp_path)
    importing.delete(system, image["id"])


def test_files_are_registered_for_images_that_wait_for_their_data(
    system: System, disks: dict[str, Path], tmp_path: Path
) -> None:
    with system.http("image") as door:
        made = door.post("/v2/images", json={"name": "registered", "disk_format": "vhd", "min_disk": 1}).json()["id"]
        url = put(system, "to-register", disks["vhd"])
        answer = door.put(f"/v1/cloudimages/{made}/upload", json={"image_url": url})
        assert answer.status_code == 200, answer.text
        job = system.wait_for_job(answer.json()["job_id"])
        assert (job["status"], job["job_type"]) == ("SUCCESS", "imsNativeImportImageJob"), job
        assert job["entities"] == {"image_id": made}
        image = door.get(f"/v2/images/{made}").json()
    assert (image["status"], image["name"], image["disk_format"]) == ("active", "registered", "qcow2")
    assert same_disk(system, image, disks["raw"], tmp_path)
    importing.delete(system, made)


def with_backing_file(disks: dict[str, Path], directory: Path) -> bytes:
    top = directory / "top.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(disks["qcow2"]), "-F", "qcow2", str(top))
    return top.read_bytes()


def with_wrong_refcounts(disks: dict[str, Path]) -> bytes:
    """Inspection cannot see it, and a tool that goes by the tables would lose data."""
    data = bytearray(disks["qcow2"].read_bytes())
    (table_at,) = struct.unpack_from(">Q", data, 48)
    (block_at,) = struct.unpack_from(">Q", data, table_at)
    data[block_at : block_at + 64] = bytes(64)
    return bytes(data)


@pytest.fixture(scope="session")
def bad_files(disks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("bad")
    tool("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", str(disks["raw"]), f"{directory}/flat")
    tool(
        "qemu-img",
        "convert",
        "-O",
        "vmdk",
        "-o",
        "subformat=twoGbMaxExtentSparse",
        str(disks["raw"]),
        f"{directory}/2g",
    )
    return {
        "text": b"this is not an image\n",
        "flat": (directory / "flat").read_bytes(),
        "2g": (directory / "2g").read_bytes(),
        "cut": disks["qcow2"].read_bytes()[:-70_000],
        "backed": with_backing_file(disks, directory),
        "refcounts": with_wrong_refcounts(disks),
        "cut.xz": packed(disks["qcow2"], "xz")[:-100],
        "packed twice": packed_twice(disks["qcow2"], directory),
        "large": b"",
    }


def packed_twice(disk: Path, directory: Path) -> bytes:
    once = directory / "once"
    once.write_bytes(packed(disk, "gzip"))
    return packed(once, "gzip")


@pytest.mark.parametrize(
    ("name", "body", "code", "reason"),
    [
        ("text", {}, "IMG.0057", "no known format"),
        ("flat", {}, "IMG.0057", "other files"),
        ("2g", {}, "IMG.0057", "other files"),
        ("cut", {}, "IMG.0057", "truncated"),
        ("backed", {}, "IMG.0057", "backing file"),
        ("refcounts", {}, "IMG.0057", "damaged"),
        ("cut.xz", {}, "IMG.0057", "cut off"),
        ("packed twice", {}, "IMG.0057", "gzip"),
        ("text", OS | {"type": "IsoImage"}, "IMG.0057", ""),
    ],
)
def test_a_file_that_cannot_become_an_image_is_told_by_the_job_and_leaves_nothing(
    system: System, bad_files: dict[str, bytes], name: str, body: dict[str, Any], code: str, reason: str
) -> None:
    job = import_image(system, put(system, "bad", bad_files[name]), name="bad", **body)
    assert (job["status"], job["error_code"], job["entities"]) == ("FAIL", code, {})
    assert reason in job["fail_reason"]
    require_nothing_named(system, "bad")


def require_nothing_named(system: System, name: str) -> None:
    with system.http("image") as door:
        assert door.get("/v2/images", params={"name": name}).json()["images"] == []
    assert importing.leftovers(system) == []
    assert not system.sql("SELECT id FROM layers WHERE state = 'creating'")


def test_a_disk_that_does_not_fit_min_disk_is_told(system: System, tmp_path: Path) -> None:
    large = tmp_path / "large.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(large), "1025M")
    job = import_image(system, put(system, "large", large), name="large")
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0055")
    assert "needs 2 GB, more than the min_disk of 1" in job["fail_reason"]
    require_nothing_named(system, "large")


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_a_checksum_that_is_given_is_enforced(system: System, disks: dict[str, Path], algorithm: str) -> None:
    url = put(system, "checked", disks["vdi"])
    right = hashlib.new(algorithm, disks["vdi"].read_bytes()).hexdigest()
    wrong = hashlib.new(algorithm, b"another").hexdigest()
    job = import_image(system, url, name="checked", checksum=wrong)
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0057")
    assert f"The {algorithm} of {url} is {right}, but {wrong} was expected." in job["fail_reason"]
    require_nothing_named(system, "checked")
    job = import_image(system, url, checksum=right.upper())
    assert job["status"] == "SUCCESS"
    importing.delete(system, job["entities"]["image_id"])


def test_a_registration_that_fails_leaves_the_image_waiting(system: System) -> None:
    with system.http("image") as door:
        made = door.post("/v2/images", json={"name": "waits", "disk_format": "qcow2"}).json()["id"]
        url = put(system, "bad", b"this is not an image\n")
        answer = door.put(f"/v1/cloudimages/{made}/upload", json={"image_url": url})
        job = system.wait_for_job(answer.json()["job_id"])
        assert (job["status"], job["error_code"]) == ("FAIL", "IMG.1075")
        assert "no known format" in job["fail_reason"]
        assert door.get(f"/v2/images/{made}").json()["status"] == "queued"
    importing.delete(system, made)


def test_an_iso_file_is_kept_and_told_from_a_disk(system: System, disks: dict[str, Path], tmp_path: Path) -> None:
    iso = tmp_path / "disk.iso"
    asyncio.run(build_config_drive(iso, meta_data={"x": "y"}))
    url = put(system, "installer", iso)
    job = import_image(system, url, type="IsoImage", is_config=True, **OS)
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsImportImageJob"), job
    image = show(system, job["entities"]["image_id"])
    assert (image["virtual_env_type"], image["disk_format"]) == ("IsoImage", "iso")
    assert importing.data_of(system, image["id"]) == iso.read_bytes()
    with system.http("image") as door:
        for action, body in (("file", {"bucket_url": f"{BUCKET}:x", "file_format": "qcow2"}), ("copy", {"name": "c"})):
            answer = door.post(f"/v1/cloudimages/{image['id']}/{action}", json=body)
            assert answer.json()["error"]["code"] == "IMG.0167", answer.text
    job = import_image(system, url, name="iso")
    assert (job["error_code"], "IsoImage" in job["fail_reason"]) == ("IMG.0057", True)
    job = import_image(system, put(system, "no-iso", disks["qcow2"]), type="IsoImage", **OS)
    assert job["error_code"] == "IMG.0057"
    importing.delete(system, image["id"])


def test_while_a_file_is_imported_its_image_is_there_by_its_id_and_cannot_be_deleted(
    system: System, disks: dict[str, Path]
) -> None:
    url = put(system, "kept", disks["vmdk"])
    worker = system.pause_worker()
    try:
        job_id = post(system, "/v2/cloudimages/action", name="kept", image_url=url, min_disk=1).json()["job_id"]
        with system.http("image") as door:
            (image,) = door.get("/v2/cloudimages", params={"name": "kept"}).json()["images"]
            assert (image["status"], image["__image_size"]) == ("queued", "0")
            assert door.get("/v2/cloudimages", params={"name": "kept", "status": "active"}).json()["images"] == []
            assert door.delete(f"/v2/images/{image['id']}").status_code == 409
            job = door.get(f"/v1/{system.project_id()}/jobs/{job_id}").json()
            assert (job["status"], job["end_time"]) == ("INIT", None)
    finally:
        system.resume_worker(worker)
    assert system.wait_for_job(job_id)["entities"]["image_id"] == image["id"]
    importing.delete(system, image["id"])
