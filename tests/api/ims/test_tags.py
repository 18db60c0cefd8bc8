"""Tags in both generations of the API, on one image, across a project, and as what images are found by."""

import asyncio
import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.images import listing, tag_search
from stillframe.images.model import Visibility
from stillframe.images.queries import ImageQuery
from stillframe.images.tag_search import TagCondition, TagQuery
from tests.api.ims.desk import PATCH_TYPE, Desk, code_of
from tests.api.ims.test_members import share
from tests.images.helpers import OTHERS, OURS, THEIRS

V1 = "/v1/cloudimages/tags"
SEARCH = f"/v2/{OURS}/images/resource_instances/action"


def v2(image_id: str, rest: str = "") -> str:
    return f"/v2/{OURS}/images/{image_id}/tags{rest}"


async def tags(desk: Desk, image_id: str) -> list[str]:
    return (await desk.ask("GET", f"/v2/images/{image_id}")).json()["tags"]  # type: ignore[no-any-return]


async def put(desk: Desk, image_id: str, **body: object) -> int:
    return (await desk.ask("PUT", V1, {"image_id": image_id, **body})).status_code


async def test_a_tag_set_again_takes_the_new_value(desk: Desk) -> None:
    image = (await desk.image()).id
    assert await put(desk, image, tag="aaa.111") == 204
    assert await put(desk, image, tag="rancher", image_tag={"key": "", "value": ""}) == 204
    assert await put(desk, image, image_tag={"key": " bbb ", "value": " 2 "}) == 204
    assert await tags(desk, image) == ["aaa=111", "bbb=2", "rancher"]
    assert await put(desk, image, tag="aaa=333") == 204
    added = await desk.ask("POST", v2(image), {"tag": {"key": "rancher", "value": "v"}})
    assert (added.status_code, added.content) == (204, b"")
    created = {"action": "create", "tags": [{"key": "c", "value": "1"}, {"key": "bbb", "value": ""}]}
    assert (await desk.ask("POST", v2(image, "/action"), created)).status_code == 204
    assert await tags(desk, image) == ["aaa=333", "bbb", "c=1", "rancher=v"]
    shown = (await desk.ask("GET", v2(image))).json()
    assert shown == {
        "tags": [
            {"key": "aaa", "value": "333"},
            {"key": "bbb", "value": ""},
            {"key": "c", "value": "1"},
            {"key": "rancher", "value": "v"},
        ]
    }


async def test_a_tag_is_taken_away_by_key_or_by_pair(desk: Desk) -> None:
    image = (await desk.image(tags=("a=1", "action=x", "b=2", "c=3", "d", "odd key/with=all"))).id
    wrong_value = {"action": "delete", "tags": [{"key": "a", "value": "9"}, {"key": "nobody"}]}
    assert (await desk.ask("POST", v2(image, "/action"), wrong_value)).status_code == 204
    assert len(await tags(desk, image)) == 6
    by_pair = {"action": "delete", "tags": [{"key": "a", "value": "1"}]}
    assert (await desk.ask("POST", v2(image, "/action"), by_pair)).status_code == 204
    for key in ("action", "b", "odd%20key%2Fwith"):
        assert (await desk.ask("DELETE", v2(image, f"/{key}"))).status_code == 204
    refused = await desk.ask("DELETE", v2(image, "/b"))
    assert (refused.status_code, code_of(refused)) == (404, "IMG.0121")
    body = {"tags": [{"key": "c", "value": ""}, {"key": "nobody", "value": "x"}]}
    for _ in range(2):
        answer = await desk.ask("DELETE", f"/v1/{OURS}/cloudimages/{image}/tags/delete", body)
        assert answer.status_code == 204
    assert await tags(desk, image) == ["d"]


async def test_what_a_tag_is_refused_with(small_desk: Desk) -> None:
    desk = small_desk
    image = (await desk.image()).id
    unknown = str(uuid.uuid4())
    for body, code in [
        ({}, "IMG.0007"),
        ({"image_id": image, "tag": "a.1", "image_tag": {"key": "a", "value": "1"}}, "IMG.0001"),
        ({"image_id": image, "tag": 5}, "IMG.0001"),
        ({"image_id": image}, "IMG.0115"),
        ({"image_id": image, "image_tag": {"key": "", "value": ""}}, "IMG.0115"),
        ({"image_id": image, "image_tag": {"key": "", "value": "v"}}, "IMG.0115"),
        ({"image_id": image, "tag": "a b"}, "IMG.0115"),
        ({"image_id": image, "tag": "k" * 37}, "IMG.0115"),
        ({"image_id": image, "tag": "k." + "v" * 44}, "IMG.0115"),
        ({"image_id": "x", "tag": "a.1"}, "IMG.0066"),
        ({"tag": "a.1"}, "IMG.0066"),
        ({"image_id": unknown, "tag": "a.1"}, "IMG.0027"),
        ({"image_id": desk.world.image.id, "tag": "a.1"}, "IMG.0047"),
    ]:
        assert await desk.refusal("PUT", V1, body) == code, body
    assert await desk.refusal("PUT", V1, {"image_id": image, "tag": "a.1"}, role="readonly") == "IMG.0026"
    for body, code in [
        ({"tag": None}, "IMG.0001"),
        ({"tag": {"key": "", "value": "v"}}, "IMG.0115"),
        ({"tag": {"key": "ä", "value": "v"}}, "IMG.0115"),
        ({"tag": {"key": 1}}, "IMG.0001"),
    ]:
        assert await desk.refusal("POST", v2(image), body) == code, body
    for body, code in [
        ({"action": "Create", "tags": [{"key": "a", "value": "1"}]}, "IMG.0105"),
        ({"action": "filter", "tags": [{"key": "a", "value": "1"}]}, "IMG.0105"),
        ({"tags": [{"key": "a", "value": "1"}]}, "IMG.0001"),
        ({"action": "", "tags": [{"key": "a", "value": "1"}]}, "IMG.0001"),
        ({"action": "create", "tags": []}, "IMG.0001"),
        ({"action": "delete"}, "IMG.0001"),
        ({"action": "delete", "tags": [{"value": "1"}]}, "IMG.0115"),
        ({"action": "create", "tags": [{"key": f"k{n}", "value": "v"} for n in range(11)]}, "IMG.0116"),
    ]:
        assert await desk.refusal("POST", v2(image, "/action"), body) == code, body
    tag = {"tag": {"key": "a", "value": "1"}}
    assert await desk.refusal("POST", v2("no-uuid"), tag) == "IMG.0031"
    assert await desk.refusal("POST", v2(image).replace(OURS, THEIRS), tag) == "IMG.0030"
    assert await desk.refusal("GET", f"/v2/{OURS}/images/tags", project=THEIRS) == "IMG.0030"
    assert await desk.refusal("GET", f"/v2/{OURS}/servers/tags") == "IMG.0021"
    body = {"action": "filter"}
    assert await desk.refusal("POST", f"/v2/{OURS}/servers/resource_instances/action", body) == "IMG.0021"
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/a"), ("POST", "/action")):
        body = tag if path == "" else {"action": "create", "tags": [tag["tag"]]}
        refused = await desk.ask(method, v2(unknown, path), body if method == "POST" else None)
        assert (refused.status_code, code_of(refused)) == (404, "IMG.0027"), (method, path)
    assert await desk.refusal("DELETE", v2(image, "/nul%00")) == "IMG.0001"
    delete = f"/v1/{OURS}/cloudimages/{image}/tags/delete"
    assert await desk.refusal("DELETE", delete, {"tags": []}) == "IMG.0001"
    elsewhere = await desk.ask("DELETE", delete.replace(OURS, THEIRS), {"tags": [{"key": "a"}]})
    assert (elsewhere.status_code, code_of(elsewhere)) == (403, "IMG.0026")
    assert await desk.refusal("DELETE", delete.replace(image, unknown), {"tags": [{"key": "a"}]}) == "IMG.0027"
    assert await tags(desk, image) == []


async def test_the_eleventh_tag_is_refused_and_replacing_one_of_many_is_not(small_desk: Desk) -> None:
    desk = small_desk
    image = (await desk.image(tags=tuple(f"k{n}=v" for n in range(10)))).id
    assert await desk.refusal("PUT", V1, {"image_id": image, "tag": "more.1"}) == "IMG.0116"
    assert await desk.refusal("POST", v2(image), {"tag": {"key": "more", "value": "1"}}) == "IMG.0116"
    assert await put(desk, image, tag="k3.new") == 204
    many = (await desk.image(tags=tuple(f"native-{n}" for n in range(30)))).id
    assert await put(desk, many, tag="native-3.new") == 204
    assert len(await tags(desk, many)) == 30


async def test_twenty_tags_at_once_leave_exactly_ten(desk: Desk) -> None:
    image = (await desk.image()).id
    asked = [desk.ask("PUT", V1, {"image_id": image, "tag": f"k{n}.v"}) for n in range(20)]
    statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
    assert (statuses.count(204), statuses.count(400)) == (10, 10)
    assert len(await tags(desk, image)) == 10


async def test_the_tags_of_a_project_are_listed_with_their_values(desk: Desk) -> None:
    await desk.image(tags=("colour=green", "team=blue", "word"))
    await desk.image(tags=("team=blue", "team=red"), visibility=Visibility.PUBLIC)
    await desk.image(THEIRS, tags=("secret=1",))
    await desk.image(THEIRS, tags=("gold=1",), visibility=Visibility.PUBLIC)
    deleted = await desk.image(tags=("gone=1",))
    await desk.ask("DELETE", f"/v2/images/{deleted.id}")
    shown = (await desk.ask("GET", f"/v2/{OURS}/images/tags")).json()
    assert shown == {
        "tags": [
            {"key": "colour", "values": ["green"]},
            {"key": "team", "values": ["blue", "red"]},
            {"key": "word", "values": [""]},
        ]
    }


async def test_the_tags_in_use_are_listed_by_every_filter_of_images(desk: Desk) -> None:
    await desk.image(name="one", tags=("a=1", "b"))
    await desk.image(name="two", tags=("b", "c=3"), min_ram_mib=512)
    await desk.image(THEIRS, tags=("gold=1",), visibility=Visibility.PUBLIC)
    shared = await desk.image(THEIRS, tags=("shared=1",))
    await desk.image(THEIRS, tags=("secret=1",))
    body = {"images": [shared.id], "projects": [OURS]}
    await desk.job("POST", "/v1/cloudimages/members", body, project=THEIRS)

    async def listed(**params: object) -> list[str]:
        answer = await desk.ask("GET", V1, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["tags"]  # type: ignore[no-any-return]

    assert await listed() == ["a=1", "b", "c=3", "gold=1"]
    assert await listed(__imagetype="private") == ["a=1", "b", "c=3"]
    assert await listed(name="one") == ["a=1", "b"]
    assert await listed(min_ram=512, __protected="true") == ["b", "c=3"]
    assert await listed(tag="c=3") == ["b", "c=3"]
    assert await listed(member_status="pending", visibility="shared") == ["shared=1"]
    assert await listed(status="deleted") == await listed(status="queued") == await listed(id="x") == []
    assert await listed(limit=2) == ["a=1", "b"]
    assert await listed(limit=2, page=2, marker="ignored") == ["c=3", "gold=1"]
    assert await listed(limit=2, page=3) == []
    for name, text, code in [
        ("limit", "0", "IMG.0001"),
        ("limit", "x", "IMG.0001"),
        ("page", "0", "IMG.0001"),
        ("page", "9" * 30, "IMG.0001"),
        ("min_ram", "x", "IMG.0001"),
        ("__imagetype", "x", "IMG.0024"),
    ]:
        assert await desk.refusal("GET", V1, params={name: text}) == code


# Searching.


async def found(desk: Desk, **body: object) -> list[str]:
    answer = await desk.ask("POST", SEARCH, {"action": "filter", **body})
    assert answer.status_code == 200, answer.text
    counted = await desk.ask("POST", SEARCH, {"action": "count", **body})
    assert counted.json() == {"total_count": answer.json()["total_count"]}
    return [one["resource_name"] for one in answer.json()["resources"]]


def has(**pairs: list[str] | None) -> list[dict[str, object]]:
    return [{"key": key, "values": values} if values is not None else {"key": key} for key, values in pairs.items()]


async def test_images_are_found_by_their_tags(desk: Desk) -> None:
    described = {
        "plain": (),
        "blue": ("team=blue",),
        "red": ("team=red", "env=test"),
        "word": ("team", "env=prod"),
        "other": ("teams=blue", "env=prod"),
    }
    for name, its_tags in described.items():
        await desk.image(name=name, tags=its_tags)
    await desk.image(THEIRS, name="theirs", tags=("team=blue",))
    await desk.image(THEIRS, name="gold", tags=("team=blue",), visibility=Visibility.PUBLIC)
    await desk.image(name="own-gold", tags=("team=gold",), visibility=Visibility.PUBLIC)
    newest_first = ["own-gold", "other", "word", "red", "blue", "plain"]

    async def names(**body: object) -> set[str]:
        return set(await found(desk, **body))

    assert await found(desk) == newest_first
    assert await names(tags=has(team=["blue"])) == {"blue"}
    assert await names(tags=has(team=["blue", "red"])) == {"blue", "red"}
    assert await names(tags=has(team=[""])) == {"word"}
    assert await names(tags=has(team=[])) == await names(tags=has(team=None)) == {"blue", "red", "word", "own-gold"}
    assert await names(tags=has(team=[], env=["prod"])) == {"word"}
    assert await names(tags_any=has(team=["blue"], env=["prod"])) == {"blue", "word", "other"}
    assert await names(not_tags=has(team=[], env=["prod"])) == {"plain", "blue", "red", "other", "own-gold"}
    assert await names(not_tags_any=has(team=[], env=["prod"])) == {"plain"}
    assert await names(tags=has(env=[]), not_tags_any=has(team=["red"])) == {"word", "other"}
    assert await names(without_any_tag=True, tags=has(team=["blue"])) == {"plain"}
    assert await names(matches=[{"key": "resource_name", "value": "l"}]) == {"plain", "blue", "own-gold"}
    assert await names(matches=[{"key": "resource_name", "value": "L"}]) == set()
    assert await names(matches=[{"key": "resource_name", "value": "%"}]) == set()
    assert await names(matches=[{"key": "resource_name", "value": ""}]) == set()
    both = [{"key": "resource_name", "value": "o"}, {"key": "resource_name", "value": "d"}]
    assert await names(matches=both) == {"word", "own-gold"}
    assert await names(tags=[*has(team=["blue"]), *has(team=["red"])]) == {"blue", "red"}
    # As strings and as numbers, with the total of everything found.
    for kind in (str, int):
        page = await desk.ask("POST", SEARCH, {"action": "filter", "limit": kind(2), "offset": kind(1)})
        assert page.json()["total_count"] == 6
        assert [one["resource_name"] for one in page.json()["resources"]] == newest_first[1:3]
    beyond = (await desk.ask("POST", SEARCH, {"action": "filter", "offset": "100"})).json()
    assert beyond == {"total_count": 6, "resources": []}
    ignored = await desk.ask("POST", SEARCH, {"action": "count", "limit": "all", "offset": "-1"})
    assert ignored.json() == {"total_count": 6}


async def test_a_found_image_is_told_with_its_tags_and_status(small_desk: Desk) -> None:
    image = await small_desk.image(name="one", tags=("a=1", "b", "c=x=y"))
    body = {"action": "filter", "matches": [{"key": "resource_id", "value": image.id}]}
    assert (await small_desk.ask("POST", SEARCH, body)).json() == {
        "total_count": 1,
        "resources": [
            {
                "resource_id": image.id,
                "resource_name": "one",
                "resource_detail": {"status": "active"},
                "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": ""}, {"key": "c", "value": "x=y"}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "IMG.0007"),
        ({"action": "Filter"}, "IMG.0105"),
        ({"action": "create"}, "IMG.0105"),
        ({"action": None}, "IMG.0001"),
        ({"action": ""}, "IMG.0001"),
        ({"action": 1}, "IMG.0001"),
        ({"action": "filter", "limit": "0"}, "IMG.0001"),
        ({"action": "filter", "limit": 1001}, "IMG.0001"),
        ({"action": "filter", "limit": "ten"}, "IMG.0001"),
        ({"action": "filter", "limit": 1.5}, "IMG.0001"),
        ({"action": "filter", "offset": -1}, "IMG.0001"),
        ({"action": "filter", "offset": 10**30}, "IMG.0001"),
        ({"action": "filter", "tags": {"key": "a"}}, "IMG.0001"),
        ({"action": "filter", "tags": [{"key": ""}]}, "IMG.0115"),
        ({"action": "filter", "tags": [{"key": "k" * 129}]}, "IMG.0115"),
        ({"action": "filter", "tags": [{"key": "k", "values": ["v" * 256]}]}, "IMG.0115"),
        ({"action": "filter", "tags": [{"key": "k", "values": [str(n) for n in range(11)]}]}, "IMG.0001"),
        ({"action": "filter", "tags": [{"key": f"k{n}"} for n in range(11)]}, "IMG.0001"),
        ({"action": "filter", "matches": [{"key": "owner", "value": "x"}]}, "IMG.0001"),
        ({"action": "filter", "matches": [{"key": "resource_id", "value": "x"}]}, "IMG.0031"),
        ({"action": "filter", "without_any_tag": "yes"}, "IMG.0001"),
    ],
    ids=str,
)
async def test_a_search_that_makes_no_sense_is_refused(shared_desk: Desk, body: object, code: str) -> None:
    assert await shared_desk.refusal("POST", SEARCH, body) == code


CONDITIONS = st.lists(
    st.builds(TagCondition, key=st.sampled_from("abc"), values=st.frozensets(st.sampled_from(["", "1", "2"]))),
    max_size=3,
    unique_by=lambda condition: condition.key,
).map(tuple)
TAG_SETS = [
    tuple(sorted(chosen))
    for size in range(4)
    for chosen in itertools.combinations(["a", "a=1", "b=1", "b=2", "c"], size)
]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(all_of=CONDITIONS, any_of=CONDITIONS, not_all_of=CONDITIONS, not_any_of=CONDITIONS)
async def test_a_search_means_what_its_words_say(desk: Desk, **asked: tuple[TagCondition, ...]) -> None:
    """Compared with the words themselves, applied to every image in turn."""
    if not desk.world.__dict__.setdefault("filled", []):
        desk.world.__dict__["filled"] = [await desk.image(name=str(n), tags=one) for n, one in enumerate(TAG_SETS)]

    def meets(tags_of_image: tuple[str, ...]) -> Callable[[TagCondition], bool]:
        pairs = {tag.partition("=")[::2] for tag in tags_of_image}
        return lambda asked: any(
            key == asked.key and (not asked.values or value in asked.values) for key, value in pairs
        )

    expected = {
        str(number)
        for number, one in enumerate(TAG_SETS)
        if all(map(meets(one), asked["all_of"]))
        and (not asked["any_of"] or any(map(meets(one), asked["any_of"])))
        and not (asked["not_all_of"] and all(map(meets(one), asked["not_all_of"])))
        and not any(map(meets(one), asked["not_any_of"]))
    }
    async with desk.world.database.reading() as tx:
        result = await tag_search.find_images(tx, OURS, TagQuery(limit=1000, **asked))
    assert {image.name for image in result.images} == expected
    assert result.total == len(expected)


async def test_searches_and_lists_of_tags_walk_along_indexes(small_desk: Desk) -> None:
    """Only on SQLite, whose plans do not depend on what is stored."""
    database = small_desk.world.database
    condition = TagCondition(key="a", values=frozenset({"1"}))
    query = TagQuery(all_of=(condition,), any_of=(condition,), not_all_of=(condition,), not_any_of=(condition,))
    shape = listing.shape_of(ImageQuery(limit=1), continues=False)
    values = listing.bound_values(shape, OURS, ImageQuery(limit=1), None) | {"tag_limit": 1, "tag_offset": 0}
    statements: list[Any] = [tag_search._found(OURS, query), listing.tags_statement(shape).params(values)]
    for statement in statements:
        compiled = str(statement.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True}))
        async with database.reading() as tx:
            plan = [row[3] for row in await tx.all(sa.text("EXPLAIN QUERY PLAN " + compiled.replace(":", r"\:")))]
        for table in ("images", "image_tags", "image_members"):
            assert not [line for line in plan if line.startswith(f"SCAN {table}") and "INDEX" not in line], plan


async def test_a_change_through_glance_is_found_at_once(small_desk: Desk) -> None:
    image = await small_desk.image(name="one")
    change = [{"op": "replace", "path": "/tags", "value": ["late=1"]}]
    answer = await small_desk.ask("PATCH", f"/v2/images/{image.id}", change, headers=PATCH_TYPE)
    assert answer.status_code == 200
    assert await found(small_desk, tags=has(late=["1"])) == ["one"]
    await share(small_desk, image.id)
    assert await found(small_desk, tags=has(late=["1"])) == ["one"]
    theirs = {"action": "count", "tags": has(late=["1"])}
    path = SEARCH.replace(OURS, THEIRS)
    assert (await small_desk.ask("POST", path, theirs, project=THEIRS)).json() == {"total_count": 0}
    assert (await small_desk.ask("GET", f"/v2/{OTHERS}/images/tags", project=OTHERS)).json() == {"tags": []}
