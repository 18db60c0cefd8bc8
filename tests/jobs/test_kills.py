"""The worker is killed with SIGKILL before, in and after every step of every job; nothing is lost, doubled or orphaned.

"After" is the worst moment: the step's effect is there and not yet on record, so the restarted worker runs it again.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.ims.importing import data_of, make_ova, post, put, same_disk, show
from tests.conftest import BACKENDS, database_url_for, running_system
from tests.qemu.disks import MIB, random_file
from tests.system import WEB_PORT, System
from tests.web_server import WebServer

KILLER = Path(__file__).parent / "killer"

Kill = tuple[str, str, float]
"""A step, whether the worker dies before, during or after it, and for "during" after how many seconds."""


def around(kind: str, *steps: str, **middles_s: float) -> list[Kill]:
    """Before and after each step of a job, and in the middle of those that are named with a time."""
    kills: list[Kill] = []
    for step in steps:
        kills.append((f"{kind}.{step}", "before", 0.0))
        if step in middles_s:
            kills.append((f"{kind}.{step}", "during", middles_s[step]))
        kills.append((f"{kind}.{step}", "after", 0.0))
    return kills


CAPTURE_KILLS = around("image_capture", "make_overlay", "seal")
CONSOLIDATE_KILLS = around("image_consolidate", "flatten", "digest", "swap", flatten=0.3)
EXPORT_KILLS = around("image_export", "wait", "convert", "upload", "finish", convert=0.1, upload=0.05)
IMPORTED = bytes(range(256)) * 2_000
IMPORT_STEPS = ["receive", "examine", "convert", "configure", "digest", "finish"]
IMPORT_KILLS = [("receive", "before"), ("receive", "during"), *((step, "after") for step in IMPORT_STEPS)]
IMPORT_KILLS.insert(4, ("convert", "during"))


class Killable:
    """A system whose worker can be told where to die, and a stopped server with a marker on its disk."""

    def __init__(self, system: System, plan: Path) -> None:
        self.system = system
        self.plan = plan
        self.server = system.stopped_server("victim", user_data="#!/bin/sh\necho survived > /root/marker\n")
        system.s3().create_bucket(Bucket="exports")

    def kill_at(self, step: str, when: str) -> None:
        self.kill_at_each([(step, when, 0.0)])

    def kill_at_each(self, kills: list[Kill]) -> None:
        """In that order: the worker that dies for one of them leaves the others to the workers after it."""
        partial = self.plan.with_suffix(".partial")
        partial.write_text(json.dumps([{"step": step, "when": when, "delay_s": delay} for step, when, delay in kills]))
        partial.replace(self.plan)

    def wait_for_kill(self) -> None:
        """Until the worker has died for every one of them, each within a minute of the one before it."""
        left, deadline = "", 0.0
        while (now_left := self._kills_left()) is not None:
            if now_left != left:
                left, deadline = now_left, time.monotonic() + 60
            assert time.monotonic() < deadline, f"the worker never died for {left}" + self.whereabouts()
            time.sleep(0.05)

    def _kills_left(self) -> str | None:
        try:
            return self.plan.read_text()
        except FileNotFoundError:
            return None

    def whereabouts(self) -> str:
        """For a failing test's message."""
        jobs = self.system.sql("SELECT id, kind, state, phase, error_code, created_at FROM jobs ORDER BY created_at")
        return "\n".join(["", *map(str, jobs[-6:]), self.system.logs()])

    def submit_capture(self, name: str) -> str:
        with self.system.http("image") as image:
            answer = image.post("/v2/cloudimages/action", json={"name": name, "instance_id": self.server})
            assert answer.status_code == 200, answer.text
            return answer.json()["job_id"]

    def submit_export(self, image_id: str, key: str, file_format: str) -> str:
        with self.system.http("image") as image:
            body = {"bucket_url": f"exports:{key}", "file_format": file_format}
            answer = image.post(f"/v1/cloudimages/{image_id}/file", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["job_id"]

    def images_named(self, name: str) -> list[dict[str, Any]]:
        with self.system.http("image") as image:
            return image.get("/v2/cloudimages", params={"name": name}).json()["images"]

    def wait_until_consolidated(self, image_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        with self.system.http("image") as image:
            while not (found := image.get(f"/v2/images/{image_id}").json())["os_hash_value"]:
                assert time.monotonic() < deadline, found
                time.sleep(0.2)
        return found

    def delete_image(self, image_id: str) -> None:
        with self.system.http("image") as image:
            assert image.delete(f"/v2/images/{image_id}").status_code == 204

    def check_files(self) -> None:
        """Every layer file has a row and every row its file, once the sweeper has been round."""
        deadline = time.monotonic() + 60
        while True:
            rows = {row.id for row in self.system.sql("SELECT id FROM layers WHERE state != 'doomed'")}
            pending = self.system.sql("SELECT id FROM layers WHERE state IN ('doomed', 'creating')")
            files = {path.stem for path in (self.system.data_dir / "layers").iterdir()}
            staging = list((self.system.data_dir / "staging").iterdir())
            if files == rows and not pending and not staging:
                break
            assert time.monotonic() < deadline, (files ^ rows, pending, staging)
            time.sleep(0.5)


@pytest.fixture(scope="module", params=BACKENDS)
def killable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    url = database_url_for(request)
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    extra = {"PYTHONPATH": str(KILLER), "STILLFRAME_TEST_KILL_PLAN": str(plan)}
    with running_system(database_url=url, environment=extra) as system:
        yield Killable(system, plan)


def test_a_capture_and_its_consolidation_survive_a_kill_at_every_step(killable: Killable) -> None:
    """One image, for which the worker dies eleven times: in a long step it leaves half a file, too."""
    system = killable.system
    killable.kill_at_each([*CAPTURE_KILLS, *CONSOLIDATE_KILLS])
    job_id = killable.submit_capture("killed")
    killable.wait_for_kill()
    job = system.wait_for_job(job_id)
    assert job["status"] == "SUCCESS", job
    (image,) = killable.images_named("killed")
    assert image["id"] == job["entities"]["image_id"]
    image = killable.wait_until_consolidated(image["id"])
    assert len(data_of(system, image["id"])) == image["size"]
    killable.delete_image(image["id"])
    killable.check_files()


def test_an_export_survives_a_kill_at_every_step(killable: Killable, tmp_path: Path) -> None:
    """One job, whose worker dies ten times; what it leaves in the bucket is the whole disk."""
    system = killable.system
    image_id = system.capture(killable.server, "to-export")
    killable.wait_until_consolidated(image_id)
    killable.kill_at_each(EXPORT_KILLS)
    job_id = killable.submit_export(image_id, "killed.vhd", "vhd")
    killable.wait_for_kill()
    job = system.wait_for_job(job_id)
    assert job["status"] == "SUCCESS", job
    exported, stored = tmp_path / "exported", tmp_path / "stored"
    system.s3().download_file("exports", "killed.vhd", str(exported))
    stored.write_bytes(data_of(system, image_id))
    compared = system.compare_disks(("vpc", exported), ("qcow2", stored))
    assert compared.returncode == 0, compared.stdout + compared.stderr
    killable.delete_image(image_id)
    killable.check_files()


def test_an_import_survives_a_kill_after_every_step_and_in_the_middle_of_the_long_ones(
    killable: Killable, tmp_path: Path
) -> None:
    """One job, whose worker dies nine times."""
    system, disk = killable.system, random_file(tmp_path / "disk", 24 * MIB)
    archive = put(system, "killed.ova", make_ova(tmp_path / "killed.ova", [disk, disk]))
    killable.kill_at_each([(f"obs_import_ova.{step}", when, 0.1) for step, when in IMPORT_KILLS])
    body = {"name": "killed", "image_url": archive, "min_disk": 1}
    job_id = post(system, "/v2/cloudimages/action", **body).json()["job_id"]
    killable.wait_for_kill()
    job = system.wait_for_job(job_id)
    assert job["status"] == "SUCCESS", job
    images = [show(system, part["entities"]["image_id"]) for part in job["entities"]["sub_jobs_result"]]
    assert [image["name"] for image in images] == ["killed", "killed_data_1"]
    assert all(same_disk(system, image, disk, tmp_path) for image in images)
    for image in images:
        killable.delete_image(image["id"])
    killable.check_files()


def test_a_cancelled_import_leaves_nothing_in_whatever_phase_it_was(killable: Killable, tmp_path: Path) -> None:
    """The worker dies where it would begin a step, so that it cannot be quicker than the request to cancel."""
    system, disk = killable.system, random_file(tmp_path / "disk", 4 * MIB)
    archive = put(system, "cancelled.ova", make_ova(tmp_path / "cancelled.ova", [disk, disk]))
    for step in ("receive", "convert", "finish"):
        killable.kill_at(f"obs_import_ova.{step}", "before")
        body = {"name": "cancelled", "image_url": archive, "min_disk": 1}
        job_id = post(system, "/v2/cloudimages/action", **body).json()["job_id"]
        killable.wait_for_kill()
        with system.http("image") as image:
            assert image.delete(f"/v1/{system.project_id()}/jobs/{job_id}").status_code == 204
        job = system.wait_for_job(job_id)
        assert (job["status"], job["error_code"], job["entities"]) == ("FAIL", "IMG.0014", {})
        assert killable.images_named("cancelled") == killable.images_named("cancelled_data_1") == []
    killable.check_files()


def import_started(killable: Killable, url: str = "") -> str:
    """An image whose import has been asked for: of staged data, or from a URL."""
    with killable.system.http("image") as image:
        image_id = str(image.post("/v2/images", json={"name": "imported", "disk_format": "raw"}).json()["id"])
        if not url:
            headers = {"Content-Type": "application/octet-stream"}
            assert image.put(f"/v2/images/{image_id}/stage", content=IMPORTED, headers=headers).status_code == 204
        method = {"name": "web-download", "uri": url} if url else {"name": "glance-direct"}
        assert image.post(f"/v2/images/{image_id}/import", json={"method": method}).status_code == 202
    return image_id


def wait_until_asked(web: WebServer) -> None:
    deadline = time.monotonic() + 60
    while not web.asked:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_imported(killable: Killable, image_id: str) -> None:
    killable.wait_until_consolidated(image_id)
    with killable.system.http("image") as image:
        assert image.get(f"/v2/images/{image_id}/file").content == IMPORTED
        assert [task["status"] for task in image.get(f"/v2/images/{image_id}/tasks").json()["tasks"]] == ["success"]
    killable.delete_image(image_id)
    killable.check_files()


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_import_of_staged_data_survives_a_kill(killable: Killable, when: str) -> None:
    killable.kill_at("api_image_import.activate", when)
    image_id = import_started(killable)
    killable.wait_for_kill()
    assert_imported(killable, image_id)


def test_a_download_from_the_web_survives_a_kill_in_its_middle(killable: Killable) -> None:
    with WebServer(WEB_PORT + killable.system.port_offset).serving() as web:
        web.files["/stuck"] = IMPORTED
        image_id = import_started(killable, web.url("/stuck"))
        wait_until_asked(web)
        os.kill(killable.system.worker_pid(), signal.SIGKILL)
        web.go_on.set()
        assert_imported(killable, image_id)
        assert len(web.asked) == 2


def test_a_download_stops_when_its_image_is_deleted(killable: Killable) -> None:
    with WebServer(WEB_PORT + killable.system.port_offset).serving() as web:
        web.files["/stuck"] = IMPORTED
        image_id = import_started(killable, web.url("/stuck"))
        wait_until_asked(web)
        killable.delete_image(image_id)
        killable.check_files()


def test_an_order_of_servers_and_their_deletion_survive_kills(killable: Killable) -> None:
    """The job of a batch is as far as its parts are, whoever died between them."""
    system = killable.system
    with system.http("network") as network:
        (subnet,) = network.get(f"/v1/{system.project_id()}/subnets").json()["subnets"]
    wanted = {
        "name": "ordered",
        "count": 2,
        "imageRef": system.public_image(),
        "flavorRef": "s3.tiny",
        "vpcid": subnet["vpc_id"],
        "nics": [{"subnet_id": subnet["id"]}],
        "root_volume": {"volumetype": "SSD"},
        "data_volumes": [{"volumetype": "SSD", "size": 1}],
    }
    with system.http("compute") as compute:
        path = f"/v1/{system.project_id()}"
        killable.kill_at("server_create.spawn", "after")
        ordered = compute.post(f"{path}/cloudservers", json={"server": wanted}).json()
        killable.wait_for_kill()
        _wait_for_batch(killable, ordered["job_id"])
        listed = compute.get(f"{path}/cloudservers/detail", params={"name": "ordered-"}).json()["servers"]
        assert {server["id"]: server["status"] for server in listed} == dict.fromkeys(ordered["serverIds"], "ACTIVE")
        killable.kill_at("server_delete.remove", "before")
        refs = [{"id": server_id} for server_id in ordered["serverIds"]]
        gone = compute.post(f"{path}/cloudservers/delete", json={"servers": refs, "delete_volume": True}).json()
        killable.wait_for_kill()
        _wait_for_batch(killable, gone["job_id"])
        assert compute.get(f"{path}/cloudservers/detail", params={"name": "ordered-"}).json()["count"] == 0
    killable.check_files()


def _wait_for_batch(killable: Killable, job_id: str) -> None:
    deadline = time.monotonic() + 120
    with killable.system.http("compute") as compute:
        path = f"/v1/{killable.system.project_id()}/jobs/{job_id}"
        while (job := compute.get(path).json())["status"] in ("INIT", "RUNNING"):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
    assert job["status"] == "SUCCESS", job
    assert [part["status"] for part in job["entities"]["sub_jobs"]] == ["SUCCESS", "SUCCESS"]


def test_after_all_of_it_the_server_still_boots_with_its_data(killable: Killable) -> None:
    system = killable.system
    assert system.show_server(killable.server)["OS-EXT-STS:task_state"] is None
    assert system.act(killable.server, {"os-start": None}).status_code == 202
    system.wait_for_server(killable.server, "ACTIVE")
    assert "survived" in system.wait_for_console(killable.server, "stillframe: marker survived")
    system.delete_server(killable.server)
    killable.check_files()
