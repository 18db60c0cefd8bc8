"""Another system and another flavor by the ECS API, and what stands against them."""

from stillframe.servers.model import VmState
from tests.api.ecs_v1.wishes import BASE, code, job
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, Door, World, add_image


async def test_a_flavor_is_changed_with_nothing_left_to_confirm(door: Door, world: World) -> None:
    server = await a_server(world)
    resize = f"{BASE}/{server.id}/resize"
    larger = {"resize": {"flavorRef": "s3.small.1"}}
    rehearsed = await door.post(resize, json=larger | {"dry_run": True})
    assert (rehearsed.status_code, await world.queued_jobs()) == (202, [])
    others = (await door.get(f"{BASE}/resize_flavors?instance_uuid={server.id}")).json()["flavors"]
    assert "s3.tiny" not in {flavor["id"] for flavor in others}
    answer = await door.post(resize, json=larger)
    assert answer.status_code == 200, answer.text
    await world.run_jobs()
    ended = await job(door, answer.json()["job_id"])
    assert (ended["status"], ended["job_type"], ended["entities"]) == (
        "SUCCESS",
        "resizeServer",
        {"server_id": server.id},
    )
    shown = (await door.get(f"{BASE}/{server.id}")).json()["server"]
    assert (shown["status"], shown["flavor"]["id"]) == ("SHUTOFF", "s3.small.1")
    for flavor in ("s3.small.1", "none"):
        assert (await door.post(resize, json={"resize": {"flavorRef": flavor}})).status_code == 400
    await world.set_server(server.id, vm_state=VmState.ACTIVE)
    assert code(await door.post(resize, json=larger)) == (400, "Ecs.0100")


async def test_a_system_is_changed_or_installed_again_by_a_job(door: Door, world: World) -> None:
    other = await add_image(world.resources, name="other")
    server = await a_server(world, VmState.ACTIVE, user_data="b2xk")
    change = {"os-change": {"imageid": other.id, "adminpass": "Secret-1234", "userid": "x"}}
    path = f"/v2/{OURS}/cloudservers/{server.id}"
    assert code(await door.post(f"{path}/changeos", json=change)) == (400, "Ecs.0100")
    change["os-change"]["mode"] = "withStopServer"
    answer = await door.post(f"{path}/changeos", json=change)
    assert answer.status_code == 200, answer.text
    assert (await job(door, answer.json()["job_id"]))["job_type"] == "changeOs"
    changed = await world.server(server.id)
    assert changed is not None
    assert (changed.image_id, changed.user_data, changed.status) == (other.id, "b2xk", "REBUILD")
    again = {"os-reinstall": {"metadata": {"user_data": "bmV3"}}}
    assert code(await door.post(f"{path}/reinstallos", json=again)) == (400, "Ecs.0100")
    stopped = await a_server(world)
    answer = await door.post(f"{BASE}/{stopped.id}/reinstallos", json=again)
    assert answer.status_code == 200, answer.text
    changed = await world.server(stopped.id)
    assert changed is not None
    assert (changed.image_id, changed.user_data) == (stopped.image_id, "bmV3")


async def test_a_system_that_cannot_be_is_refused(door: Door, world: World) -> None:
    server = await a_server(world)
    nowhere = "00000000-0000-4000-8000-000000000000"
    for wanted, refusal in (
        ({"os-change": {"imageid": nowhere}}, "Ecs.0031"),
        ({"os-change": {"imageid": "x"}}, "Ecs.0031"),
        ({"os-change": {}}, "Ecs.0005"),
        ({"os-change": {"imageid": world.image.id, "adminpass": "weak"}}, "Ecs.0011"),
        ({"os-change": {"imageid": world.image.id, "keyname": "x"}}, "Ecs.0314"),
    ):
        assert code(await door.post(f"{BASE}/{server.id}/changeos", json=wanted)) == (400, refusal), wanted
    assert await world.queued_jobs() == []
