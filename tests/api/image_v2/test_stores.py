"""Stores, locations and the cache: one store, and the refusals of a Glance that is set up so; and Glance v1."""

import pytest

from stillframe.jobs.resources import Resources
from tests.api.image_v2.conftest import Door
from tests.api.image_v2.test_data import uploaded
from tests.images.helpers import OURS, THEIRS


async def test_there_is_one_store_and_creating_an_image_says_so(door: Door) -> None:
    assert [one["id"] for one in (await door.get("/v2/info/stores")).json()["stores"]] == ["local"]
    made = await door.post("/v2/images", json={"disk_format": "raw"})
    assert made.headers["openstack-image-store-ids"] == "local"
    assert made.headers["openstack-image-import-methods"] == "glance-direct,web-download,copy-image"
    methods = (await door.get("/v2/info/import")).json()["import-methods"]
    assert methods["value"] == ["glance-direct", "web-download", "copy-image"]
    assert (await door.get("/v2/info/stores/detail")).status_code == 403
    door.speak_as(OURS, "admin")
    [detail] = (await door.get("/v2/info/stores/detail")).json()["stores"]
    assert (detail["id"], detail["type"], detail["default"]) == ("local", "file", "true")


async def test_data_goes_to_the_store_there_is_and_to_no_other(door: Door) -> None:
    image = await door.create(disk_format="raw")
    headers = {"content-type": "application/octet-stream", "x-image-meta-store": "elsewhere"}
    path = f"/v2/images/{image['id']}/file"
    assert (await door.put(path, content=bytes(1024), headers=headers)).status_code == 400
    assert (await door.put(path, content=bytes(1024), headers=headers | {"x-image-meta-store": "local"})).is_success
    assert (await door.get(f"/v2/images/{image['id']}")).json()["stores"] == "local"


async def test_data_is_not_deleted_from_its_only_store(door: Door) -> None:
    image = await uploaded(door)
    waiting = await door.create(disk_format="raw")
    assert (await door.delete(f"/v2/stores/elsewhere/{image['id']}")).status_code == 409
    assert (await door.delete(f"/v2/stores/local/{image['id']}")).status_code == 403
    assert (await door.delete("/v2/stores/local/nothing")).status_code == 404
    door.speak_as(OURS, "admin")
    assert (await door.delete(f"/v2/stores/local/{waiting['id']}")).status_code == 409
    refused = await door.delete(f"/v2/stores/local/{image['id']}")
    assert (refused.status_code, "Delete the image" in refused.json()["message"]) == (403, True)


async def test_locations_are_shown_to_services_and_administrators_and_taken_from_nobody(
    door: Door, resources: Resources
) -> None:
    image = await door.create(disk_format="raw")
    path = f"/v2/images/{image['id']}/locations"
    url = {"url": "http://example.com/disk"}
    digest = {"os_hash_algo": "sha512", "os_hash_value": "ab" * 64}
    assert (await door.get(path)).status_code == 403
    assert (await door.post(path, json=url)).status_code == 403
    assert (await door.post(path, json=url | {"validation_data": digest})).status_code == 403
    for body in (
        {},
        {"url": 1},
        url | {"validation_data": {"os_hash_value": "ab"}},
        url | {"validation_data": digest | {"os_hash_algo": "sha1"}},
        url | {"validation_data": digest | {"os_hash_algo": "crc"}},
        url | {"validation_data": []},
    ):
        assert (await door.post(path, json=body)).status_code == 400, body
    active = await uploaded(door)
    for role in ("admin", "service"):
        door.speak_as(OURS, role)
        assert (await door.get(path)).json() == []
    [location] = (await door.get(f"/v2/images/{active['id']}/locations")).json()
    assert location["metadata"] == {"store": "local"}
    [stored] = resources.layout.layers_dir.iterdir()
    assert location["url"] == stored.as_uri()
    door.speak_as(OURS)
    assert (await door.post(f"/v2/images/{active['id']}/locations", json=url)).status_code == 409
    door.speak_as(THEIRS)
    assert (await door.post(path, json=url)).status_code == 404
    assert (await door.get(path)).status_code == 404


@pytest.mark.parametrize(("role", "status"), [("te_admin", 403), ("admin", 404)])
async def test_there_is_no_cache(door: Door, role: str, status: int) -> None:
    image = await door.create()
    door.speak_as(OURS, role)
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", f"/{image['id']}"), ("DELETE", f"/{image['id']}")):
        assert (await door.request(method, f"/v2/cache{path}")).status_code == status
    assert (await door.put("/v2/cache/nothing")).status_code == status


async def test_glance_v1_lists_shows_and_deletes(door: Door) -> None:
    image = await door.create(name="früh\nspät", disk_format="raw", team="blue", **{"odd name": "x"})
    await door.create(name="other", disk_format="qcow2")
    listed = (await door.get("/v1.1/images/detail", params={"disk_format": "raw"})).json()["images"]
    assert [(one["id"], one["name"], one["is_public"]) for one in listed] == [(image["id"], "früh\nspät", False)]
    assert listed[0]["properties"]["team"] == "blue"
    assert listed[0]["deleted_at"] is None
    assert (await door.get("/v1.1/images/detail?changes-since=2100-01-01T00:00:00")).json()["images"] == []
    assert len((await door.get("/v1.1/images/detail?changes-since=2020-01-01T00:00:00")).json()["images"]) == 2
    assert (await door.get("/v1.1/images/detail?size_min=x")).status_code == 400
    shown = await door.head(f"/v1/images/{image['id']}")
    assert (shown.status_code, shown.content) == (200, b"")
    assert shown.headers["x-image-meta-id"] == image["id"]
    assert shown.headers["x-image-meta-disk_format"] == "raw"
    assert shown.headers["x-image-meta-property-team"] == "blue"
    assert shown.headers["x-image-meta-name"] == "früh spät"
    assert (await door.delete(f"/v1.1/images/{image['id']}")).status_code == 204
    assert (await door.head(f"/v1/images/{image['id']}")).status_code == 404
    assert (await door.delete(f"/v1.1/images/{image['id']}")).status_code == 404
