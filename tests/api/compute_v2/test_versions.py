"""Version documents and microversions."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stillframe.api import compute_v2
from tests.servers.world import OURS, Door, open_world, private_database
from tests.system import System

BASE = f"/v2.1/{OURS}"


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One for all of these tests: they change nothing, and no database could make a difference to them."""
    directory = tmp_path_factory.mktemp("versions")
    async with (
        private_database(directory) as database,
        open_world(database, directory) as world,
        world.door(compute_v2) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/", "/v2.1", "/v2.1/", "/v2", "/v2/"])
async def test_a_version_document_answers_with_links_to_where_it_was_asked(door: Door, path: str) -> None:
    answer = await door.get(path)
    assert answer.status_code == 200
    body = answer.json()
    for version in body.get("versions") or [body["version"]]:
        assert version["links"][0]["href"].startswith("http://stillframe.test:8774/v2")


async def test_the_current_version_tells_the_microversions(door: Door) -> None:
    versions = (await door.get("/")).json()["versions"]
    current = {version["id"]: version for version in versions}["v2.1"]
    assert (current["status"], current["min_version"], current["version"]) == ("CURRENT", "2.1", "2.90")


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.45"}, "2.45"),
        ({"X-OpenStack-Nova-API-Version": "2.60"}, "2.60"),
        ({"OpenStack-API-Version": "compute 2.90", "X-OpenStack-Nova-API-Version": "2.1"}, "2.90"),
        ({"OpenStack-API-Version": "compute latest"}, "2.90"),
        ({"OpenStack-API-Version": "volume 3.1"}, "2.1"),
    ],
)
async def test_the_answer_tells_the_version_it_was_made_for(door: Door, headers: dict[str, str], version: str) -> None:
    answer = await door.get(f"{BASE}/flavors", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {version}"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == version
    assert "OpenStack-API-Version" in answer.headers["Vary"]


async def test_an_error_tells_the_version_too(door: Door) -> None:
    answer = await door.get(f"{BASE}/servers/nope", headers={"OpenStack-API-Version": "compute 2.50"})
    assert answer.status_code == 404
    assert answer.headers["OpenStack-API-Version"] == "compute 2.50"


@pytest.mark.parametrize(
    ("text", "status", "envelope"),
    [
        ("2.91", 406, "computeFault"),
        ("2.0", 406, "computeFault"),
        ("3.1", 406, "computeFault"),
        ("two", 400, "badRequest"),
        ("2.1.1", 400, "badRequest"),
        ("2.٩", 400, "badRequest"),
        ("99999999999999999999.1", 400, "badRequest"),
    ],
)
async def test_a_version_there_is_not_is_refused(door: Door, text: str, status: int, envelope: str) -> None:
    header: Any = {b"X-OpenStack-Nova-API-Version": text.encode()}
    answer = await door.get(f"{BASE}/flavors", headers=header)
    assert (answer.status_code, list(answer.json())) == (status, [envelope])


async def test_the_project_in_the_path_is_the_tokens(door: Door) -> None:
    answer = await door.get(f"/v2.1/{'f' * 32}/servers")
    assert answer.status_code == 400
    assert "project_id" in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("path", ["/cloudimages?id=x", "/os-security-groups", "/os-networks", "/nothing/here"])
async def test_what_is_not_there_answers_404_in_json(door: Door, path: str) -> None:
    answer = await door.get(f"{BASE}{path}")
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["code"] == 404


async def test_a_known_path_with_the_wrong_method_answers_405(door: Door) -> None:
    answer = await door.patch(f"{BASE}/servers")
    assert answer.status_code == 405
    assert "badMethod" in answer.json()


async def test_v2_is_an_alias(door: Door) -> None:
    assert (await door.get(f"/v2/{OURS}/flavors")).json() == (await door.get(f"{BASE}/flavors")).json()


def test_paths_without_a_project_are_the_tokens(system: System) -> None:
    with system.http("compute") as compute:
        for path in ("servers", "servers/detail", "flavors/s3.tiny", "limits", "os-keypairs"):
            named = compute.get(f"/v2.1/{system.project_id()}/{path}")
            assert (named.status_code, named.json()) == (200, compute.get(f"/v2.1/{path}").json())
        assert compute.get("/v2.1/servers/nope").status_code == 404
        assert compute.get("/v2.1/nope").status_code == 404
        assert httpx.get(f"{system.url('compute')}/v2.1/servers").status_code == 401
