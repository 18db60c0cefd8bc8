"""A system with narrow limits whose object store is somebody else's: it answers ranges, its buckets have regions."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from backports import zstd

from stillframe.blobs.object_stream import RANGE_BYTES
from tests.api.ims.importing import data_of, delete, import_image, leftovers, make_ova, post
from tests.api.ims.test_capture_door import refusal
from tests.blobs.other_store import OtherStore, running_store
from tests.conftest import running_system
from tests.system import System

ACTION = "/v2/cloudimages/action"
GOOD = {"name": "imported", "image_url": "here:disk", "min_disk": 1}
LIMIT_BYTES = 24 * 1024 * 1024


class Elsewhere(NamedTuple):
    system: System
    store: OtherStore


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    limits = {
        "import_limit_bytes": LIMIT_BYTES,
        "image_quota": 3,
        "image_jobs_limit": 2,
        "unique_image_names": True,
    }
    with running_store() as store, running_system(obs_endpoint=store.url, obs_access_key="AK", **limits) as system:
        store.regions |= {"here": "eu-de", "there": "eu-nl"}
        store.objects |= {"here/disk": bytes(512), "there/disk": bytes(512)}
        yield Elsewhere(system, store)


def test_a_large_object_is_fetched_in_ranges(elsewhere: Elsewhere) -> None:
    system, store = elsewhere
    data = os.urandom(2 * RANGE_BYTES + 512)
    store.objects["here/large"] = data
    store.ranges.clear()
    job = import_image(system, "here:large", is_quick_import=True, os_version="CentOS 7.3 64bit")
    assert job["status"] == "SUCCESS", job
    assert data_of(system, job["entities"]["image_id"]) == data
    assert len(store.ranges) == 3
    delete(system, job["entities"]["image_id"])


def test_a_bucket_of_another_region_and_an_object_that_is_too_large_are_told(elsewhere: Elsewhere) -> None:
    system, store = elsewhere
    assert refusal(post(system, ACTION, **GOOD | {"image_url": "there:disk"})) == "IMG.0058"
    store.objects["here/huge"] = bytes(512)
    store.pretended_sizes["here/huge"] = LIMIT_BYTES + 1
    assert refusal(post(system, ACTION, **GOOD | {"image_url": "here:huge"})) == "IMG.0059"
    with system.http("image") as door:
        image_id = door.post("/v2/images", json={"name": "waits"}).json()["id"]
        for url, code in (("there:disk", "IMG.0058"), ("here:huge", "IMG.0059")):
            assert refusal(door.put(f"/v1/cloudimages/{image_id}/upload", json={"image_url": url})) == code
    delete(system, image_id)


def test_what_unpacks_to_more_than_is_allowed_is_stopped(elsewhere: Elsewhere) -> None:
    system, store = elsewhere
    store.objects["here/bomb.ova"] = zstd.compress(bytes(LIMIT_BYTES + 1))
    job = import_image(system, "here:bomb.ova")
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0059")
    assert leftovers(system) == []


def test_the_disks_of_an_ova_count_against_the_quota_and_need_names(elsewhere: Elsewhere, tmp_path: Path) -> None:
    system, store = elsewhere
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512))
    store.objects["here/four.ova"] = make_ova(tmp_path / "four.ova", 4 * [disk]).read_bytes()
    job = import_image(system, "here:four.ova")
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0015")
    store.objects["here/many.ova"] = make_ova(tmp_path / "many.ova", 17 * [disk]).read_bytes()
    job = import_image(system, "here:many.ova")
    assert (job["status"], job["error_code"]) == ("FAIL", "IMG.0194")
    with system.http("image") as door:
        taken = door.post("/v2/images", json={"name": "imported_data_1"}).json()["id"]
        store.objects["here/two.ova"] = make_ova(tmp_path / "two.ova", 2 * [disk]).read_bytes()
        assert import_image(system, "here:two.ova")["error_code"] == "IMG.0009"
        assert [image["id"] for image in door.get("/v2/images", params={"visibility": "private"}).json()["images"]] == [
            taken
        ]
    delete(system, taken)


def test_quota_names_and_flow_control_hold(elsewhere: Elsewhere) -> None:
    system, _ = elsewhere
    further = [{"image_url": f"here:disk{number}", "min_disk": 1} for number in range(3)]
    elsewhere.store.objects |= {f"here/disk{number}": bytes(512) for number in range(3)}
    assert refusal(post(system, ACTION, **GOOD | {"data_images": further})) == "IMG.0015"
    worker = system.pause_worker()
    try:
        jobs = [post(system, ACTION, **GOOD | {"name": f"n{number}"}).json()["job_id"] for number in range(2)]
        assert refusal(post(system, ACTION, **GOOD | {"name": "n0"})) == "IMG.0009"
        assert refusal(post(system, ACTION, **GOOD)) == "IMG.0060"
    finally:
        system.resume_worker(worker)
    ended = [system.wait_for_job(job_id) for job_id in jobs]
    assert [job["status"] for job in ended] == ["SUCCESS", "SUCCESS"]
    delete(system, *(job["entities"]["image_id"] for job in ended))
