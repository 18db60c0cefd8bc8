"""Tags of servers as Nova has them: texts, on the one table that ECS keeps its pairs in."""

from stillframe.servers.model import VmState
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, Door, World

BASE = f"/v2.1/{OURS}"


async def test_tags_are_replaced_added_one_by_one_and_removed(door: Door, world: World) -> None:
    path = f"{BASE}/servers/{(await a_server(world, VmState.STOPPED)).id}/tags"
    assert (await door.put(path, json={"tags": ["b", "a", "b"]})).json() == {"tags": ["a", "b"]}
    assert (await door.put(f"{path}/team%3Dred%20ones")).status_code == 201
    assert (await door.put(f"{path}/a")).status_code == 204
    assert (await door.get(path)).json() == {"tags": ["a", "b", "team=red ones"]}
    assert (await door.get(f"{path}/a")).status_code == 204
    assert (await door.delete(f"{path}/a")).status_code == 204
    assert (await door.delete(f"{path}/a")).status_code == 404
    assert (await door.get(f"{path}/a")).status_code == 404
    assert (await door.delete(path)).status_code == 204
    assert (await door.get(path)).json() == {"tags": []}


async def test_a_tag_that_cannot_be_is_refused_and_so_is_one_too_many(door: Door, world: World) -> None:
    path = f"{BASE}/servers/{(await a_server(world, VmState.STOPPED)).id}/tags"
    for tags in (["a,b"], ["a/b"], [""], ["x" * 81], [1], "a", [str(number) for number in range(51)], ["\x01"]):
        assert (await door.put(path, json={"tags": tags})).status_code == 400, tags
    for tag in ("a%2Cb", "a%2Fb", "a/b", "%00", "%ff", "x" * 81):
        assert (await door.put(f"{path}/{tag}")).status_code == 400, tag
    assert (await door.put(path, json={"tags": [str(number) for number in range(50)]})).status_code == 200
    assert (await door.put(f"{path}/one-more")).status_code == 400
    assert (await door.get(f"{BASE}/servers/nowhere/tags")).status_code == 404


async def test_lists_are_narrowed_by_tags(door: Door, world: World) -> None:
    for name, tags in {"one": ["a", "b"], "two": ["a"], "three": []}.items():
        server = await a_server(world, VmState.STOPPED)
        await door.put(f"{BASE}/servers/{server.id}", json={"server": {"name": name}})
        await door.put(f"{BASE}/servers/{server.id}/tags", json={"tags": tags})

    async def names(query: str) -> set[str]:
        answer = await door.get(f"{BASE}/servers/detail?{query}")
        return {server["name"] for server in answer.json()["servers"]} & {"one", "two", "three"}

    assert await names("tags=a") == {"one", "two"}
    assert await names("tags=a,b") == {"one"}
    assert await names("tags-any=b,c") == {"one"}
    assert await names("not-tags=a,b") == {"two", "three"}
    assert await names("not-tags-any=a,b") == {"three"}
