"""PATCH in both dialects, tags, members."""

from typing import Any

from tests.api.image_v2.conftest import Door
from tests.images.helpers import OTHERS, OURS, THEIRS


def op(name: str, path: str, value: Any = None) -> dict[str, Any]:
    return {"op": name, "path": path} if name == "remove" else {"op": name, "path": path, "value": value}


async def test_changes_are_applied_in_order_and_all_at_once(door: Door) -> None:
    image = await door.create(name="one", custom="x")
    answer = await door.patch_image(
        image["id"],
        op("replace", "/name", "two"),
        op("add", "/a~1b~0c.d:e", "v"),
        op("add", "/tags", ["t", "s", "t"]),
        op("replace", "/custom", "y"),
        op("replace", "/custom", "z"),
        op("add", "/min_ram", 512),
        op("add", "/max_ram", "1024"),
        op("replace", "/__description", "text"),
        op("replace", "/__os_type", "Windows"),
        op("replace", "/disk_format", "raw"),
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    expected = {
        "name": "two",
        "a/b~c.d:e": "v",
        "tags": ["s", "t"],
        "custom": "z",
        "min_ram": 512,
        "max_ram": "1024",
        "__description": "text",
        "__os_type": "Windows",
        "disk_format": "raw",
    }
    assert changed == image | expected | {"updated_at": changed["updated_at"]}
    assert (await door.get(f"/v2/images/{image['id']}")).json() == changed
    refused = await door.patch_image(image["id"], op("replace", "/name", "three"), op("remove", "/absent"))
    assert refused.status_code == 409
    assert (await door.get(f"/v2/images/{image['id']}")).json() == changed


async def test_nothing_to_change_is_legal(door: Door) -> None:
    image = await door.create(name="one")
    assert (await door.patch_image(image["id"])).json()["name"] == "one"


async def test_removed_properties_are_gone_and_attributes_of_ims_fall_back(door: Door) -> None:
    image = await door.create(custom="x", __os_type="Windows", __description="text")
    answer = await door.patch_image(
        image["id"], op("remove", "/custom"), op("remove", "/__os_type"), op("remove", "/__description")
    )
    assert answer.json()["__os_type"] == "Linux"
    assert not {"custom", "__description"} & set(answer.json())


async def test_the_older_dialect_names_the_operation_and_adds_only_what_is_new(door: Door) -> None:
    image = await door.create(name="one", custom="x")

    async def patch(change: dict[str, Any]) -> int:
        return (await door.patch_image(image["id"], change, version="2.0")).status_code

    assert await patch({"replace": "/name", "value": "two"}) == 200
    assert await patch({"add": "/new", "value": "v"}) == 200
    assert await patch({"add": "/new", "value": "v"}) == 409
    assert await patch({"add": "/name", "value": "v"}) == 409
    assert await patch({"op": "replace", "path": "/custom", "value": "y"}) == 200
    assert await patch({"remove": "/custom"}) == 200
    assert (await door.patch_image(image["id"], op("add", "/new", "w"))).json()["new"] == "w"


REFUSED = [
    (op("remove", "/name"), 403),
    (op("remove", "/tags"), 403),
    (op("remove", "/__imagetype"), 403),
    (op("replace", "/id", "x"), 403),
    (op("replace", "/status", "active"), 403),
    (op("replace", "/created_at", "x"), 403),
    (op("replace", "/os_hash_value", "x"), 403),
    (op("replace", "/size", 5), 403),
    (op("add", "/__lazyloading", "false"), 403),
    (op("add", "/__data_origin", "instance,x"), 403),
    (op("add", "/os_glance_foo", "x"), 403),
    (op("add", "/deleted_at", "x"), 403),
    (op("add", "/locations", []), 403),
    (op("add", "/locations/-", {"url": "file:///etc/passwd"}), 403),
    (op("remove", "/locations/0"), 403),
    (op("replace", "/owner", THEIRS), 403),
    (op("replace", "/visibility", "public"), 403),
    (op("replace", "/absent", "x"), 409),
    (op("remove", "/absent"), 409),
    (op("add", "/x", 5), 400),
    (op("add", "/x", None), 400),
    (op("add", "/min_ram", "5"), 400),
    (op("add", "/min_ram", 10**30), 400),
    (op("replace", "/protected", "true"), 400),
    (op("replace", "/visibility", "hidden"), 400),
    (op("replace", "/hw_firmware_type", "punchcards"), 400),
    (op("replace", "/max_ram", "much"), 400),
    (op("replace", "/name", "x" * 256), 400),
    (op("add", "/tags", ["x" * 256]), 400),
    (op("add", "/tags/-", "x"), 400),
    (op("add", "x", "y"), 400),
    (op("add", "/", "y"), 400),
    (op("add", "//x", "y"), 400),
    (op("add", "/x/", "y"), 400),
    (op("add", "/x~2", "y"), 400),
    (op("add", "/x\x00", "y"), 400),
    (op("add", "/x", "y\x00"), 400),
    (op("move", "/x", "y"), 400),
    ({"op": ["add"], "path": "/x", "value": "y"}, 400),
    ({"op": "add", "path": "/x"}, 400),
    ({"op": "add", "path": 5, "value": "y"}, 400),
    ({"op": "add", "value": "y"}, 400),
    ({"add": "/x", "remove": "/x"}, 400),
    ({}, 400),
    ([], 400),
    ("add", 400),
]


async def test_changes_that_are_refused_change_nothing(door: Door) -> None:
    image = await door.create(name="one")
    for change, status in REFUSED:
        answer = await door.patch_image(image["id"], change)
        assert answer.status_code == status, (change, answer.text)
        assert (await door.get(f"/v2/images/{image['id']}")).json() == image, change


async def test_a_patch_must_be_of_one_of_the_two_media_types(door: Door) -> None:
    image = await door.create()
    for media_type in ("application/json", "application/json-patch+json", ""):
        answer = await door.patch(f"/v2/images/{image['id']}", headers={"content-type": media_type}, content=b"[]")
        assert answer.status_code == 415
        assert "application/openstack-images-v2.1-json-patch" in answer.headers["accept-patch"]
    for body in (b"", b"{}", b"null", b"[", b"5"):
        headers = {"content-type": "application/openstack-images-v2.1-json-patch"}
        answer = await door.patch(f"/v2/images/{image['id']}", headers=headers, content=body)
        assert answer.status_code == 400


async def test_too_many_tags_or_properties_are_refused(door: Door) -> None:
    image = await door.create()
    tags = await door.patch_image(image["id"], op("add", "/tags", [f"t{n}" for n in range(129)]))
    assert tags.status_code == 413
    properties = await door.patch_image(image["id"], *[op("add", f"/p{n}", "v") for n in range(129)])
    assert properties.status_code == 413


async def test_an_administrator_of_the_platform_gives_an_image_away_and_publishes_it(door: Door) -> None:
    """Also to somebody who is no project of this service, as OpenStack's own tests do."""
    image = await door.create(name="one", tags=["t"])
    door.speak_as(OTHERS, "admin")
    answer = await door.patch_image(
        image["id"], op("replace", "/owner", THEIRS), op("replace", "/visibility", "public")
    )
    assert (answer.json()["owner"], answer.json()["visibility"]) == (THEIRS, "public")
    nobody = "5" * 32
    assert (await door.patch_image(image["id"], op("replace", "/owner", nobody))).json()["owner"] == nobody
    assert (await door.create(owner=nobody))["owner"] == nobody
    door.speak_as(OURS)
    assert [one["id"] for one in (await door.get("/v2/images?tag=t")).json()["images"]] == [image["id"]]


async def test_any_text_can_be_a_tag(door: Door) -> None:
    image = await door.create()
    for tag in ("plain", "k=v", "a/b", "a b", "ü", "100%", "x" * 255, "..", "a?b#c", "trailing/"):
        quoted = "".join(f"%{byte:02X}" for byte in tag.encode())
        path = f"/v2/images/{image['id']}/tags/{quoted}"
        for _ in range(2):
            answer = await door.put(path)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await door.get(f"/v2/images/{image['id']}")).json()["tags"] == [tag]
        assert (await door.delete(path)).status_code == 204
        assert (await door.delete(path)).status_code == 404
        assert (await door.get(f"/v2/images/{image['id']}")).json()["tags"] == []


async def test_tags_have_limits(door: Door) -> None:
    image = await door.create(tags=[f"t{n}" for n in range(128)])
    path = f"/v2/images/{image['id']}/tags"
    assert (await door.put(f"{path}/one-more")).status_code == 413
    assert (await door.put(f"{path}/{'x' * 256}")).status_code == 400
    assert (await door.put(f"{path}/%00")).status_code == 400
    assert (await door.put(f"{path}/%FF")).status_code == 400
    assert (await door.put(f"/v2/images/{'0' * 8}/tags/x")).status_code == 404


async def test_sharing_from_invitation_to_the_end(door: Door) -> None:
    image = await door.create(name="shared")
    path = f"/v2/images/{image['id']}"
    member = await door.post(f"{path}/members", json={"member": THEIRS})
    assert member.status_code == 200
    assert member.json() == member.json() | {
        "member_id": THEIRS,
        "image_id": image["id"],
        "status": "pending",
        "schema": "/v2/schemas/member",
    }
    assert (await door.get(path)).json()["visibility"] == "shared"
    assert (await door.get(path)).json()["__imagetype"] == "private"
    assert (await door.post(f"{path}/members", json={"member": THEIRS})).status_code == 409
    await door.post(f"{path}/members", json={"member": OTHERS})
    assert len((await door.get(f"{path}/members")).json()["members"]) == 2
    assert (await door.put(f"{path}/members/{THEIRS}", json={"status": "accepted"})).status_code == 403

    door.speak_as(THEIRS)
    assert (await door.get(path)).json()["__imagetype"] == "shared"
    assert (await door.get("/v2/images")).json()["images"] == []
    assert (await door.get("/v2/images?member_status=pending")).json()["images"][0]["id"] == image["id"]
    members = (await door.get(f"{path}/members")).json()
    assert [one["member_id"] for one in members["members"]] == [THEIRS]
    assert members["schema"] == "/v2/schemas/members"
    assert (await door.get(f"{path}/members/{OTHERS}")).status_code == 404
    assert (await door.put(f"{path}/members/{THEIRS}", json={"status": "adored"})).status_code == 400
    answered = await door.put(f"{path}/members/{THEIRS}", json={"member": THEIRS, "status": "accepted"})
    assert (answered.status_code, answered.json()["status"]) == (200, "accepted")
    assert (await door.get("/v2/images")).json()["images"][0]["id"] == image["id"]
    assert (await door.get("/v2/images?visibility=shared")).json()["images"][0]["id"] == image["id"]
    assert (await door.put(f"{path}/members/{OTHERS}", json={"status": "accepted"})).status_code == 404
    assert (await door.delete(f"{path}/members/{THEIRS}")).status_code == 403
    assert (await door.post(f"{path}/members", json={"member": OURS})).status_code == 403
    refused = await door.delete(path)
    assert (refused.status_code, refused.json()["message"][:8]) == (403, "IMG.0092")
    await door.put(f"{path}/members/{THEIRS}", json={"status": "rejected"})
    assert (await door.get("/v2/images")).json()["images"] == []
    assert (await door.get(path)).status_code == 200

    door.speak_as(OURS)
    assert (await door.delete(f"{path}/members/{THEIRS}")).status_code == 204
    assert (await door.delete(f"{path}/members/{THEIRS}")).status_code == 404
    assert (await door.delete(f"{path}/members/{OTHERS}")).status_code == 204
    assert (await door.get(path)).json()["visibility"] == "private"
    door.speak_as(THEIRS)
    assert (await door.get(path)).status_code == 404


async def test_members_lose_a_deleted_image(door: Door) -> None:
    image = await door.create(visibility="shared")
    path = f"/v2/images/{image['id']}"
    await door.post(f"{path}/members", json={"member": THEIRS})
    assert (await door.delete(path)).status_code == 204
    door.speak_as(THEIRS)
    assert (await door.get(path)).status_code == 404
    assert (await door.get("/v2/images?member_status=all")).json()["images"] == []


async def test_a_published_image_stays_public_whatever_becomes_of_its_members(door: Door) -> None:
    door.speak_as(OURS, "admin")
    image = await door.create()
    path = f"/v2/images/{image['id']}/members"
    await door.post(path, json={"member": THEIRS})
    await door.patch_image(image["id"], {"op": "replace", "path": "/visibility", "value": "public"})
    assert (await door.delete(f"{path}/{THEIRS}")).status_code == 403
    assert (await door.get(f"/v2/images/{image['id']}")).json()["visibility"] == "public"


async def test_public_images_have_no_members_and_members_are_named(door: Door) -> None:
    door.speak_as(OURS, "admin")
    image = await door.create(visibility="public")
    path = f"/v2/images/{image['id']}/members"
    assert (await door.post(path, json={"member": THEIRS})).status_code == 403
    assert (await door.get(path)).status_code == 403
    private = await door.create()
    for body in ({}, {"member": None}, {"member": ""}, {"member": 5}, [], {"member": "x" * 256}, {"member": "\x00"}):
        assert (await door.post(f"/v2/images/{private['id']}/members", json=body)).status_code == 400
