"""Creating an image from a server, through the door of a running system."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import running_system
from tests.system import System

ACTION = "/v2/cloudimages/action"


def refusal(answer: httpx.Response) -> str:
    """The IMG code of a refusal in the documented form."""
    assert answer.status_code in (400, 403), answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"]
    return str(error["code"])


def create(system: System, **body: Any) -> httpx.Response:
    with system.http("image") as image:
        return image.post(ACTION, json=body)


def test_the_documented_scenario_ends_with_an_image_as_documented(system: System, stopped_server: str) -> None:
    answer = create(
        system,
        name="ims_test",
        description="Image creation from an ECS",
        instance_id=stopped_server,
        tags=["aaa.111", "bbb.333", "ccc.444"],
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"job_id"}
    job = system.wait_for_job(answer.json()["job_id"])
    assert job["status"] == "SUCCESS"
    assert job["job_type"] == "imsCreateImageByInstance"
    assert set(job["entities"]) == {"image_id", "image_name"}
    assert job["begin_time"] <= job["end_time"]
    assert (job["error_code"], job["fail_reason"]) == (None, None)

    with system.http("image") as image:
        (found,) = image.get("/v2/cloudimages", params={"id": job["entities"]["image_id"]}).json()["images"]
        assert found["name"] == "ims_test"
        assert found["tags"] == ["aaa=111", "bbb=333", "ccc=444"]
        assert found["__description"] == "Image creation from an ECS"
        assert found["__data_origin"] == f"instance,{stopped_server}"
        assert found["__originalimagename"] == system.public_image()
        assert (found["status"], found["visibility"], found["__imagetype"]) == ("active", "private", "private")
        assert (found["min_disk"], found["min_ram"], found["max_ram"]) == (1, 0, "0")
        assert found["virtual_size"] == 1024**3
        assert found["virtual_env_type"] == "FusionCompute"
        assert found["disk_format"] == "qcow2"
        assert image.get(f"/v2/images/{found['id']}").json()["name"] == "ims_test"
        assert image.delete(f"/v2/images/{found['id']}").status_code == 204
        assert image.get("/v2/cloudimages", params={"id": found["id"]}).json()["images"] == []
        assert image.get(f"/v1/{system.project_id()}/jobs/{job['job_id']}").json() == job


def test_a_running_server_is_refused(system: System) -> None:
    server = system.create_server("running")
    assert refusal(create(system, name="n", instance_id=server)) == "IMG.0008"
    assert system.show_server(server)["OS-EXT-STS:task_state"] is None
    system.delete_server(server)


def test_an_unknown_server_and_another_projects_server_are_refused_alike(system: System) -> None:
    assert refusal(create(system, name="n", instance_id=str(uuid.uuid4()))) == "IMG.0005"


def test_of_two_captures_at_once_one_wins_and_the_other_hears_of_work_in_progress(
    system: System, stopped_server: str
) -> None:
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            bodies = [{"name": f"race-{number}", "instance_id": stopped_server} for number in range(4)]
            answers = list(pool.map(lambda body: create(system, **body), bodies))
        won = [answer for answer in answers if answer.status_code == 200]
        lost = [answer for answer in answers if answer.status_code != 200]
        assert won
        assert {refusal(answer) for answer in lost} <= {"IMG.0010"}
        jobs = [system.wait_for_job(answer.json()["job_id"]) for answer in won]
        assert {job["status"] for job in jobs} == {"SUCCESS"}
        with system.http("image") as image:
            for job in jobs:
                image.delete(f"/v2/images/{job['entities']['image_id']}")


def test_nothing_is_left_behind_by_a_refused_request(system: System, stopped_server: str) -> None:
    with system.http("image") as image:
        before = image.get("/v2/cloudimages").json()["images"]
        assert refusal(create(system, name="bad/name", instance_id=stopped_server)) == "IMG.0003"
        assert image.get("/v2/cloudimages").json()["images"] == before


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "IMG.0007"), (b"{}", "IMG.0007"), (b"{", "IMG.0001"), (b"[1]", "IMG.0001"), (b"\xff", "IMG.0001")],
)
def test_a_body_that_is_no_request_is_refused_by_its_code(system: System, content: bytes, code: str) -> None:
    with system.http("image") as image:
        assert refusal(image.post(ACTION, content=content)) == code


def test_without_a_token_every_path_is_unauthorized_even_an_unknown_one(system: System) -> None:
    for method, path in (("POST", ACTION), ("GET", "/v2/cloudimages"), ("GET", "/nowhere"), ("PUT", ACTION)):
        answer = httpx.request(method, system.url("image") + path)
        assert answer.status_code == 401, path
        assert answer.json()["error"]["code"] == 401


def test_a_token_for_a_domain_may_not_make_images(system: System, stopped_server: str) -> None:
    domain = {"domain": {"name": system.cloud()["auth"]["user_domain_name"]}}
    token = system.token(**domain)
    answer = httpx.post(
        system.url("image") + ACTION,
        json={"name": "n", "instance_id": stopped_server},
        headers={"X-Auth-Token": token},
    )
    assert (answer.status_code, refusal(answer)) == (403, "IMG.0026")


def test_jobs_of_another_project_and_unknown_jobs_are_told_apart_as_documented(system: System) -> None:
    project = system.project_id()
    with system.http("image") as image:
        assert refusal(image.get(f"/v1/{project}/jobs/{'0' * 32}")) == "IMG.0023"
        assert refusal(image.get(f"/v1/{project}/jobs/no-such-job")) == "IMG.0023"
        assert refusal(image.get(f"/v1/{'0' * 32}/jobs/{'0' * 32}")) == "IMG.0030"


def test_quota_and_flow_control_are_exact() -> None:
    """A small deployment: two images, one job at a time."""
    with running_system(image_quota=2, consolidate=False) as small:
        server = small.halted_server("only")
        first = small.capture(server, "first")
        small.capture(server, "second")
        assert refusal(create(small, name="third", instance_id=server)) == "IMG.0015"
        with small.http("image") as image:
            image.delete(f"/v2/images/{first}")
        small.capture(server, "third")


def test_a_server_start_or_delete_during_a_capture_is_a_conflict(system: System, stopped_server: str) -> None:
    """The capture is made to wait by holding the worker, so that the window is as long as the test needs."""
    worker = system.pause_worker()
    try:
        job_id = create(system, name="held", instance_id=stopped_server).json()["job_id"]
        assert system.show_server(stopped_server)["OS-EXT-STS:task_state"] == "image_snapshot"
        assert refusal(create(system, name="other", instance_id=stopped_server)) == "IMG.0010"
        with system.http("compute") as compute:
            for action in ({"os-start": None}, {"os-stop": None}, {"reboot": {"type": "HARD"}}):
                answer = compute.post(f"/v2.1/{system.project_id()}/servers/{stopped_server}/action", json=action)
                assert answer.status_code == 409, action
                assert "conflictingRequest" in answer.json()
            assert compute.delete(f"/v2.1/{system.project_id()}/servers/{stopped_server}").status_code == 409
        with system.http("image") as image:
            assert image.get(f"/v1/{system.project_id()}/jobs/{job_id}").json()["status"] == "INIT"
    finally:
        system.resume_worker(worker)
    job = system.wait_for_job(job_id)
    assert job["status"] == "SUCCESS"
    assert system.show_server(stopped_server)["OS-EXT-STS:task_state"] is None


def test_a_cancelled_capture_leaves_the_server_as_it_was(system: System, stopped_server: str) -> None:
    worker = system.pause_worker()
    try:
        job_id = create(system, name="to-cancel", instance_id=stopped_server).json()["job_id"]
        with system.http("image") as image:
            assert image.delete(f"/v1/{system.project_id()}/jobs/{job_id}").status_code == 204
    finally:
        system.resume_worker(worker)
    job = system.wait_for_job(job_id)
    assert (job["status"], job["entities"], job["error_code"]) == ("FAIL", {}, "IMG.0014")
    assert system.show_server(stopped_server)["OS-EXT-STS:task_state"] is None
    with system.http("image") as image:
        assert image.get("/v2/cloudimages", params={"name": "to-cancel"}).json()["images"] == []
        assert image.delete(f"/v1/{system.project_id()}/jobs/{job_id}").status_code == 400
