"""Whatever is sent, the answer is a documented refusal or a success, never a failure of ours."""

import json
from typing import Any
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.image_v2.conftest import Door
from tests.images.helpers import THEIRS

quickly = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = st.sampled_from(
    [
        *("id", "name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "tags"),
        *("min_ram", "min_disk", "max_ram", "size", "status", "checksum", "os_hash_value", "created_at", "updated_at"),
        *("__os_type", "__description", "__isregistered", "__imagetype", "__image_size", "virtual_env_type"),
        *(
            "limit",
            "marker",
            "sort",
            "sort_key",
            "sort_dir",
            "member_status",
            "tag",
            "size_min",
            "size_max",
            "locations",
        ),
    ]
)
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["\x00", "in:", 'in:"', "in:\x00", "gt:", "eq:2026-01-01", "9" * 5000, "-1", "1e9", "true", "\ud800", "a" * 70_000]
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([2**31, 2**63, 2**64, 10**400])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


SHORT_TEXTS = TEXTS.map(lambda text: text[:5000])
"""The client of these tests cannot send a longer address."""


def refused_or_done(answer: httpx.Response) -> None:
    assert answer.status_code < 500, (answer.request.method, answer.request.url, answer.request.content, answer.text)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


@quickly
@given(body=st.dictionaries(NAMES | TEXTS, VALUES, max_size=5) | VALUES)
async def test_any_json_as_a_description(door: Door, body: Any) -> None:
    answer = await door.post("/v2/images", content=as_json(body))
    refused_or_done(answer)
    if answer.status_code == 201:
        # What was taken must also be given back, and must not break anybody's list.
        refused_or_done(await door.get("/v2/images?limit=1000"))
        await door.patch_image(answer.json()["id"], {"op": "add", "path": "/protected", "value": False})
        assert (await door.delete(answer.json()["self"])).status_code == 204


@quickly
@given(body=st.binary(max_size=200))
async def test_any_bytes_as_a_body(door: Door, body: bytes) -> None:
    image = await door.create()
    refused_or_done(await door.post("/v2/images", content=body))
    refused_or_done(await door.post(f"/v2/images/{image['id']}/members", content=body))
    refused_or_done(await door.put(f"/v2/images/{image['id']}/members/{THEIRS}", content=body))
    refused_or_done(await door.request("DELETE", f"/v2/images/{image['id']}", content=body))


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "replace", "remove"]) | VALUES,
        "path": st.builds(lambda name: f"/{name}", NAMES | TEXTS) | VALUES,
        "value": VALUES,
        "add": VALUES,
    },
)


@quickly
@given(changes=st.lists(CHANGES, max_size=4) | VALUES, version=st.sampled_from(["2.0", "2.1"]))
async def test_any_json_as_a_patch(door: Door, changes: Any, version: str) -> None:
    image = await door.create()
    headers = {"content-type": f"application/openstack-images-v{version}-json-patch"}
    answer = await door.patch(f"/v2/images/{image['id']}", content=as_json(changes), headers=headers)
    refused_or_done(answer)
    shown = await door.get(f"/v2/images/{image['id']}")
    assert shown.json() == (answer.json() if answer.status_code == 200 else image)
    await door.patch_image(image["id"], {"op": "add", "path": "/protected", "value": False})
    assert (await door.delete(f"/v2/images/{image['id']}")).status_code == 204


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@quickly
@given(pairs=st.lists(st.tuples(NAMES | SHORT_TEXTS, SHORT_TEXTS), max_size=4))
async def test_any_query(door: Door, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quoted(name)}={quoted(text)}" for name, text in pairs)
    refused_or_done(await door.get(f"/v2/images?{query}"))


@quickly
@given(
    parts=st.lists(SHORT_TEXTS, min_size=1, max_size=4),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]),
)
async def test_any_path(door: Door, parts: list[str], method: str) -> None:
    path = "/".join(quoted(part) for part in parts)
    answer = await door.request(method, f"/v2/images/{path}", content=b"{}")
    assert answer.status_code < 500 or answer.status_code == 501, (method, path, answer.text)


@quickly
@given(range_=TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"")))
async def test_any_header(door: Door, range_: bytes) -> None:
    image = await door.create(disk_format="raw")
    path = f"/v2/images/{image['id']}/file"
    octets = {"content-type": "application/octet-stream"}
    refused_or_done(
        await door.put(path, content=b"data", headers=[*octets.items(), (b"x-openstack-image-size", range_)])
    )
    refused_or_done(await door.get(path, headers=[(b"range", range_)]))
    refused_or_done(await door.post("/v2/images", content=b"{}", headers=[(b"content-type", range_), (b"host", b"h")]))
    assert (await door.delete(f"/v2/images/{image['id']}")).status_code == 204
