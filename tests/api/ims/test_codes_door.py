"""Every other code that creating an image from a server, and exporting one, can be refused with.

States that no request leads to (a system disk that is gone, a disk in error) are put into the database by hand; the
refusal itself always comes through the door.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillframe.kit.units import TIB
from tests.api.ims.desk import Desk
from tests.api.ims.importing import delete
from tests.api.ims.test_capture_door import create, refusal
from tests.conftest import running_system
from tests.qemu.disks import tool, two_layers
from tests.system import System

PATCH_TYPE = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@contextmanager
def volume_with(system: System, server: str, column: str, value: object) -> Iterator[None]:
    """The server's system disk with one column changed, for as long as the block lasts."""
    (row,) = system.sql(f"SELECT id, {column} AS before FROM volumes WHERE server_id = :server", server=server)  # noqa: S608
    before = json.dumps(row.before) if isinstance(row.before, dict) else row.before
    change = f"UPDATE volumes SET {column} = :value WHERE id = :id"  # noqa: S608 - a column this file names
    system.sql(change, value=value, id=row.id)
    try:
        yield
    finally:
        system.sql(change, value=before, id=row.id)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("server_id", None, "IMG.0119"),
        ("status", "error", "IMG.0110"),
        ("size_bytes", 1025 * 1024**3, "IMG.0111"),
        ("image_metadata", '{"disk_format": "iso"}', "IMG.0063"),
    ],
)
def test_a_system_disk_that_cannot_be_captured_is_told_by_its_code(
    system: System, stopped_server: str, column: str, value: object, code: str
) -> None:
    with volume_with(system, stopped_server, column, value):
        assert refusal(create(system, name="n", instance_id=stopped_server)) == code
    assert system.show_server(stopped_server)["OS-EXT-STS:task_state"] is None


def test_an_enterprise_project_that_is_no_uuid_is_told(system: System, stopped_server: str) -> None:
    answer = create(system, name="n", instance_id=stopped_server, enterprise_project_id="x")
    assert refusal(answer) == "IMG.0155"


def test_a_reader_may_look_and_not_create(system: System, stopped_server: str) -> None:
    (reader,) = system.sql("SELECT id FROM roles WHERE name = 'readonly'")
    (member,) = system.sql("SELECT id FROM roles WHERE name = 'member'")
    change = "UPDATE effective_roles SET role_id = :new WHERE role_id = :old"
    system.sql(change, new=reader.id, old=member.id)
    try:
        answer = create(system, name="n", instance_id=stopped_server)
        assert (answer.status_code, refusal(answer)) == (403, "IMG.0026")
        with system.http("image") as image:
            assert image.get("/v2/cloudimages").status_code == 200
    finally:
        system.sql(change, new=member.id, old=reader.id)


def export(system: System, image_id: str, **body: Any) -> httpx.Response:
    wanted = {"bucket_url": "door:out.qcow2", "file_format": "qcow2"} | body
    with system.http("image") as image:
        return image.post(f"/v1/cloudimages/{image_id}/file", json=wanted)


@pytest.fixture(scope="session")
def bucket(system: System) -> str:
    system.s3().create_bucket(Bucket="door")
    system.s3().put_object(Bucket="door", Key="taken.qcow2", Body=b"x")
    return "door"


def small_image(system: System, directory: Path) -> str:
    """One that is stored as captured images are, compressed, and has some parts of an upload as a raw file: the raw
    file of a captured image is a gibibyte, nearly all of it zeros.
    """
    top, packed = two_layers(directory)[0].path, directory / "packed.qcow2"
    tool("qemu-img", "convert", "-c", "-O", "qcow2", str(top), str(packed))
    with system.http("image") as image:
        described = {"name": "small", "disk_format": "qcow2", "container_format": "bare"}
        image_id = str(image.post("/v2/images", json=described).json()["id"])
        headers = {"Content-Type": "application/octet-stream"}
        stored = image.put(f"/v2/images/{image_id}/file", content=packed.read_bytes(), headers=headers)
        assert stored.status_code == 204, stored.text
    return image_id


@pytest.mark.parametrize("file_format", ["qcow2", "vhd", "vmdk", "raw"])
def test_an_image_is_exported_in_every_format_and_reads_the_same(
    system: System, captured_image: str, bucket: str, file_format: str, tmp_path: Path
) -> None:
    key = f"dir/out.{file_format}"
    image_id = small_image(system, tmp_path) if file_format == "raw" else captured_image
    answer = export(system, image_id, bucket_url=f"{bucket}:{key}", file_format=file_format)
    assert answer.status_code == 200, answer.text
    job = system.wait_for_job(answer.json()["job_id"])
    assert job["status"] == "SUCCESS", job
    assert job["entities"] == {"image_id": image_id}
    assert job["job_type"] == "imsNativeExportImageJob"
    exported, stored = tmp_path / "exported", tmp_path / "stored"
    system.s3().download_file(bucket, key, str(exported))
    with system.http("image") as image:
        stored.write_bytes(image.get(f"/v2/images/{image_id}/file").content)
    driver = {"vhd": "vpc"}.get(file_format, file_format)
    compared = system.compare_disks((driver, exported), ("qcow2", stored))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    system.s3().delete_object(Bucket=bucket, Key=key)
    if image_id != captured_image:
        delete(system, image_id)


def test_an_export_to_a_bucket_that_is_not_there_or_an_object_that_is_told(
    system: System, captured_image: str, bucket: str
) -> None:
    assert refusal(export(system, captured_image, bucket_url="nobucket:k")) == "IMG.0069"
    assert refusal(export(system, captured_image, bucket_url=f"{bucket}:taken.qcow2")) == "IMG.0070"


def test_another_projects_bucket_is_as_if_it_were_not_there(system: System, captured_image: str) -> None:
    with system.http("identity", "stillframe-admin") as identity:
        made = identity.post("/v3/projects", json={"project": {"name": "eu-de_other"}}).json()["project"]
    other = system.data_dir / "obs" / made["id"] / "foreign"
    other.mkdir(parents=True)
    assert refusal(export(system, captured_image, bucket_url="foreign:k")) == "IMG.0069"


def test_an_image_that_is_not_there_is_told_and_so_is_an_id_that_is_none(system: System, bucket: str) -> None:
    assert refusal(export(system, "877a2cda-ba63-4e1e-b95f-e67e48b6129a")) == "IMG.0027"
    assert refusal(export(system, "no-uuid")) == "IMG.0066"


def test_a_public_image_is_not_exported(system: System, bucket: str) -> None:
    assert refusal(export(system, system.public_image())) == "IMG.0077"


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("__whole_image", "true", "IMG.0128"),
        ("virtual_env_type", "IsoImage", "IMG.0167"),
        ("__backup_id", "b" * 32, "IMG.0080"),
        ("__productcode", "paid", "IMG.0079"),
    ],
)
def test_an_image_of_a_kind_that_may_not_leave_is_told_by_its_code(
    system: System, bucket: str, attribute: str, value: str, code: str
) -> None:
    with system.http("image") as image:
        made = image.post("/v2/images", json={"name": "kind", "disk_format": "raw", attribute: value}).json()
        assert refusal(export(system, made["id"])) == code
        image.delete(f"/v2/images/{made['id']}")


def test_an_image_without_data_is_not_exported(system: System, bucket: str) -> None:
    with system.http("image") as image:
        made = image.post("/v2/images", json={"name": "queued", "disk_format": "raw"}).json()
        assert refusal(export(system, made["id"])) == "IMG.0046"
        image.delete(f"/v2/images/{made['id']}")


def test_a_large_image_is_exported_only_as_it_is(system: System, bucket: str) -> None:
    server = system.halted_server("large", disk_gib=128)
    image_id = system.capture(server, "large")
    assert refusal(export(system, image_id)) == "IMG.0160"
    answer = export(system, image_id, file_format=None, is_quick_export=True, bucket_url=f"{bucket}:quick.qcow2")
    assert system.wait_for_job(answer.json()["job_id"])["status"] == "SUCCESS"
    with system.http("image") as image:
        image.delete(f"/v2/images/{image_id}")
    system.delete_server(server)


async def test_an_image_that_cannot_leave_as_it_is_stored_is_told(small_desk: Desk) -> None:
    quick = {"bucket_url": "door:out", "is_quick_export": True}
    for fields, code in (
        ({"virtual_size_bytes": TIB + 1}, "IMG.0160"),
        ({"properties": {"__system__cmkid": "k"}}, "IMG.0071"),
    ):
        image = await small_desk.image(**fields)
        assert await small_desk.refusal("POST", f"/v1/cloudimages/{image.id}/file", quick) == code


@pytest.mark.parametrize("by", ["download", "export"])
def test_what_could_not_be_consolidated_once_is_when_it_is_asked_for(
    system: System, captured_image: str, bucket: str, by: str
) -> None:
    """The disk was full, say, and nobody has to capture the server again."""
    with system.http("image") as image:
        assert image.get(f"/v2/images/{captured_image}/file").status_code == 200  # it is over, so only SQL undoes it
        system.sql("UPDATE images SET os_hash_value = NULL WHERE id = :id", id=captured_image)
        if by == "download":
            assert len(image.get(f"/v2/images/{captured_image}/file").content) > 0
        else:
            answer = export(system, captured_image, bucket_url=f"{bucket}:again.vmdk", file_format="vmdk")
            job = system.wait_for_job(answer.json()["job_id"])
            assert job["status"] == "SUCCESS", job
            system.s3().delete_object(Bucket=bucket, Key="again.vmdk")
        assert image.get(f"/v2/images/{captured_image}").json()["os_hash_value"]


def test_a_shared_image_is_exported_by_its_owner_only(system: System, bucket: str) -> None:
    admin = system.project_id("stillframe-admin")
    with system.http("image") as image:
        made = image.post("/v2/images", json={"name": "foreign", "disk_format": "raw"}).json()
    other = "e" * 32
    system.sql(
        "UPDATE images SET project_id = :other, visibility = 'shared' WHERE id = :id", other=other, id=made["id"]
    )
    system.sql(
        "INSERT INTO image_members (image_id, project_id, status, created_at, updated_at) "
        "VALUES (:id, :project, 'accepted', 0, 0)",
        id=made["id"],
        project=admin,
    )
    assert refusal(export(system, made["id"])) == "IMG.0047"
    system.sql("DELETE FROM images WHERE id = :id", id=made["id"])


def test_while_an_image_is_exported_it_is_not_exported_again_nor_deleted(
    system: System, captured_image: str, bucket: str
) -> None:
    worker = system.pause_worker()
    try:
        first = export(system, captured_image, bucket_url=f"{bucket}:first.qcow2").json()["job_id"]
        assert refusal(export(system, captured_image, bucket_url=f"{bucket}:second.qcow2")) == "IMG.0148"
        with system.http("image") as image:
            refused = image.delete(f"/v2/images/{captured_image}")
            assert (refused.status_code, refused.json()["message"]) == (409, "IMG.0148 The image is being exported.")
            copied = image.post(f"/v1/cloudimages/{captured_image}/copy", json={"name": "copy"}).json()["job_id"]
    finally:
        system.resume_worker(worker)
    assert system.wait_for_job(first)["status"] == "SUCCESS"
    copy = system.wait_for_job(copied)["entities"]["image_id"]
    system.s3().delete_object(Bucket=bucket, Key="first.qcow2")
    worker = system.pause_worker()
    try:
        one = export(system, captured_image, bucket_url=f"{bucket}:first.qcow2").json()["job_id"]
        assert refusal(export(system, copy, bucket_url=f"{bucket}:first.qcow2")) == "IMG.0070"
    finally:
        system.resume_worker(worker)
    assert system.wait_for_job(one)["status"] == "SUCCESS"
    with system.http("image") as image:
        image.delete(f"/v2/images/{copy}")
    system.s3().delete_object(Bucket=bucket, Key="first.qcow2")


def test_a_cancelled_export_leaves_no_object(system: System, captured_image: str, bucket: str) -> None:
    worker = system.pause_worker()
    job = export(system, captured_image, bucket_url=f"{bucket}:cancelled.vmdk", file_format="vmdk").json()["job_id"]
    with system.http("image") as image:
        assert image.delete(f"/v1/{system.project_id()}/jobs/{job}").status_code == 204
    system.resume_worker(worker)
    assert system.wait_for_job(job)["status"] == "FAIL"
    listed = system.s3().list_objects_v2(Bucket=bucket).get("Contents", [])
    assert "cancelled.vmdk" not in {found["Key"] for found in listed}
    time.sleep(0.1)
    assert list((system.data_dir / "staging").iterdir()) == []


def test_what_a_strict_operator_forbids_is_told_by_its_code() -> None:
    with running_system(unexportable_platforms=["Other"], image_jobs_limit=1, unique_image_names=True) as strict:
        strict.s3().create_bucket(Bucket="door")
        server = strict.halted_server("only")
        image_id = strict.capture(server, "of-platform-other")
        assert refusal(create(strict, name="of-platform-other", instance_id=server)) == "IMG.0009"
        assert refusal(export(strict, image_id)) == "IMG.0079"
        second = strict.halted_server("second")
        worker = strict.pause_worker()
        try:
            assert create(strict, name="one", instance_id=server).status_code == 200
            assert refusal(create(strict, name="two", instance_id=second)) == "IMG.0060"
        finally:
            strict.resume_worker(worker)
