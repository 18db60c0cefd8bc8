"""Describing images: create, show, list, change, delete."""

import uuid
from typing import Any

import jsonschema_rs

from stillframe.db import Database
from stillframe.images.model import ImageKind, ImageStatus, Visibility
from tests.api.image_v2.conftest import QUOTA, Door
from tests.images.helpers import OURS, THEIRS, insert
from tests.images.helpers import image as described

BASE_NAMES = {
    *("id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo", "os_hash_value"),
    *("owner", "size", "virtual_size", "container_format", "disk_format", "created_at", "updated_at", "tags"),
    *("min_ram", "min_disk", "self", "file", "schema"),
}


async def test_a_described_image_waits_for_data_and_has_the_defaults_of_the_cloud(door: Door) -> None:
    answer = await door.post("/v2/images", json={"name": "one", "disk_format": "qcow2"})
    image = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://images:9292/v2/images/{image['id']}"
    assert image["created_at"].endswith("Z")
    assert image == {
        "id": image["id"],
        "name": "one",
        "status": "queued",
        "visibility": "private",
        "protected": False,
        "os_hidden": False,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "owner": OURS,
        "size": None,
        "virtual_size": None,
        "container_format": "bare",
        "disk_format": "qcow2",
        "created_at": image["created_at"],
        "updated_at": image["created_at"],
        "tags": [],
        "min_ram": 0,
        "min_disk": 0,
        "max_ram": "0",
        "self": f"/v2/images/{image['id']}",
        "file": f"/v2/images/{image['id']}/file",
        "schema": "/v2/schemas/image",
        "__os_type": "Linux",
        "__os_version": "Other Linux(64 bit)",
        "__platform": "Other",
        "__os_bit": "64",
        "__isregistered": "true",
        "__image_source_type": "uds",
        "__imagetype": "private",
        "__image_size": "0",
        "__lazyloading": "false",
        "virtual_env_type": "FusionCompute",
        "hw_firmware_type": "bios",
        "architecture": "x86",
        "enterprise_project_id": "0",
    }
    assert (await door.get(f"/v2/images/{image['id']}")).json() == image


async def test_everything_given_comes_back(door: Door) -> None:
    given = {
        "id": str(uuid.uuid4()),
        "name": None,
        "visibility": "shared",
        "protected": True,
        "os_hidden": True,
        "container_format": None,
        "disk_format": "vmdk",
        "min_ram": 2**31 - 1,
        "min_disk": 5,
        "max_ram": "2048",
        "tags": ["b", "a=1"],
        "__os_version": "Ubuntu 22.04 server 64bit",
        "__description": "text",
        "hw_firmware_type": "uefi",
        "owner_specified.openstack.md5": "",
        "trait:X/Y~Z": "ü",
    }
    image = await door.create(**given)
    assert image == image | given | {"tags": ["a=1", "b"]}


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"disk_format": "qcow3"}, 400),
    ({"container_format": "box"}, 400),
    ({"visibility": "secret"}, 400),
    ({"name": "x" * 256}, 400),
    ({"name": 5}, 400),
    ({"min_ram": "5"}, 400),
    ({"min_ram": True}, 400),
    ({"min_disk": 2**31}, 400),
    ({"min_disk": -1}, 400),
    ({"protected": "true"}, 400),
    ({"tags": "a"}, 400),
    ({"tags": [5]}, 400),
    ({"tags": ["x" * 256]}, 400),
    ({"x": None}, 400),
    ({"x": 5}, 400),
    ({"x": {"y": "z"}}, 400),
    ({"x" * 256: "y"}, 400),
    ({"": "y"}, 400),
    ({"x": "nul \x00"}, 400),
    ({"id": "not-a-uuid"}, 400),
    ({"status": "active"}, 403),
    ({"checksum": "0" * 32}, 403),
    ({"size": 5}, 403),
    ({"self": "/v2/images/x"}, 403),
    ({"__imagetype": "gold"}, 403),
    ({"os_glance_x": "y"}, 403),
    ({"location": "y"}, 403),
    ({"deleted": "y"}, 403),
    ({"locations": []}, 403),
    ({"owner": THEIRS}, 403),
    ({"visibility": "public"}, 403),
    ({f"p{n}": "v" for n in range(129)}, 413),
    ({"tags": [f"t{n}" for n in range(129)]}, 413),
]


async def test_what_cannot_be_described_is_refused(door: Door) -> None:
    for given, status in REFUSED:
        answer = await door.post("/v2/images", json=given)
        assert answer.status_code == status, (str(given)[:80], answer.text)
        assert set(answer.json()) == {"message", "code", "title"}
    assert (await door.get("/v2/images")).json()["images"] == []


async def test_a_body_that_is_no_json_object_is_refused(door: Door) -> None:
    for body in (b"", b"[]", b"null", b"{", b'"\\ud800"', b"\xff", b"[" * 100_000):
        assert (await door.post("/v2/images", content=body)).status_code == 400
    headers = {"content-type": "text/plain"}
    assert (await door.post("/v2/images", content=b"{}", headers=headers)).status_code == 415
    headers = {"content-type": "application/json;charset=utf-8"}
    assert (await door.post("/v2/images", content=b"{}", headers=headers)).status_code == 201


async def test_an_id_is_used_once_even_after_deletion(door: Door) -> None:
    image = await door.create(name="one")
    assert (await door.post("/v2/images", json={"id": image["id"]})).status_code == 409
    assert (await door.delete(f"/v2/images/{image['id']}")).status_code == 204
    assert (await door.post("/v2/images", json={"id": image["id"]})).status_code == 409


async def test_the_quota_counts_exactly(door: Door) -> None:
    for _ in range(QUOTA):
        await door.create()
    assert (await door.post("/v2/images", json={})).status_code == 413
    usage = (await door.get("/v2/info/usage")).json()
    assert usage["usage"]["image_count_total"] == {"limit": QUOTA, "usage": QUOTA}


async def test_an_id_is_a_uuid_in_any_case(door: Door) -> None:
    given = "3F0C2B1E-8d4a-4B3C-9aa7-0F5e6d7c8b9A"
    assert (await door.create(id=given))["id"] == given.lower()
    assert (await door.get(f"/v2/images/{given}")).json()["id"] == given.lower()
    assert (await door.post("/v2/images", json={"id": given.lower()})).status_code == 409
    assert (await door.post("/v2/images", json={"id": None})).status_code == 400
    assert (await door.delete(f"/v2/images/{given}")).status_code == 204


async def test_any_text_in_place_of_an_id_is_just_not_found(door: Door) -> None:
    headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
    for name in ("cirros", "00000000-0000-0000-0000-000000000000", "x%00y", "%ff", "a" * 2000):
        for method in ("GET", "PATCH", "DELETE"):
            answer = await door.request(method, f"/v2/images/{name}", headers=headers, content=b"[]")
            assert (answer.status_code, answer.json()["code"]) == (404, "404 Not Found"), (method, name)


async def test_another_projects_image_is_not_there(door: Door) -> None:
    image = await door.create(name="ours")
    door.speak_as(THEIRS)
    path = f"/v2/images/{image['id']}"
    assert (await door.get(path)).status_code == 404
    assert (await door.delete(path)).status_code == 404
    assert (await door.patch_image(image["id"])).status_code == 404
    assert (await door.get(f"{path}/file")).status_code == 404
    assert (await door.get(f"{path}/members")).status_code == 404


async def test_a_public_image_is_read_by_all_and_changed_by_none(door: Door) -> None:
    door.speak_as(THEIRS, "admin")
    image = await door.create(name="gold", visibility="public")
    assert image["__imagetype"] == "gold"
    door.speak_as(OURS)
    path = f"/v2/images/{image['id']}"
    assert (await door.get(path)).json()["__imagetype"] == "gold"
    refused = await door.delete(path)
    assert (refused.status_code, refused.json()["message"]) == (403, "IMG.0094 The public image cannot be deleted.")
    assert (await door.patch_image(image["id"], {"op": "add", "path": "/name", "value": "x"})).status_code == 403
    assert (await door.put(f"{path}/tags/x")).status_code == 403


async def test_a_protected_image_stays_until_its_protection_is_lifted(door: Door) -> None:
    image = await door.create(protected=True)
    path = f"/v2/images/{image['id']}"
    refused = await door.request("DELETE", path, json={"delete_backup": True})
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("IMG.0028 ")
    lifted = await door.patch_image(image["id"], {"replace": "/protected", "value": False}, version="2.0")
    assert lifted.json()["protected"] is False
    gone = await door.request("DELETE", path, json={"delete_backup": True})
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await door.get(path)).status_code == 404
    assert (await door.delete(path)).status_code == 404


async def test_a_reader_looks_and_changes_nothing(door: Door) -> None:
    image = await door.create(name="one")
    door.speak_as(OURS, "readonly")
    path = f"/v2/images/{image['id']}"
    assert (await door.get(path)).status_code == 200
    assert (await door.get("/v2/images")).status_code == 200
    assert (await door.post("/v2/images", json={})).status_code == 403
    assert (await door.patch_image(image["id"])).status_code == 403
    assert (await door.delete(path)).status_code == 403
    assert (await door.put(f"{path}/file", content=b"x", headers=OCTETS)).status_code == 403
    assert (await door.put(f"{path}/tags/x")).status_code == 403
    assert (await door.post(f"{path}/members", json={"member": THEIRS})).status_code == 403


OCTETS = {"content-type": "application/octet-stream"}


async def test_unknown_paths_and_methods_answer_in_the_same_envelope(door: Door) -> None:
    unknown = await door.get("/v2/nothing")
    assert (unknown.status_code, unknown.json()["title"]) == (404, "Not Found")
    wrong = await door.put("/v2/images")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "405 Method Not Allowed")
    assert wrong.headers["allow"] == "GET, POST"
    for method, path, allowed in (
        ("HEAD", "/v2/images/x", "GET, PATCH, DELETE"),
        ("POST", "/v2/images/x/file", "GET, PUT"),
        ("GET", "/v2/images/x/tags/y", "PUT, DELETE"),
        ("PATCH", "/v2/images/x/members/y", "GET, PUT, DELETE"),
        ("GET", "/v2/images/x/actions/deactivate", "POST"),
        ("DELETE", "/v2/schemas/image", "GET"),
    ):
        refused = await door.request(method, path)
        assert (refused.status_code, refused.headers["allow"]) == (405, allowed), (method, path)


async def test_a_path_that_ends_with_a_slash_leads_nowhere(door: Door) -> None:
    """A client that asks for the image of no id must neither be given all images nor delete any."""
    made = await door.create()
    for path in (
        "/v2/images/",
        f"/v2/images/{made['id']}/",
        f"/v2/images/{made['id']}/tags/",
        "/v2/schemas/",
        "/v2/metadefs/namespaces/",
    ):
        for method in ("GET", "DELETE", "PUT"):
            answer = await door.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "404 Not Found"), (method, path)
    assert (await door.put(f"/v2/images/{made['id']}/tags/a%2F")).status_code == 204


async def test_every_listed_version_is_a_name_of_the_one_api(door: Door) -> None:
    made = await door.create(name="one")
    for version in (await door.get("/versions")).json()["versions"]:
        path = f"/{version['id']}/images/{made['id']}"
        assert (await door.get(path)).json()["id"] == made["id"]
    assert (await door.put(f"/v2.7/images/{made['id']}/tags/a%2Fb")).status_code == 204
    assert (await door.get(f"/v2/images/{made['id']}")).json()["tags"] == ["a/b"]
    assert (await door.get("/v2.0/images?limit=1")).json()["first"] == "/v2/images?limit=1"
    for unknown in ("/v2.99/images", "/v3/images", "/v2.1/cloudimages", "/v2.0/images/"):
        assert (await door.get(unknown)).status_code == 404


async def test_a_path_without_a_version_has_the_one_that_is_accepted(door: Door) -> None:
    made = await door.create(name="one")
    accepted = {"accept": "application/vnd.openstack.images-v2.5"}
    shown = await door.get(f"/images/{made['id']}", headers=accepted)
    assert (shown.status_code, shown.json()["name"]) == (200, "one")
    for headers in ({}, {"accept": "application/vnd.openstack.images-v2.99"}, {"accept": "application/json"}):
        assert (await door.get("/images", headers=headers)).status_code == 404
    assert (await door.get("/v2/images", headers=accepted)).status_code == 200


async def test_version_documents_lead_back_to_where_they_were_asked(door: Door) -> None:
    for path in ("/", "/v2", "/v2/", "/v1", "/v1.1/"):
        answer = await door.get(path)
        assert answer.status_code == 300
        assert answer.json()["versions"][0] == {
            "id": "v2.17",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://images:9292/v2/"}],
        }
    listed = await door.get("/versions", headers={"host": "elsewhere:1"})
    assert listed.status_code == 200
    assert listed.json()["versions"][0]["links"][0]["href"] == "http://elsewhere:1/v2/"


async def test_real_answers_hold_to_the_published_schemas(door: Door, database: Database) -> None:
    shared = described(minute=1, name=None, visibility=Visibility.SHARED, tags=("x",), properties={"trait:X": ""})
    await insert(
        database,
        shared,
        described(
            minute=2, properties={"__whole_image": "true", "__system_support_market": "false"}, description="text"
        ),
        described(minute=3, disk_format="zvhd2", container_format="bare", origin="instance,x", source_image_id="y"),
        described(minute=4, status=ImageStatus.ACTIVE, size_bytes=5, checksum="a" * 32, os_hash_value="b" * 128),
        described(THEIRS, minute=5, visibility=Visibility.PUBLIC, kind=ImageKind.ISO, max_ram_mib=7),
    )
    gone = await door.create(name="gone")
    await door.delete(f"/v2/images/{gone['id']}")
    await door.post(f"/v2/images/{shared.id}/members", json={"member": THEIRS})
    one, several = [(await door.get(f"/v2/schemas/{name}")).json() for name in ("image", "images")]
    listed = (await door.get("/v2/images")).json()
    listed["images"] += (await door.get("/v2/images?status=deleted")).json()["images"]
    jsonschema_rs.validate(several, listed)
    assert len(listed["images"]) == 6
    for each in listed["images"]:
        jsonschema_rs.validate(one, each)
    member, members = [(await door.get(f"/v2/schemas/{name}")).json() for name in ("member", "members")]
    sharing = (await door.get(f"/v2/images/{shared.id}/members")).json()
    jsonschema_rs.validate(members, sharing)
    jsonschema_rs.validate(member, sharing["members"][0])
    for wrong in ({"name": 5}, {"other": True}, {"tags": "x"}, {"disk_format": "paper"}, {"id": "x"}):
        assert not jsonschema_rs.is_valid(one, wrong), wrong


async def test_the_schema_knows_every_attribute_an_image_has(door: Door) -> None:
    image = await door.create(name="one", custom="x")
    schema = (await door.get("/v2/schemas/image")).json()
    assert set(image) - {"custom"} <= set(schema["properties"])
    assert {name for name, one in schema["properties"].items() if one["is_base"]} == BASE_NAMES
    assert schema["additionalProperties"] == {"type": "string"}
    for name in ("images", "member", "members", "task", "tasks"):
        assert (await door.get(f"/v2/schemas/{name}")).json()["name"] == name
    assert (await door.get("/v2/schemas/nothing")).status_code == 404


async def test_lists_that_are_empty_by_nature_are_empty_lists(door: Door) -> None:
    assert (await door.get("/v2/metadefs/namespaces")).json()["namespaces"] == []
    assert (await door.get("/v2/metadefs/resource_types")).json() == {"resource_types": []}
    image = await door.create()
    assert (await door.get(f"/v2/images/{image['id']}/tasks")).json() == {"tasks": []}
