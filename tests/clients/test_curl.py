"""The scenario exactly as the documentation of Open Telekom Cloud writes it, with curl.

Source: Image Management Service, developer guide, "Creating an Image Using an ECS".
"""

import json
import subprocess
import time
from typing import Any

import pytest

from tests.system import System

pytestmark = pytest.mark.client


def curl(*arguments: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body."""
    done = subprocess.run(["curl", "-sS", "-i", *arguments], capture_output=True, text=True, check=True, timeout=60)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    lines = head.splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    headers |= {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines[1:]}
    return int(lines[0].split()[1]), headers, body


def test_the_documented_procedure_step_by_step(system: System, marked_server: str, bucket: str) -> None:
    auth = system.cloud()["auth"]
    user = {"name": auth["username"], "password": auth["password"], "domain": {"name": auth["user_domain_name"]}}
    login = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": auth["project_name"]}},
        }
    }
    status, headers, body = curl(
        *("-X", "POST", f"{system.url('identity')}/v3/auth/tokens"),
        *("-H", "Content-Type: application/json", "-d", json.dumps(login)),
    )
    assert status == 201
    token = ("-H", f"X-Auth-Token: {headers['x-subject-token']}")
    project = json.loads(body)["token"]["project"]["id"]

    request = {
        "name": "ims_test",
        "description": "Image creation from an ECS",
        "instance_id": marked_server,
        "tags": ["aaa.111", "bbb.333", "ccc.444"],
    }
    status, _, body = curl(
        "-X", "POST", f"{system.url('image')}/v2/cloudimages/action", *token, "-d", json.dumps(request)
    )
    assert status == 200
    entities = _poll(system, project, token, json.loads(body)["job_id"])
    image_id = entities["image_id"]
    assert entities["image_name"] == "ims_test"

    status, _, body = curl(f"{system.url('image')}/v2/cloudimages?id={image_id}", *token)
    assert status == 200
    assert json.loads(body)["images"][0]["tags"] == ["aaa=111", "bbb=333", "ccc=444"]

    wanted = {"bucket_url": f"{bucket}:curl.qcow2", "file_format": "qcow2"}
    status, _, body = curl(
        "-X", "POST", f"{system.url('image')}/v1/cloudimages/{image_id}/file", *token, "-d", json.dumps(wanted)
    )
    assert status == 200
    assert _poll(system, project, token, json.loads(body)["job_id"]) == {"image_id": image_id}
    assert system.s3().head_object(Bucket=bucket, Key="curl.qcow2")["ContentLength"] > 1_000_000

    status, _, body = curl("-X", "DELETE", f"{system.url('image')}/v2/images/{image_id}", *token)
    assert (status, body) == (204, "")


def _poll(system: System, project: str, token: tuple[str, ...], job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        status, _, body = curl(f"{system.url('image')}/v1/{project}/jobs/{job_id}", *token)
        assert status == 200
        job = json.loads(body)
        if job["status"] == "SUCCESS":
            return dict(job["entities"])
        assert job["status"] in ("INIT", "RUNNING"), job
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_failing_request_answers_with_a_code_and_details(system: System) -> None:
    token = ("-H", f"X-Auth-Token: {system.token()}")
    status, _, body = curl(
        *("-X", "POST", f"{system.url('image')}/v2/cloudimages/action", *token),
        *("-d", '{"name":"n","instance_id":"877a2cda-ba63-4e1e-b95f-e67e48b6129a"}'),
    )
    assert status == 400
    assert json.loads(body) == {"error": {"code": "IMG.0005", "message": "The ECS does not exist."}}
