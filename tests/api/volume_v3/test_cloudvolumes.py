"""The EVS door: cloudvolumes with their jobs, tags, and refusals by their codes."""

from typing import Any
from uuid import UUID

import pytest

from stillframe.kit.ids import new_uuid
from tests.servers.world import OURS, THEIRS, Door, World

BASE = f"/v2/{OURS}"
WANTED: dict[str, Any] = {"availability_zone": "eu-de-01", "volume_type": "SAS", "size": 2, "name": "v"}


async def submit(door: Door, **changes: Any) -> Any:
    return await door.post(f"{BASE}/cloudvolumes", json={"volume": {**WANTED, **changes}})


async def job(door: Door, job_id: str) -> dict[str, Any]:
    return dict((await door.get(f"/v1/{OURS}/jobs/{job_id}")).json())


async def test_a_volume_lives_by_jobs(door: Door, world: World) -> None:
    answer = await submit(door, size=2.9, tags={"k": "v"}, metadata={"m": "n"})
    assert answer.status_code == 200, answer.text
    (volume_id,) = answer.json()["volume_ids"]
    assert (await job(door, answer.json()["job_id"]))["status"] == "INIT"
    await world.run_jobs()
    done = await job(door, answer.json()["job_id"])
    about = {"name": "v", "size": 2, "volume_id": volume_id, "volume_type": "SAS"}
    assert (done["status"], done["job_type"], done["entities"]) == ("SUCCESS", "createVolume", about)
    url = f"{BASE}/cloudvolumes/{volume_id}"
    shown = (await door.get(url)).json()["volume"]
    assert (shown["size"], shown["tags"], shown["shareable"], shown["status"]) == (2, {"k": "v"}, "false", "available")
    assert (await door.put(url, json={"volume": {"name": "w"}})).json()["volume"]["name"] == "w"
    grown = await door.post(f"{url}/action", json={"os-extend": {"new_size": 4}})
    await world.run_jobs()
    assert (await job(door, grown.json()["job_id"]))["job_type"] == "extendVolume"
    gone = await door.delete(url)
    assert gone.status_code == 200
    assert (await door.get(url)).json()["volume"]["status"] == "deleting"
    await world.run_jobs()
    assert (await job(door, gone.json()["job_id"]))["entities"]["size"] == 4
    answer = await door.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "EVS.1002")


async def test_a_batch_is_one_job_with_one_for_each(door: Door, world: World) -> None:
    answer = await submit(door, count=3)
    await world.run_jobs()
    done = await job(door, answer.json()["job_id"])
    assert (done["status"], done["job_type"]) == ("SUCCESS", "batchCreateVolume")
    assert done["entities"]["sub_jobs_total"] == 3
    names = [part["entities"]["name"] for part in done["entities"]["sub_jobs"]]
    assert names == ["v-0001", "v-0002", "v-0003"]
    listed = (await door.get(f"{BASE}/cloudvolumes/detail?limit=2&sort_key=name&sort_dir=asc")).json()
    assert (listed["count"], [one["name"] for one in listed["volumes"]]) == (3, names[:2])
    for query, code in (("sort_key=x", "EVS.1039"), ("sort_dir=x", "EVS.1040")):
        refused = await door.get(f"{BASE}/cloudvolumes/detail?{query}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
    types = {each["name"]: each["id"] for each in (await door.get(f"{BASE}/types")).json()["volume_types"]}
    own = listed["volumes"][0]["volume_type"]
    other = next(name for name in types if name != own)
    for query, count in (
        ("shareable=true", 0),
        ("shareable=false", 3),
        (f"volume_type_id={types[own]}", 3),
        (f"volume_type_id={types[other]}", 0),
        ("volume_type_id=x", 0),
    ):
        assert (await door.get(f"{BASE}/cloudvolumes/detail?{query}")).json()["count"] == count, query
    foreign = await door.get(f"/v2/{THEIRS}/cloudvolumes/detail")
    assert foreign.json() == {"error": {"code": "EVS.0001", "message": "invalid tenant id!"}}
    one = answer.json()["volume_ids"][0]
    assert (await door.get(f"{BASE}/cloudvolumes/detail?ids=[{one}]")).json()["count"] == 1


async def test_tags_are_added_replaced_and_removed(door: Door, world: World) -> None:
    (volume_id,) = (await submit(door)).json()["volume_ids"]
    await world.run_jobs()
    for path in ("cloudvolumes", "os-vendor-volumes"):
        url = f"{BASE}/{path}/{volume_id}/tags"
        body = {"action": "create", "tags": [{"key": "a", "value": "1"}]}
        assert (await door.post(f"{url}/action", json=body)).status_code == 204
        assert (await door.get(url)).json() == {"tags": [{"key": "a", "value": "1"}]}
        removed = await door.post(f"{url}/action", json={"action": "delete", "tags": [{"key": "a"}]})
        assert (removed.status_code, (await door.get(url)).json()) == (204, {"tags": []})
    old = f"{BASE}/os-vendor-tags/volumes/{volume_id}"
    assert (await door.put(old, json={"tags": {"b": "2"}})).json() == {"tags": {"b": "2"}}
    assert (await door.get(old)).json() == {"tags": {"b": "2"}}


async def test_volumes_are_found_by_their_tags(door: Door, world: World) -> None:
    for name, tags in (("one", {"a": "1", "b": "x"}), ("two", {"a": "2"}), ("none", {})):
        await submit(door, name=name, tags=tags)
    await world.run_jobs()
    answer = await door.get(f"{BASE}/cloudvolumes/tags")
    assert answer.json()["tags"] == {"a": ["1", "2"], "b": ["x"]}

    async def found(**body: Any) -> list[str]:
        path = f"{BASE}/cloudvolumes/resource_instances/action"
        answer = (await door.post(path, json={"action": "filter", **body})).json()
        count = (await door.post(path, json={"action": "count", **body})).json()
        assert count == {"total_count": answer["total_count"]}
        return sorted(one["resource_name"] for one in answer["resources"])

    assert await found(tags=[{"key": "a"}]) == ["one", "two"]
    assert await found(tags=[{"key": "a", "values": ["2", "3"]}]) == ["two"]
    assert await found(tags=[{"key": "a"}, {"key": "b", "values": ["x"]}]) == ["one"]
    assert await found(matches=[{"key": "resource_name", "value": "ON"}]) == ["none", "one"]
    assert len(await found(tags=[{"key": "a"}], limit="1")) == 1
    for wrong in (
        {"action": "find"},
        {"action": "filter", "limit": 0},
        {"action": "filter", "matches": [{"key": "id"}]},
    ):
        refused = await door.post(f"{BASE}/cloudvolumes/resource_instances/action", json=wrong)
        assert refused.status_code == 400
    door.speak_as(THEIRS)
    assert (await door.get(f"/v3/{THEIRS}/cloudvolumes/tags")).json() == {"tags": {}}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"availability_zone": None}, "EVS.1036"),
        ({"availability_zone": "mars"}, "EVS.1036"),
        ({"volume_type": "tape"}, "EVS.1020"),
        ({"size": None}, "EVS.1010"),
        ({"size": 1e400}, "EVS.1052"),
        ({"size": 40000}, "EVS.1010"),
        ({"name": "n" * 256}, "EVS.1003"),
        ({"description": "ä" * 128}, "EVS.1004"),
        ({"imageRef": str(UUID(int=1)), "snapshot_id": str(UUID(int=2))}, "EVS.1016"),
        ({"count": 101}, "EVS.1021"),
        ({"tags": {f"k{n}": "v" for n in range(11)}}, "EVS.1061"),
        ({"name": 5}, "EVS.1052"),
    ],
)
async def test_what_cannot_be_made_is_refused_by_its_code(door: Door, changes: dict[str, Any], code: str) -> None:
    if changes.get("size") == 1e400:
        answer = await door.post(f"{BASE}/cloudvolumes", content=b'{"volume": {"size": 1e400}}x')
    else:
        answer = await submit(door, **changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_quotas_and_strangers(door: Door, world: World) -> None:
    world.choose(volume_quota=1, volume_quota_gib=3)
    assert (await submit(door, count=2)).json()["error"]["code"] == "EVS.1034"
    assert (await submit(door, size=4)).json()["error"]["code"] == "EVS.1042"
    answer = await submit(door)
    assert (await door.get(f"/v1/{OURS}/jobs/{new_uuid()}")).status_code == 404
    door.speak_as(THEIRS)
    assert (await door.get(f"/v1/{THEIRS}/jobs/{answer.json()['job_id']}")).status_code == 404


async def test_snapshots_live_by_the_paths_of_evs(door: Door, world: World) -> None:
    made = (await door.post(f"/v2.1/{OURS}/cloudvolumes", json={"volume": WANTED})).json()
    await world.run_jobs()
    wanted = {"volume_id": made["volume_ids"][0], "name": "s"}
    taken = await door.post(f"{BASE}/cloudsnapshots", json={"snapshot": wanted})
    assert (taken.status_code, taken.json()["snapshot"]["status"]) == (202, "creating")
    await world.run_jobs()
    listed = (await door.get(f"{BASE}/cloudsnapshots/detail?volume_id={wanted['volume_id']}")).json()
    assert (listed["count"], listed["snapshots"][0]["status"]) == (1, "available")
    url = f"{BASE}/cloudsnapshots/{taken.json()['snapshot']['id']}"
    assert (await door.put(url, json={"snapshot": {"name": "t"}})).json()["snapshot"]["name"] == "t"
    gone = await door.delete(url)
    assert (gone.status_code, gone.content) == (202, b"")
    answer = await door.get(url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "EVS.1070")


async def test_what_is_ordered_is_not_attached_as_well(door: Door) -> None:
    answer = await door.post(f"/v2.1/{OURS}/cloudvolumes", json={"volume": WANTED, "server_id": new_uuid()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "EVS.1070")
