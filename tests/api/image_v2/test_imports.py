"""Staging, importing, and the tasks that tell of it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillframe.blobs.layout import DataLayout
from stillframe.db import Database
from stillframe.identity.tokens import TokenKeys
from stillframe.images import rows
from stillframe.jobs.model import JobState
from stillframe.jobs.resources import Resources
from stillframe.layers import files as layer_files
from stillframe.layers import rows as layer_rows
from tests.api.image_v2.conftest import Door, settings_for
from tests.images.helpers import OURS, THEIRS, add_projects
from tests.images.jobs_now import run_jobs
from tests.qemu.disks import tool
from tests.web_server import WebServer

OCTETS = {"content-type": "application/octet-stream"}
PAYLOAD = bytes(range(256)) * 4_000
DIRECT = {"method": {"name": "glance-direct"}}


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer().serving() as server:
        yield server


@pytest.fixture
async def resources(database: Database, tmp_path: Path, web: WebServer) -> Resources:
    """As everywhere in this folder, but that imports may download from here."""
    layout = DataLayout(tmp_path / "data")
    layout.create()
    await add_projects(database)
    settings = settings_for(
        layout.root,
        web_download_hosts=("127.0.0.1",),
        web_download_ports=(80, 443, web.port),
        upload_limit_bytes=50 * 1024**2,
    )
    return Resources(settings=settings, layout=layout, database=database, token_keys=TokenKeys.open(layout))


async def stage(door: Door, image_id: str, content: Any = PAYLOAD, **headers: str) -> httpx.Response:
    return await door.put(f"/v2/images/{image_id}/stage", content=content, headers=OCTETS | headers)


async def staged(door: Door, content: bytes = PAYLOAD, **attributes: Any) -> str:
    image = await door.create(**{"disk_format": "raw"} | attributes)
    assert (await stage(door, image["id"], content)).status_code == 204
    return str(image["id"])


async def ask(door: Door, image_id: str, body: Any, **headers: str) -> httpx.Response:
    return await door.post(f"/v2/images/{image_id}/import", json=body, headers=headers)


async def show(door: Door, image_id: str) -> dict[str, Any]:
    return dict((await door.get(f"/v2/images/{image_id}")).json())


async def tasks(door: Door, image_id: str) -> list[dict[str, Any]]:
    return list((await door.get(f"/v2/images/{image_id}/tasks")).json()["tasks"])


def download(url: str) -> dict[str, Any]:
    return {"method": {"name": "web-download", "uri": url}}


async def assert_waiting_and_empty(door: Door, resources: Resources, image_id: str) -> None:
    image = await show(door, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("queued", None, None)
    await assert_no_data(resources)


async def assert_no_data(resources: Resources) -> None:
    await layer_files.sweep(resources)
    assert list(resources.layout.layers_dir.iterdir()) == []
    async with resources.database.reading() as tx:
        assert await rows.list_uploads(tx) == []
        assert await layer_rows.list_doomed(tx) == []


async def test_staged_data_becomes_the_images_by_an_import(door: Door, resources: Resources) -> None:
    image_id = await staged(door)
    waiting = await show(door, image_id)
    assert (waiting["status"], waiting["size"], waiting["checksum"]) == ("uploading", len(PAYLOAD), None)
    assert "stores" not in waiting
    assert (await door.get(f"/v2/images/{image_id}/file")).status_code == 204
    asked = await ask(door, image_id, DIRECT | {"all_stores": True})
    assert (asked.status_code, asked.content) == (202, b"")
    importing = await show(door, image_id)
    assert (importing["status"], importing["os_glance_importing_to_stores"]) == ("importing", "local")
    await run_jobs(resources)
    image = await show(door, image_id)
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(PAYLOAD), len(PAYLOAD))
    assert image["checksum"] == hashlib.md5(PAYLOAD, usedforsecurity=False).hexdigest()
    assert image["os_hash_value"] == hashlib.sha512(PAYLOAD).hexdigest()
    assert (image["stores"], image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == (
        "local",
        "",
        "",
    )
    assert "os_glance_import_task" not in image
    assert (await door.get(f"/v2/images/{image_id}/file")).content == PAYLOAD
    [task] = await tasks(door, image_id)
    assert (task["status"], task["type"], task["message"]) == ("success", "api_image_import", "")
    assert (task["id"], task["image_id"], task["result"]) == (
        importing["os_glance_import_task"],
        image_id,
        {"image_id": image_id},
    )
    assert task["input"]["import_req"] == DIRECT | {"all_stores": True}
    assert len(list(resources.layout.layers_dir.iterdir())) == 1


async def test_data_is_fetched_from_the_web(door: Door, resources: Resources, web: WebServer, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(disk), "8M")
    web.files["/disk.qcow2"] = disk.read_bytes()
    image = await door.create(disk_format="qcow2")
    assert (await ask(door, image["id"], download(web.url("/disk.qcow2")))).status_code == 202
    [job] = await run_jobs(resources)
    assert job.bytes_done == 0 or job.bytes_done == len(web.files["/disk.qcow2"])
    shown = await show(door, image["id"])
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", disk.stat().st_size, 8 * 1024**2)
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == web.files["/disk.qcow2"]
    assert [path for path, _ in web.asked] == ["/disk.qcow2"], "a step that is repeated fetches nothing twice"


@pytest.mark.parametrize("path", ["/missing", "/short", "/gzip", "/endless", "/away", "/lies"])
async def test_a_download_that_fails_leaves_the_image_waiting_and_says_why(
    door: Door, resources: Resources, web: WebServer, path: str
) -> None:
    web.redirects["/away"] = "http://169.254.169.254/latest/meta-data"
    web.files["/lies"] = b"no disk at all" * 100
    image = await door.create(disk_format="qcow2")
    assert (await ask(door, image["id"], download(web.url(path)))).status_code == 202
    [job] = await run_jobs(resources)
    assert job.state is JobState.FAILED
    [task] = await tasks(door, image["id"])
    assert task["status"] == "failure"
    assert task["message"] == job.error_message
    assert task["expires_at"]
    await assert_waiting_and_empty(door, resources, image["id"])
    shown = await show(door, image["id"])
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "local")
    web.files["/disk"] = bytes(1_000_000)
    patched = await door.patch_image(image["id"], {"op": "replace", "path": "/disk_format", "value": "raw"})
    assert patched.status_code == 200
    assert (await ask(door, image["id"], download(web.url("/disk")))).status_code == 202
    await run_jobs(resources)
    assert (await show(door, image["id"]))["status"] == "active"
    assert [one["status"] for one in await tasks(door, image["id"])] == ["failure", "success"]


async def test_staged_data_that_is_not_what_was_declared_is_gone_after_the_import(
    door: Door, resources: Resources
) -> None:
    image_id = await staged(door, disk_format="qcow2")
    assert (await ask(door, image_id, DIRECT)).status_code == 202
    await run_jobs(resources)
    [task] = await tasks(door, image_id)
    assert (task["status"], task["message"]) == ("failure", "The image file is not qcow2 but raw.")
    await assert_waiting_and_empty(door, resources, image_id)
    assert (await stage(door, image_id)).status_code == 204


@pytest.mark.parametrize("when", ["staged", "asked", "after the download"])
async def test_an_image_may_be_deleted_at_any_time_and_takes_its_data_along(
    door: Door, resources: Resources, when: str
) -> None:
    image_id = await staged(door)
    if when != "staged":
        assert (await ask(door, image_id, DIRECT)).status_code == 202
    assert (await door.delete(f"/v2/images/{image_id}")).status_code == 204
    for job in await run_jobs(resources):
        assert job.state is JobState.FAILED
    await assert_no_data(resources)
    assert (await door.get(f"/v2/images/{image_id}")).status_code == 404
    assert (await door.get(f"/v2/images/{image_id}/tasks")).status_code == 404


BAD_REQUESTS: list[Any] = [
    [],
    {},
    {"method": None},
    {"method": "glance-direct"},
    {"method": {}},
    {"method": {"name": None}},
    {"method": {"name": "glance-download"}},
    {"method": {"name": "\x00"}},
    {"method": {"name": ["glance-direct"]}},
    download(""),
    download("file:///etc/passwd"),
    download("http://127.0.0.1:22/"),
    download("http://169.254.169.254/latest"),
    download("http://user:secret@example.com/disk"),
    {"method": {"name": "web-download"}},
    {"method": {"name": "web-download", "uri": 7}},
    {"method": {"name": "web-download", "uri": "http://exa\ud800mple.com/"}},
    DIRECT | {"all_stores": "true"},
    DIRECT | {"all_stores_must_succeed": 1},
    DIRECT | {"stores": "local"},
    DIRECT | {"stores": [1]},
    DIRECT | {"stores": []},
    DIRECT | {"stores": ["local"], "all_stores": True},
]


async def test_a_bad_request_for_an_import_is_refused(door: Door) -> None:
    image = await door.create(disk_format="raw")
    for body in BAD_REQUESTS:
        answer = await door.post(f"/v2/images/{image['id']}/import", content=json.dumps(body).encode())
        assert answer.status_code == 400, (body, answer.text)
        assert set(answer.json()) == {"message", "code", "title"}
    assert (await show(door, image["id"]))["status"] == "queued"


async def test_an_import_starts_from_the_right_state_only(door: Door, resources: Resources, web: WebServer) -> None:
    queued = (await door.create(disk_format="raw"))["id"]
    assert (await ask(door, queued, DIRECT)).status_code == 409
    without_formats = await staged(door, disk_format=None, container_format=None)
    assert (await ask(door, without_formats, DIRECT)).status_code == 409
    image_id = await staged(door)
    assert (await ask(door, image_id, download(web.url("/x")))).status_code == 409
    assert (await stage(door, image_id)).status_code == 409
    assert (await door.put(f"/v2/images/{image_id}/file", content=b"x", headers=OCTETS)).status_code == 409
    assert (await ask(door, image_id, DIRECT | {"stores": ["elsewhere"]})).status_code == 409
    assert (await ask(door, image_id, DIRECT)).status_code == 202
    assert (await ask(door, image_id, DIRECT)).status_code == 409
    await run_jobs(resources)
    assert (await ask(door, image_id, DIRECT)).status_code == 409
    assert (await ask(door, image_id, download(web.url("/x")))).status_code == 409
    assert (await door.post("/v2/images/nothing/import", json=DIRECT)).status_code == 404


async def test_staging_follows_the_rules_of_an_upload(door: Door, resources: Resources) -> None:
    image = await door.create(disk_format="raw")
    path = f"/v2/images/{image['id']}/stage"
    assert (await door.put(path, content=b"x", headers={"content-type": "text/plain"})).status_code == 415
    assert (await stage(door, image["id"], **{"x-openstack-image-size": "5"})).status_code == 400
    too_large = await stage(door, image["id"], **{"x-openstack-image-size": str(60 * 1024**2), "content-length": ""})
    assert too_large.status_code in {400, 413}
    assert (await stage(door, "nothing")).status_code == 404
    await assert_waiting_and_empty(door, resources, image["id"])
    door.speak_as(THEIRS)
    assert (await stage(door, image["id"])).status_code == 404
    door.speak_as(OURS, "readonly")
    assert (await stage(door, image["id"])).status_code == 403


async def test_only_the_owner_imports(door: Door, resources: Resources) -> None:
    image_id = await staged(door, visibility="community")
    door.speak_as(THEIRS)
    assert (await ask(door, image_id, DIRECT)).status_code == 403
    door.speak_as(OURS, "readonly")
    assert (await ask(door, image_id, DIRECT)).status_code == 403
    door.speak_as(OURS)
    assert (await ask(door, image_id, DIRECT)).status_code == 202
    await run_jobs(resources)
    door.speak_as(THEIRS)
    assert (await show(door, image_id))["status"] == "active"
    assert await tasks(door, image_id) == [], "where it came from is the owner's business"


async def test_a_copy_between_stores_finds_nothing_to_do(door: Door, resources: Resources) -> None:
    image_id = await staged(door)
    copy: dict[str, Any] = {"method": {"name": "copy-image"}, "all_stores": True, "all_stores_must_succeed": False}
    assert (await ask(door, image_id, copy)).status_code == 409
    await ask(door, image_id, DIRECT)
    await run_jobs(resources)
    assert (await ask(door, image_id, copy)).status_code == 403
    door.speak_as(OURS, "admin")
    assert (await ask(door, image_id, copy)).status_code == 202
    shown = await show(door, image_id)
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "")
    assert (await ask(door, image_id, copy | {"all_stores": False})).status_code == 400
    assert (await ask(door, image_id, {"method": copy["method"], "stores": ["local"]})).status_code == 400


LEGACY = {
    "type": "import",
    "input": {"import_from_format": "raw", "image_properties": {"name": "a", "disk_format": "raw"}},
}


def legacy(url: str) -> dict[str, Any]:
    return {"type": "import", "input": {**LEGACY["input"], "import_from": url}}  # type: ignore[dict-item]


async def test_a_task_of_an_administrator_makes_an_image(door: Door, resources: Resources, web: WebServer) -> None:
    web.files["/disk"] = PAYLOAD
    door.speak_as(OURS, "admin")
    made = await door.post("/v2/tasks", json=legacy(web.url("/disk")))
    assert made.status_code == 201, made.text
    task = made.json()
    assert made.headers["location"] == f"http://images:9292/v2/tasks/{task['id']}"
    assert (task["status"], task["type"], task["input"]["import_from"]) == ("pending", "import", web.url("/disk"))
    await run_jobs(resources)
    done = (await door.get(f"/v2/tasks/{task['id']}")).json()
    assert done["status"] == "success"
    image = await show(door, done["result"]["image_id"])
    assert (image["name"], image["status"], image["size"]) == ("a", "active", len(PAYLOAD))


async def test_a_task_that_fails_takes_its_image_away(door: Door, resources: Resources, web: WebServer) -> None:
    door.speak_as(OURS, "admin")
    task = (await door.post("/v2/tasks", json=legacy(web.url("/missing")))).json()
    await run_jobs(resources)
    failed = (await door.get(f"/v2/tasks/{task['id']}")).json()
    assert (failed["status"], failed["message"]) == ("failure", "The server answered with status 404.")
    assert (await door.get("/v2/images")).json()["images"] == []
    await assert_no_data(resources)


async def test_bad_tasks_are_refused(door: Door) -> None:
    door.speak_as(OURS, "admin")
    given = LEGACY["input"]
    for body in (
        {},
        {"type": "import"},
        {"type": "export", "input": {}},
        {"type": "api_image_import", "input": {}},
        {"type": "import", "input": None},
        {"type": "import", "input": given},
        legacy("file:///etc/passwd"),
        legacy("http://10.0.0.1/disk"),
        legacy("http://example.com/disk") | {"owner": "me"},
        {"type": "import", "input": {**given, "import_from": "http://example.com/", "image_properties": {}}},  # type: ignore[dict-item]
    ):
        assert (await door.post("/v2/tasks", json=body)).status_code == 400, body
    assert (await door.get("/v2/images")).json()["images"] == []


async def test_the_tasks_api_is_for_administrators(door: Door) -> None:
    assert (await door.get("/v2/tasks")).status_code == 403
    assert (await door.get("/v2/tasks/nothing")).status_code == 403
    assert (await door.post("/v2/tasks", json={})).status_code == 403


async def test_tasks_are_listed_page_by_page(door: Door, resources: Resources) -> None:
    for _ in range(3):
        await ask(door, await staged(door), DIRECT)
    await run_jobs(resources)
    await ask(door, await staged(door), DIRECT)
    door.speak_as(THEIRS, "admin")
    found: list[dict[str, Any]] = []
    path = "/v2/tasks?limit=3&status=success"
    while path:
        page = (await door.get(path)).json()
        found += page["tasks"]
        path = page.get("next", "")
    assert len(found) == 3
    assert found == sorted(found, key=lambda task: task["created_at"], reverse=True)
    assert set(found[0]) == {
        *("id", "type", "status", "owner", "created_at", "updated_at", "self", "schema", "expires_at"),
    }
    assert [task["owner"] for task in found] == [OURS] * 3
    pending = (await door.get("/v2/tasks?status=pending&type=api_image_import")).json()["tasks"]
    assert [task["status"] for task in pending] == ["pending"]
    assert (await door.get("/v2/tasks?type=import&sort_dir=asc&sort_key=created_at")).json()["tasks"] == []
    for key in ("created_at", "updated_at", "expires_at", "id", "type", "status"):
        by_key = [(await door.get(f"/v2/tasks?sort_key={key}&sort_dir=asc&limit=2")).json()]
        by_key.append((await door.get(by_key[0]["next"])).json())
        assert len({task["id"] for page in by_key for task in page["tasks"]}) == 4, key
    for bad in ("limit=-1", "limit=x", "marker=nothing", "status=done", "type=x", "sort_dir=up", "sort_key=name"):
        assert (await door.get(f"/v2/tasks?{bad}")).status_code == 400, bad
    assert (await door.get("/v2/tasks/nothing%00")).status_code == 404
    deleting = await door.delete(f"/v2/tasks/{found[0]['id']}")
    assert (deleting.status_code, deleting.headers["allow"]) == (405, "GET")


async def test_what_a_project_uses(door: Door) -> None:
    await staged(door, bytes(3 * 1024**2))
    usage = (await door.get("/v2/info/usage")).json()["usage"]
    assert usage["image_stage_total"] == {"limit": -1, "usage": 3}
    assert usage["image_count_uploading"] == {"limit": -1, "usage": 1}
    assert usage["image_size_total"] == {"limit": -1, "usage": 0}


async def test_properties_of_the_service_are_not_the_callers(door: Door, resources: Resources) -> None:
    image_id = await staged(door)
    await ask(door, image_id, DIRECT)
    for name in ("os_glance_import_task", "os_glance_importing_to_stores", "stores"):
        for change in ({"op": "replace", "path": f"/{name}", "value": "x"}, {"op": "remove", "path": f"/{name}"}):
            assert (await door.patch_image(image_id, change)).status_code == 403, change
    assert (await door.post("/v2/images", json={"stores": "local"})).status_code == 403
    await door.patch_image(image_id, {"op": "add", "path": "/team", "value": "blue"})
    await run_jobs(resources)
    shown = await show(door, image_id)
    assert (shown["status"], shown["team"]) == ("active", "blue")
