"""Bad input to every door of the running system: a status below 500 (or an honest 501), JSON, nothing left behind.

The routes are read off the application, so a route that is added is attacked without a change here.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.app import DOORS
from stillframe.coverage import operations
from tests.conftest import BACKENDS
from tests.system import System

# PostgreSQL refuses what SQLite takes, NUL characters and integers of over 64 bits, so it is the one to ask.
pytestmark = pytest.mark.parametrize("system", BACKENDS[1:], indirect=True)

ROUTES = [
    (service, operation.method, operation.path)
    for service, packages in DOORS.items()
    for operation in operations(handler for package in packages for handler in package.handlers)
    if operation.missing is None
]
STANDARD = [
    b"",
    b"null",
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"a":"\\u0000"}',
    b'{"name":"\\ud800"}',
    b"[" * 50_000,
    b'{"a":' * 20_000,
    b"1e400",
    b"123456789012345678901234567890",
    b"x" * (5 * 1024 * 1024),
]
KEYS = st.sampled_from(
    [
        *("name", "server", "volume", "keypair", "auth", "identity", "methods", "password", "user", "scope", "project"),
        *(
            "flavorRef",
            "imageRef",
            "networks",
            "instance_id",
            "bucket_url",
            "file_format",
            "tags",
            "os-start",
            "reboot",
        ),
        *(
            "createImage",
            "metadata",
            "public_key",
            "member",
            "method",
            "input",
            "type",
            "uri",
            "url",
            "status",
            "credential",
            "min_ram",
            "min_disk",
            "image_tags",
        ),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["\x00", "a" * 300, "877a2cda-ba63-4e1e-b95f-e67e48b6129a", "../../etc/passwd", "-1", "1e9"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
SEGMENTS = st.sampled_from(
    [
        "x",
        "%00",
        "%ff",
        "..%2f..%2fetc",
        "a" * 300,
        "877a2cda-ba63-4e1e-b95f-e67e48b6129a",
        "0" * 32,
        "%F0%9F%92%A9",
        "-",
    ]
)
QUERIES = st.sampled_from(
    [
        "",
        "limit=-1",
        "limit=9999999999999999999999",
        "marker=%00",
        "sort=x:y",
        "name=%ff",
        "a=b&a=c&%00=%00",
        'status=in:"',
    ]
)


@pytest.fixture(scope="module", autouse=True)
def servers_before(system: System) -> set[str]:
    return server_ids(system)


def server_ids(system: System) -> set[str]:
    with system.http("compute") as compute:
        found = compute.get(f"/v2.1/{system.project_id()}/servers").json()["servers"]
    return {server["id"] for server in found}


def url_of(system: System, service: str, path: str, segment: str) -> str:
    """The route's path with the project where it wants one and `segment` everywhere else."""
    parts = []
    for part in path.split("/"):
        if not part.startswith("{"):
            parts.append(part)
        else:
            parts.append(system.project_id() if part.startswith("{project_id") else segment)
    return system.url(service) + "/".join(parts)


@pytest.fixture(scope="module")
def client(system: System) -> Iterator[httpx.Client]:
    headers = {"X-Auth-Token": system.token(), "Content-Type": "application/json"}
    with httpx.Client(headers=headers, timeout=60) as opened:
        yield opened


def attack(client: httpx.Client, method: str, url: str, content: bytes) -> None:
    answer = client.request(method, url, content=content)
    assert answer.status_code < 500 or answer.status_code == 501, (method, url, content[:200], answer.text[:500])
    assert "Traceback" not in answer.text
    if answer.content and method != "HEAD" and answer.status_code >= 400:
        assert answer.headers["content-type"].startswith("application/json"), (method, url, answer.headers)
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_broken_bodies_are_refused(system: System, client: httpx.Client, route: tuple[str, str, str]) -> None:
    service, method, path = route
    url = url_of(system, service, path, "877a2cda-ba63-4e1e-b95f-e67e48b6129a")
    for content in STANDARD if method in {"POST", "PUT", "PATCH"} else STANDARD[:3]:
        attack(client, method, url, content)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    route=st.sampled_from(ROUTES),
    body=st.dictionaries(KEYS, VALUES, max_size=4),
    segment=SEGMENTS,
    query=QUERIES,
)
def test_well_formed_nonsense_is_refused(
    system: System, client: httpx.Client, route: tuple[str, str, str], body: dict[str, Any], segment: str, query: str
) -> None:
    service, method, path = route
    url = url_of(system, service, path, segment)
    attack(client, method, f"{url}?{query}" if query else url, json.dumps(body).encode())


def test_nothing_is_left_of_all_that(system: System, servers_before: set[str]) -> None:
    assert server_ids(system) <= servers_before
    assert not list((system.data_dir / "staging").iterdir())
    assert not system.sql("SELECT id FROM layers WHERE state = 'creating'")
    assert not system.sql("SELECT id FROM jobs WHERE state IN ('queued', 'running', 'cancelling')")
