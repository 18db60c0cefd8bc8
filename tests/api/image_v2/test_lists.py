"""GET /v2/images: what its query string means."""

from typing import Any

import pytest

from stillframe.db import Database
from stillframe.images.model import ImageStatus, OsInfo, Visibility
from tests.api.image_v2.conftest import Door
from tests.images.helpers import OURS, THEIRS, image, insert


@pytest.fixture
async def filled(door: Door, database: Database) -> Door:
    await insert(
        database,
        image(minute=1, name="a", disk_format="raw", container_format="bare", min_ram_mib=1, tags=("x", "k=v")),
        image(minute=2, name="b,c", disk_format="qcow2", size_bytes=100, properties={"os": "1"}, tags=("x",)),
        image(minute=3, name='d"e', protected=True, size_bytes=50, os=OsInfo(os_type="Windows")),
        image(minute=4, name="hidden", os_hidden=True),
        image(THEIRS, minute=5, name="gold", visibility=Visibility.PUBLIC, status=ImageStatus.ACTIVE),
        image(THEIRS, minute=6, name="theirs"),
        image(minute=7, name="community", visibility=Visibility.COMMUNITY),
    )
    return door


async def names(door: Door, query: str) -> list[str]:
    answer = await door.get(f"/v2/images?{query}")
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["images"]]


FOUND = [
    ("", ["community", "gold", 'd"e', "b,c", "a"]),
    ("name=a", ["a"]),
    ("name=A", []),
    ("name=in:a,gold", ["gold", "a"]),
    ('name=in:"b,c",a', ["b,c", "a"]),
    (r'name=in:"d\"e"', ['d"e']),
    ("name=eq:a", ["a"]),
    ("name=eq:b,c", ["b,c"]),
    ("name=so:what", []),
    ("status=active", ["gold"]),
    ("status=in:active,queued&name=a", ["a"]),
    ("status=nonsense", []),
    ("disk_format=raw", ["a"]),
    ("disk_format=in:raw,qcow2", ["b,c", "a"]),
    ("container_format=bare", ["a"]),
    ("min_ram=1", ["a"]),
    ("min_disk=0&name=a", ["a"]),
    ("protected=true", ['d"e']),
    ("protected=False&name=a", ["a"]),
    ("protected=None&name=a", ["a"]),
    ("os_hidden=True", ["hidden"]),
    ("os_hidden=false&name=a", ["a"]),
    (f"owner={THEIRS}", ["gold"]),
    (f"owner={OURS}&name=a", ["a"]),
    ("visibility=public", ["gold"]),
    ("visibility=private", ['d"e', "b,c", "a"]),
    ("visibility=shared", []),
    ("visibility=community", ["community"]),
    ("visibility=all", ["community", "gold", 'd"e', "b,c", "a"]),
    ("tag=x", ["b,c", "a"]),
    ("tag=x&tag=k%3Dv", ["a"]),
    ("tag=y", []),
    ("os=1", ["b,c"]),
    ("os=2", []),
    ("unknown=1", []),
    ("__os_type=Windows", ['d"e']),
    ("__imagetype=gold", ["gold"]),
    ("__imagetype=private&name=a", ["a"]),
    ("__imagetype=shared", []),
    ("__imagetype=private&visibility=public", []),
    ("__isregistered=true&name=a", ["a"]),
    ("__image_size=50", ['d"e']),
    ("__image_source_type=uds&name=a", ["a"]),
    ("__image_source_type=other", []),
    ("virtual_env_type=DataImage", []),
    ("size_min=60", ["b,c"]),
    ("size_max=60", ['d"e']),
    ("created_at=2026-01-01T10:01:00Z", ["a"]),
    ("created_at=lte:2026-01-01T10:01:00Z", ["a"]),
    ("created_at=lt:2026-01-01T10:02:00", ["a"]),
    ("created_at=eq:2026-01-01%2011:01:00%2B01:00", ["a"]),
    ("created_at=eq:2026-01-01T11:01:00+01:00", ["a"]),
    ("created_at=gt:2026-01-01T10:05:00Z", ["community"]),
    ("created_at=gte:2026-01-01T10:01:00Z&created_at=lt:2026-01-01T10:03:00Z", ["b,c", "a"]),
    ("updated_at=neq:2026-01-01T10:01:00Z&protected=true", ['d"e']),
    ("sort=name:asc", ["a", "b,c", "community", 'd"e', "gold"]),
    ("sort=status:asc,name:desc", ["gold", 'd"e', "community", "b,c", "a"]),
    ("sort_key=name&sort_dir=asc", ["a", "b,c", "community", 'd"e', "gold"]),
    ("sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc", ["gold", 'd"e', "community", "b,c", "a"]),
    ("sort_dir=asc", ["a", "b,c", 'd"e', "gold", "community"]),
    ("sort_key=size&name=in:a,b", ["a"]),
    ("limit=2", ["community", "gold"]),
    ("limit=0", []),
    ("limit=99999", ["community", "gold", 'd"e', "b,c", "a"]),
    ("id=in:nothing,else", []),
]
"""A query, and the names it finds in their order."""


async def test_filters_and_orders(filled: Door) -> None:
    for query, expected in FOUND:
        assert await names(filled, query) == expected, query


MEANINGLESS = [
    *("limit=-1", "limit=x", "limit=", "limit=1e3", "limit=99999999999999999999999"),
    *("marker=nothing", "marker=%00", "marker=00000000-0000-0000-0000-000000000000"),
    *("sort=name:up", "sort=owner", "sort=name&sort_key=name", "sort=name&sort_dir=asc", "sort_key=x", "sort="),
    *("sort_key=name&sort_dir=asc&sort_dir=desc", "sort_dir=sideways", "sort=" + "name," * 9 + "name"),
    *("visibility=secret", "member_status=maybe", "protected=perhaps", "os_hidden=perhaps"),
    *("name=neq:a", "id=gt:a", "status=lte:active", "name=%ff", "%ff=x"),
    *('name=in:"a', 'name=in:a"b"', 'status=in:"a"b'),
    *("created_at=yesterday", "created_at=gt:", "updated_at=lt:2026-13-01", "created_at=gt:9999-12-31T23:59:59Z"),
    *(
        "created_at=0001-01-01T00:00:00%2B14:00",
        "size_min=-1",
        "size_max=x",
        "size_min=99999999999999999999",
        "min_ram=x",
        "min_disk=1.5",
    ),
    *("changes-since=2026-01-01", "name=%00", "x%00=y", "tag=%00", "os=%00", "id=in:%00"),
    *("min_ram=99999999999999999999999", "__isregistered=perhaps"),
    *("&".join(f"p{number}=x" for number in range(65)), "name=in:" + "a," * 2000),
]


async def test_a_query_that_means_nothing_is_refused(filled: Door) -> None:
    for query in MEANINGLESS:
        answer = await filled.get(f"/v2/images?{query}")
        assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request"), query


async def test_as_many_filters_as_are_possible_are_possible(filled: Door) -> None:
    assert await names(filled, "&".join(f"tag=x{number}" for number in range(64))) == []
    assert await names(filled, "&".join(f"p{number}=x" for number in range(64))) == []
    assert await names(filled, "name=in:" + "x," * 1999 + "a") == ["a"]


async def test_pages_follow_their_links(filled: Door) -> None:
    path, seen = "/v2/images?limit=2&sort=name:asc&min_disk=0", []
    while path:
        page = (await filled.get(path)).json()
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc&min_disk=0"
        assert page["schema"] == "/v2/schemas/images"
        seen += [one["name"] for one in page["images"]]
        path = page.get("next")
    assert seen == ["a", "b,c", "community", 'd"e', "gold"]


async def test_a_list_without_a_limit_has_25_images_and_a_next_page(door: Door, database: Database) -> None:
    await insert(database, *[image(minute=minute) for minute in range(30)])
    page = (await door.get("/v2/images")).json()
    assert page["first"] == "/v2/images"
    assert len(page["images"]) == 25
    following = (await door.get(page["next"])).json()
    assert len(following["images"]) == 5
    assert "next" not in following


async def test_an_image_looks_the_same_in_a_list_and_by_itself(door: Door) -> None:
    created = await door.create(name="one", custom="x", tags=["a"])
    [listed] = (await door.get("/v2/images")).json()["images"]
    shown = (await door.get(f"/v2/images/{created['id']}")).json()
    assert listed == shown == created


async def test_deleted_images_are_shown_to_who_asks_for_them(door: Door) -> None:
    image: dict[str, Any] = await door.create(name="gone")
    await door.delete(f"/v2/images/{image['id']}")
    [listed] = (await door.get("/v2/images?status=deleted")).json()["images"]
    assert (listed["status"], listed["deleted"], listed["id"]) == ("deleted", True, image["id"])
    assert listed["deleted_at"].endswith("Z")


async def test_an_administrator_of_the_platform_sees_what_belongs_to_others(filled: Door, database: Database) -> None:
    """But their community images only when asking for them, as everybody; that is how Glance lists them."""
    await insert(database, image(THEIRS, minute=8, name="free", visibility=Visibility.COMMUNITY))
    filled.speak_as(OURS, "admin")
    assert await names(filled, "") == ["community", "theirs", "gold", 'd"e', "b,c", "a"]
    assert await names(filled, "limit=2&sort=name:desc") == ["theirs", "gold"]
    assert await names(filled, f"owner={THEIRS}") == ["theirs", "gold"]
    assert await names(filled, "name=in:theirs,a,free") == ["theirs", "a"]
    assert await names(filled, "visibility=private") == ["theirs", 'd"e', "b,c", "a"]
    assert await names(filled, "visibility=community") == ["free", "community"]
    assert await names(filled, "visibility=public") == ["gold"]
    assert await names(filled, "visibility=all&name=in:free,theirs") == ["free", "theirs"]
    assert await names(filled, "visibility=private&__imagetype=private&name=theirs") == []
    filled.speak_as(OURS, "te_admin")
    assert "theirs" not in await names(filled, "")
