"""Metadata definitions through the door, as Glance has them: who sees them, who writes them, what they look like."""

from typing import Any

import jsonschema_rs
import pytest

from stillframe.db import Database
from stillframe.metadefs import service as metadefs
from tests.api.image_v2.conftest import Door
from tests.images.helpers import OURS, THEIRS

NAMESPACES = "/v2/metadefs/namespaces"
TITLE = {"title": "Size", "type": "integer"}


@pytest.fixture
def admin(door: Door) -> Door:
    door.speak_as(OURS, "admin")
    return door


async def make(door: Door, name: str, **fields: Any) -> dict[str, Any]:
    answer = await door.post(NAMESPACES, json={"namespace": name, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def names(door: Door, query: str = "") -> list[str]:
    answer = await door.get(f"{NAMESPACES}{query}")
    assert answer.status_code == 200, answer.text
    return [one["namespace"] for one in answer.json()["namespaces"]]


def without_times(thing: dict[str, Any]) -> dict[str, Any]:
    assert thing["created_at"].endswith("Z")
    assert thing["updated_at"] >= thing["created_at"]
    return {name: value for name, value in thing.items() if name not in {"created_at", "updated_at"}}


async def test_a_namespace_is_made_shown_changed_and_deleted(admin: Door) -> None:
    answer = await admin.post(NAMESPACES, json={"namespace": "N", "display_name": "Names", "description": "of things"})
    assert answer.headers["location"] == f"http://images:9292{NAMESPACES}/N"
    shown = {
        "namespace": "N",
        "display_name": "Names",
        "description": "of things",
        "visibility": "private",
        "protected": False,
        "owner": OURS,
        "self": f"{NAMESPACES}/N",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    assert without_times(answer.json()) == shown
    assert without_times((await admin.get(f"{NAMESPACES}/N")).json()) == shown
    changed = await admin.put(f"{NAMESPACES}/N", json={"namespace": "M", "visibility": "public", "owner": THEIRS})
    assert without_times(changed.json()) == {
        "namespace": "M",
        "visibility": "public",
        "protected": False,
        "owner": THEIRS,
        "self": f"{NAMESPACES}/M",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    assert (await admin.get(f"{NAMESPACES}/N")).status_code == 404
    assert (await admin.delete(f"{NAMESPACES}/M")).status_code == 204
    assert (await admin.get(f"{NAMESPACES}/M")).status_code == 404


async def test_everything_in_a_namespace_can_come_with_it_and_goes_with_it(admin: Door) -> None:
    await make(
        admin,
        "N",
        resource_type_associations=[{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "OS::Nova::Flavor"}],
        properties={"size": TITLE | {"default": 5, "minimum": 1.5, "operators": ["<or>"]}},
        objects=[{"name": "disk", "required": ["bus"], "properties": {"bus": {"title": "Bus", "type": "string"}}}],
        tags=[{"name": "one"}, {"name": "two"}],
    )
    whole = (await admin.get(f"{NAMESPACES}/N", params={"resource_type": "OS::Glance::Image"})).json()
    assert [one["name"] for one in whole["resource_type_associations"]] == ["OS::Glance::Image", "OS::Nova::Flavor"]
    assert whole["properties"] == {"hw_size": TITLE | {"default": "5", "minimum": 1.5, "operators": ["<or>"]}}
    assert without_times(whole["objects"][0]) == {
        "name": "disk",
        "required": ["hw_bus"],
        "properties": {"hw_bus": {"title": "Bus", "type": "string"}},
        "self": f"{NAMESPACES}/N/objects/disk",
        "schema": "/v2/schemas/metadefs/object",
    }
    assert whole["tags"] == [{"name": "two"}, {"name": "one"}]
    await admin.delete(f"{NAMESPACES}/N")
    await make(admin, "N")
    empty = (await admin.get(f"{NAMESPACES}/N")).json()
    assert {"objects", "properties", "tags", "resource_type_associations"}.isdisjoint(empty)
    types = (await admin.get("/v2/metadefs/resource_types")).json()["resource_types"]
    assert [one["name"] for one in types] == ["OS::Glance::Image", "OS::Nova::Flavor"]


async def test_a_namespace_that_cannot_be_made_whole_is_not_made(admin: Door) -> None:
    twice = {"namespace": "N", "tags": [{"name": "one"}, {"name": "one"}]}
    assert (await admin.post(NAMESPACES, json=twice)).status_code == 409
    assert (await admin.get(f"{NAMESPACES}/N")).status_code == 404


async def test_outsiders_see_public_namespaces_and_nothing_of_private_ones(admin: Door) -> None:
    await make(admin, "open", visibility="public", tags=[{"name": "t"}])
    await make(admin, "closed", tags=[{"name": "t"}])
    await make(admin, "theirs", owner=THEIRS)
    assert await names(admin) == ["theirs", "closed", "open"]
    admin.speak_as(THEIRS, "member")
    assert await names(admin) == ["theirs", "open"]
    assert await names(admin, "?visibility=private") == ["theirs"]
    assert (await admin.get(f"{NAMESPACES}/open/tags/t")).status_code == 200
    for path in ("", "/objects", "/properties", "/tags", "/tags/t", "/resource_types"):
        assert (await admin.get(f"{NAMESPACES}/closed{path}")).status_code == 404
    assert (await admin.delete(f"{NAMESPACES}/closed")).status_code == 404


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "", {"namespace": "other"}),
    ("PUT", "/open", {"namespace": "open"}),
    ("DELETE", "/open", None),
    ("POST", "/open/objects", {"name": "x"}),
    ("PUT", "/open/objects/o", {"name": "x"}),
    ("DELETE", "/open/objects/o", None),
    ("DELETE", "/open/objects", None),
    ("POST", "/open/properties", {"name": "x", **TITLE}),
    ("PUT", "/open/properties/p", {"name": "x", **TITLE}),
    ("DELETE", "/open/properties/p", None),
    ("DELETE", "/open/properties", None),
    ("POST", "/open/tags", {"tags": [{"name": "x"}]}),
    ("POST", "/open/tags/x", None),
    ("PUT", "/open/tags/t", {"name": "x"}),
    ("DELETE", "/open/tags/t", None),
    ("DELETE", "/open/tags", None),
    ("POST", "/open/resource_types", {"name": "x"}),
    ("DELETE", "/open/resource_types/OS::Nova::Flavor", None),
]


async def test_only_administrators_of_the_platform_write(admin: Door) -> None:
    before = await make_one_of_everything(admin)
    for role in ("te_admin", "member", "readonly"):
        admin.speak_as(OURS, role)
        for method, path, body in WRITES:
            answer = await admin.request(method, NAMESPACES + path, **({"json": body} if body else {}))
            assert answer.status_code == 403, (method, path, answer.text)
    assert (await admin.get(f"{NAMESPACES}/open")).json() == before


async def make_one_of_everything(door: Door) -> dict[str, Any]:
    await make(
        door,
        "open",
        visibility="public",
        objects=[{"name": "o"}],
        properties={"p": TITLE},
        tags=[{"name": "t"}],
        resource_type_associations=[{"name": "OS::Nova::Flavor"}],
    )
    whole: dict[str, Any] = (await door.get(f"{NAMESPACES}/open")).json()
    return whole


async def test_nothing_of_a_protected_namespace_is_deleted(admin: Door) -> None:
    await make_one_of_everything(admin)
    await admin.put(f"{NAMESPACES}/open", json={"namespace": "open", "visibility": "public", "protected": True})
    before = (await admin.get(f"{NAMESPACES}/open")).json()
    for method, path, _ in WRITES:
        if method == "DELETE":
            assert (await admin.delete(NAMESPACES + path)).status_code == 403, path
    assert (await admin.get(f"{NAMESPACES}/open")).json() == before


async def test_parts_are_made_once_renamed_and_deleted(admin: Door) -> None:
    await make(admin, "N")
    bodies = {"objects": {}, "properties": TITLE, "tags": {}}
    for kind, body in bodies.items():
        path = f"{NAMESPACES}/N/{kind}"
        for name in ("a", "b"):
            made = (
                await admin.post(f"{path}/{name}")
                if kind == "tags"
                else await admin.post(path, json={"name": name, **body})
            )
            assert (made.status_code, made.json()["name"]) == (201, name)
        taken = await admin.put(f"{path}/b", json={"name": "a", **body})
        assert taken.status_code == 409, taken.text
        assert (await admin.put(f"{path}/b", json={"name": "c", **body})).json()["name"] == "c"
        assert (await admin.get(f"{path}/b")).status_code == 404
        assert (await admin.get(f"{path}/c")).json()["name"] == "c"
        assert (await admin.delete(f"{path}/c")).status_code == 204
        assert (await admin.delete(f"{path}/c")).status_code == 404
        assert (await admin.put(f"{path}/c", json={"name": "c", **body})).status_code == 404
        assert (await admin.delete(path)).status_code == 204
        assert not (await admin.get(path)).json()[kind]


async def test_tags_in_bulk_take_the_place_of_the_others_or_join_them(admin: Door) -> None:
    await make(admin, "N")
    path, joining = f"{NAMESPACES}/N/tags", {"X-OpenStack-Append": "True"}

    async def put(*tags: str, **options: Any) -> int:
        return (await admin.post(path, json={"tags": [{"name": tag} for tag in tags]}, **options)).status_code

    async def listed(query: str = "") -> list[str]:
        return [tag["name"] for tag in (await admin.get(path + query)).json()["tags"]]

    assert await put("a", "b") == 201
    assert await put("c", "d") == 201
    assert await listed() == ["d", "c"]
    assert await put("e", "c", headers=joining) == 409
    assert await put("x", "x") == 409
    assert await listed() == ["d", "c"]
    assert await put("e", headers=joining) == 201
    assert await put() == 201
    assert await listed() == ["e", "d", "c"]
    assert await listed("?limit=1&marker=e") == ["d"]
    assert await listed("?sort_key=name&sort_dir=asc&marker=c") == ["d", "e"]
    assert (await admin.get(f"{path}?marker=x")).status_code == 404
    for wrong in ("limit=x", "limit=-1", "sort_dir=up", "sort_key=size"):
        assert (await admin.get(f"{path}?{wrong}")).status_code == 400


async def test_a_property_is_found_by_its_name_on_a_resource_type(admin: Door) -> None:
    await make(admin, "N", properties={"size": TITLE})
    associated = await admin.post(f"{NAMESPACES}/N/resource_types", json={"name": "OS::T", "prefix": "hw_"})
    assert associated.status_code == 201
    again = await admin.post(f"{NAMESPACES}/N/resource_types", json={"name": "OS::T"})
    assert again.status_code == 409
    path, typed = f"{NAMESPACES}/N/properties", {"resource_type": "OS::T"}
    assert (await admin.get(f"{path}/hw_size", params=typed)).json() == {"name": "size", **TITLE}
    assert (await admin.get(f"{path}/size", params=typed)).status_code == 404
    assert (await admin.get(f"{path}/size", params={"resource_type": "OS::U"})).status_code == 404
    assert (await admin.delete(f"{NAMESPACES}/N/resource_types/OS::T")).status_code == 204
    assert (await admin.delete(f"{NAMESPACES}/N/resource_types/OS::T")).status_code == 404


async def test_namespaces_come_in_pages(admin: Door) -> None:
    for name in ("b", "a", "c"):
        await make(admin, name, resource_type_associations=[{"name": f"OS::{name}"}])
    first = (await admin.get(f"{NAMESPACES}?limit=2")).json()
    assert [one["namespace"] for one in first["namespaces"]] == ["c", "a"]
    assert first["first"] == f"{NAMESPACES}?limit=2"
    assert [one["namespace"] for one in (await admin.get(first["next"])).json()["namespaces"]] == ["b"]
    assert await names(admin, "?sort_key=namespace&sort_dir=asc&marker=a") == ["b", "c"]
    assert await names(admin, "?sort_key=display_name") == ["c", "a", "b"]
    assert await names(admin, "?resource_types=OS::a,OS::b,OS::x") == ["a", "b"]
    assert (await admin.get(f"{NAMESPACES}?marker=x")).status_code == 404
    for wrong in ("limit=x", "limit=-1", "sort_dir=up", "sort_key=size", "visibility=shared"):
        assert (await admin.get(f"{NAMESPACES}?{wrong}")).status_code == 400


REFUSED: list[tuple[str, Any, int]] = [
    ("", {}, 400),
    ("", {"namespace": ""}, 400),
    ("", {"namespace": "x" * 81}, 400),
    ("", {"namespace": "a/b"}, 400),
    ("", {"namespace": "a\x00"}, 400),
    ("", {"namespace": "x", "owner": None}, 400),
    ("", {"namespace": "x", "visibility": "shared"}, 400),
    ("", {"namespace": "x", "created_at": "2026-01-01T10:00:00Z"}, 403),
    ("", {"namespace": "x", "self": "y"}, 403),
    ("/N/objects", {"name": "x", "properties": {"p": {"type": "string"}}}, 400),
    ("/N/objects", {"name": "x", "required": ["a", "a"]}, 400),
    ("/N/objects", {"name": "x", "schema": "y"}, 403),
    ("/N/properties", TITLE, 400),
    ("/N/properties", {"name": "x", **TITLE, "type": "text"}, 400),
    ("/N/properties", {"name": "x", **TITLE, "minLength": -1}, 400),
    ("/N/properties", {"name": "x", **TITLE, "minimum": 10**30}, 400),
    ("/N/properties", {"name": "x", **TITLE, "self": "y"}, 400),
    ("/N/properties", {"name": "x", **TITLE, "updated_at": "y"}, 403),
    ("/N/tags", {"tags": [{"name": "x", "color": "red"}]}, 400),
    ("/N/tags/x", {"name": "x"}, 400),
    ("/N/resource_types", {"prefix": "x"}, 400),
]


async def test_a_body_that_breaks_the_schema_is_refused(admin: Door) -> None:
    await make(admin, "N")
    for path, body, status in REFUSED:
        answer = await admin.post(NAMESPACES + path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
    assert await names(admin) == ["N"]


async def test_real_answers_hold_to_the_published_schemas(admin: Door) -> None:
    await make_one_of_everything(admin)
    answers = {
        "namespaces": "",
        "namespace": "/open",
        "objects": "/open/objects",
        "object": "/open/objects/o",
        "properties": "/open/properties",
        "property": "/open/properties/p",
        "tags": "/open/tags",
        "tag": "/open/tags/t",
        "resource_types": "/open/resource_types",
    }
    for name, path in answers.items():
        schema = (await admin.get(f"/v2/schemas/metadefs/{name}")).json()
        jsonschema_rs.validate(schema, (await admin.get(NAMESPACES + path)).json())
        assert schema["name"] == {"resource_types": "resource_type_associations"}.get(name, name)
    one = (await admin.get("/v2/schemas/metadefs/resource_type")).json()
    assert one["name"] == "resource_type_association"
    assert (await admin.get("/v2/schemas/metadefs/other")).status_code == 404


async def test_a_new_installation_describes_the_properties_it_understands(admin: Door, database: Database) -> None:
    async with database.writing() as tx:
        await metadefs.bootstrap_namespaces(tx)
    described: set[str] = set()
    admin.speak_as(THEIRS, "readonly")
    for name in await names(admin):
        described |= set((await admin.get(f"{NAMESPACES}/{name}")).json()["properties"])
    schema = (await admin.get("/v2/schemas/image")).json()["properties"]
    assert "hw_firmware_type" in described
    assert described <= set(schema)
