"""Many requests for one image at once: each gets an answer that fits one order of them, and nothing is left between."""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest

from tests.system import System

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
DATA = {"Content-Type": "application/octet-stream"}


@pytest.fixture
async def image(system: System) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Auth-Token": system.token()}
    limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
    async with httpx.AsyncClient(base_url=system.url("image"), headers=headers, limits=limits, timeout=120) as client:
        yield client


async def new_image(image: httpx.AsyncClient, content: bytes = b"", **fields: object) -> str:
    body = {"name": "raced", "disk_format": "raw", "container_format": "bare", **fields}
    made = await image.post("/v2/images", json=body)
    assert made.status_code == 201, made.text
    image_id = str(made.json()["id"])
    if content:
        assert (await image.put(f"/v2/images/{image_id}/file", content=content, headers=DATA)).status_code == 204
    return image_id


async def statuses(*requests: Awaitable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*requests))


async def change(image: httpx.AsyncClient, image_id: str, *operations: dict[str, object]) -> httpx.Response:
    return await image.patch(f"/v2/images/{image_id}", json=list(operations), headers=PATCH)


def protection(protected: bool) -> dict[str, object]:  # noqa: FBT001 - the one thing it says
    return {"op": "replace", "path": "/protected", "value": protected}


async def test_of_many_uploads_one_wins_and_its_bytes_are_there(image: httpx.AsyncClient) -> None:
    image_id = await new_image(image)
    contents = [os.urandom(512) * 2000 for _ in range(12)]
    answers = await asyncio.gather(
        *(image.put(f"/v2/images/{image_id}/file", content=content, headers=DATA) for content in contents)
    )
    won = [content for content, answer in zip(contents, answers, strict=True) if answer.status_code == 204]
    assert len(won) == 1, [answer.status_code for answer in answers]
    assert {answer.status_code for answer in answers} == {204, 409}
    assert (await image.get(f"/v2/images/{image_id}/file")).content == won[0]
    shown = (await image.get(f"/v2/images/{image_id}")).json()
    assert shown["os_hash_value"] == hashlib.sha512(won[0]).hexdigest()
    assert (await image.delete(f"/v2/images/{image_id}")).status_code == 204


async def test_changes_of_different_things_are_all_kept_or_refused(image: httpx.AsyncClient) -> None:
    image_id = await new_image(image)
    names = [f"property-{number}" for number in range(16)]
    answers = await asyncio.gather(
        *(change(image, image_id, {"op": "add", "path": f"/{name}", "value": name}) for name in names)
    )
    kept = {name for name, answer in zip(names, answers, strict=True) if answer.status_code == 200}
    assert {answer.status_code for answer in answers} <= {200, 409}
    shown = (await image.get(f"/v2/images/{image_id}")).json()
    assert {name for name in names if shown.get(name) == name} == kept
    assert kept
    tags = await statuses(*(image.put(f"/v2/images/{image_id}/tags/tag-{number}") for number in range(16)))
    assert set(tags) <= {204, 409}
    assert len((await image.get(f"/v2/images/{image_id}")).json()["tags"]) == tags[204]
    assert (await image.delete(f"/v2/images/{image_id}")).status_code == 204


async def test_of_many_deletions_one_deletes(image: httpx.AsyncClient) -> None:
    image_id = await new_image(image, b"\1" * 4096)
    assert await statuses(*(image.delete(f"/v2/images/{image_id}") for _ in range(12))) == {204: 1, 404: 11}


async def test_what_is_deleted_meanwhile_is_gone_for_everybody(image: httpx.AsyncClient) -> None:
    image_id = await new_image(image)
    path = f"/v2/images/{image_id}"
    answers = await statuses(
        *(image.put(f"{path}/file", content=os.urandom(256) * 4096, headers=DATA) for _ in range(3)),
        *(change(image, image_id, {"op": "replace", "path": "/name", "value": str(number)}) for number in range(4)),
        image.delete(path),
        *(image.put(f"{path}/tags/t{number}") for number in range(4)),
        *(image.get(path) for _ in range(4)),
    )
    assert not {status for status in answers if status >= 500}, answers
    await image.delete(path)  # the first may have come while the data was being received
    assert (await image.get(path)).status_code == 404


async def test_a_download_that_has_begun_ends_well_though_the_image_goes(image: httpx.AsyncClient) -> None:
    content = os.urandom(1024) * 20_000
    image_id = await new_image(image, content)
    async with image.stream("GET", f"/v2/images/{image_id}/file") as download:
        pieces = download.aiter_raw(65536)
        received = await anext(pieces)
        assert (await image.delete(f"/v2/images/{image_id}")).status_code == 204
        async for piece in pieces:
            received += piece
    assert received == content


async def test_a_member_is_added_once_and_removed_once(image: httpx.AsyncClient, system: System) -> None:
    image_id = await new_image(image, visibility="shared")
    account = await system.add_account("raced-member")
    members = f"/v2/images/{image_id}/members"
    added = await statuses(*(image.post(members, json={"member": account.project_id}) for _ in range(8)))
    assert added == {200: 1, 409: 7}
    headers = {"X-Auth-Token": account.token}
    own = f"{members}/{account.project_id}"
    decided = await statuses(
        *(
            image.put(own, json={"status": status}, headers=headers)
            for status in ("accepted", "rejected", "pending", "accepted")
        ),
        *(image.delete(own) for _ in range(4)),
    )
    assert set(decided) <= {200, 204, 404}, decided
    assert decided[204] == 1
    assert (await image.get(members)).json()["members"] == []
    assert (await image.delete(f"/v2/images/{image_id}")).status_code == 204


async def test_actions_of_administrators_and_changes_end_in_one_state(image: httpx.AsyncClient, system: System) -> None:
    image_id = await new_image(image, b"\2" * 4096)
    admin = {"X-Auth-Token": system.token("stillframe-admin")}
    path = f"/v2/images/{image_id}"
    answers = await statuses(
        *(image.post(f"{path}/actions/{verb}", headers=admin) for verb in ("deactivate", "reactivate") * 4),
        *(change(image, image_id, protection(number % 2 == 0)) for number in range(6)),
    )
    assert set(answers) <= {200, 204, 409}, answers
    assert (await image.get(path)).json()["status"] in {"active", "deactivated"}
    assert (await change(image, image_id, protection(False))).status_code == 200
    assert (await image.delete(path)).status_code == 204
