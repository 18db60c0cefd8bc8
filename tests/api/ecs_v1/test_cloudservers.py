"""Servers by the ECS API: ordered, listed, changed and deleted, each with the job that tells how far it is."""

import asyncio
from typing import Any

import pytest

from stillframe.errors import ToolFailedError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import JobState
from stillframe.networks.model import FloatingIp, defaults_of
from stillframe.networks.service import list_things
from stillframe.servers.model import VmState
from stillframe.volumes import service as volumes
from stillframe.volumes.model import VolumeQuery, VolumeStatus
from tests.api.ecs_v1.wishes import BASE, code, job, order
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, caller, finish_job


async def finish_all(world: World, vm_state: VmState = VmState.ACTIVE) -> None:
    """As if the worker had carried out what is waiting."""
    for waiting in await world.queued_jobs():
        await finish_job(world, waiting)
        async with world.database.writing() as tx:
            for disk in waiting.args.get("disks", ()):
                await volumes.set_status(tx, disk["volume_id"], VolumeStatus.IN_USE)
        await world.set_server(waiting.args["server_id"], vm_state=vm_state, task_state=None, job_id=None)


async def show(door: Door, server_id: str) -> dict[str, Any]:
    return dict((await door.get(f"{BASE}/{server_id}")).json()["server"])


async def test_a_server_is_ordered_with_disks_tags_and_an_address(door: Door, world: World) -> None:
    answer = await order(
        door,
        world,
        root_volume={"volumetype": "SAS", "size": 2, "metadata": {"__system__encrypted": "0", "__system__cmkid": ""}},
        data_volumes=[{"volumetype": "SSD", "size": 3}],
        server_tags=[{"key": "team", "value": "red"}],
        tags=["old.form"],
        metadata={"op_svc_userid": "me", "admin_pass": "Secret-1234"},
        adminPass="Secret-1234",
        user_data="aGVsbG8=",
        publicip={"eip": {"iptype": "5_bgp", "bandwidth": {"size": 5, "sharetype": "PER", "chargemode": "traffic"}}},
        extendparam={"chargingMode": 0, "regionID": "eu-de"},
        **{"os:scheduler_hints": {}},
    )
    assert answer.status_code == 200, answer.text
    (server_id,) = answer.json()["serverIds"]
    begun = await job(door, answer.json()["job_id"])
    assert (begun["status"], begun["job_type"], begun["entities"]["sub_jobs_total"]) == ("INIT", "createServer", 1)
    await finish_all(world)
    done = await job(door, answer.json()["job_id"])
    (part,) = done["entities"]["sub_jobs"]
    assert (done["status"], done["error_code"], done["fail_reason"]) == ("SUCCESS", None, None)
    assert (part["job_type"], part["status"], part["entities"]) == (
        "createSingleServer",
        "SUCCESS",
        {"server_id": server_id},
    )
    assert await job(door, part["job_id"]) == part
    shown = await show(door, server_id)
    vpc_id = defaults_of(OURS).router.id
    assert shown["flavor"] == {"id": "s3.tiny", "name": "s3.tiny", "disk": "0", "vcpus": "1", "ram": "256"}
    assert (shown["status"], shown["image"], shown["metadata"]["vpc_id"]) == ("ACTIVE", {"id": world.image.id}, vpc_id)
    assert shown["metadata"]["op_svc_userid"] == "me"
    assert "Secret" not in str(shown)
    assert shown["tags"] == ["old=form", "team=red"]
    (address,) = shown["addresses"][vpc_id]
    assert (address["version"], address["OS-EXT-IPS:type"]) == ("4", "fixed")
    disks = [
        (disk["bootIndex"], disk["device"], disk["delete_on_termination"])
        for disk in shown["os-extended-volumes:volumes_attached"]
    ]
    assert disks == [("0", "/dev/vda", "true"), ("1", "/dev/vdb", "false")]
    async with world.database.reading() as tx:
        (floating,) = await list_things(tx, caller(), FloatingIp)
    assert (floating.port_id, floating.bandwidth_mbit) == (address["OS-EXT-IPS:port_id"], 5)


async def test_several_servers_are_one_job_with_a_part_for_each(door: Door, world: World) -> None:
    answer = await order(door, world, count=3)
    assert answer.status_code == 200, answer.text
    listed = (await door.get(f"{BASE}/detail?name=web-000")).json()
    assert {server["name"] for server in listed["servers"]} == {"web-0001", "web-0002", "web-0003"}
    assert {server["id"] for server in listed["servers"]} == set(answer.json()["serverIds"])
    first, *others = await world.queued_jobs()
    await finish_job(world, first)
    assert (await job(door, answer.json()["job_id"]))["status"] == "RUNNING"
    async with world.database.writing() as tx:
        await jobs.fail_job(tx, others[0].id, ToolFailedError("It broke."))
        await jobs.succeed_job(tx, others[1].id, {})
    failed = await job(door, answer.json()["job_id"])
    assert (failed["status"], failed["error_code"], failed["fail_reason"]) == ("FAIL", "Ecs.0219", "It broke.")
    broken = [part for part in failed["entities"]["sub_jobs"] if part["status"] == "FAIL"]
    assert [part["entities"]["errorcode_message"] for part in broken] == ["It broke."]


async def test_a_rehearsal_makes_every_check_and_nothing_else(door: Door, world: World) -> None:
    answer = await order(door, world, dry_run=True, count=2)
    assert (answer.status_code, answer.content) == (202, b"")
    assert code(await order(door, world, dry_run=True, flavorRef="none")) == (400, "Ecs.0029")
    world.choose(server_quota=1)
    assert code(await order(door, world, dry_run=True, count=2)) == (400, "Ecs.0001")
    assert (await door.get(f"{BASE}/detail")).json() == {"servers": [], "count": 0}
    assert await world.queued_jobs() == []


async def test_quotas_hold_for_orders_of_several_at_the_same_time(door: Door, world: World) -> None:
    """Ten are asked for two by two with room for five: two orders are met, and none in part."""
    world.choose(server_quota=5)
    answers = await asyncio.gather(*[order(door, world, count=2) for _ in range(5)])
    assert sorted(answer.status_code for answer in answers) == [200, 200, 400, 400, 400]
    assert {code(answer)[1] for answer in answers if answer.status_code != 200} == {"Ecs.0001"}
    assert (await door.get(f"{BASE}/limits")).json()["absolute"]["totalInstancesUsed"] == 4


@pytest.mark.parametrize(
    ("quotas", "refusal"),
    [
        ({"volume_quota": 7}, "Ecs.0021"),
        ({"volume_quota_gib": 15}, "Ecs.0021"),
        ({"cores_quota": 3}, "Ecs.0001"),
        ({"ram_quota_mib": 1000}, "Ecs.0001"),
    ],
    ids=str,
)
async def test_every_quota_holds_for_orders_at_the_same_time(
    door: Door, world: World, quotas: dict[str, int], refusal: str
) -> None:
    """Each order is two servers of one core, 256 MiB, and disks of 1 and 3 GiB: there is room for one order."""
    world.choose(**quotas)
    disks = [{"volumetype": "SSD", "size": 3}]
    answers = await asyncio.gather(*[order(door, world, count=2, data_volumes=disks) for _ in range(3)])
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    assert {code(answer)[1] for answer in answers if answer.status_code != 200} == {refusal}
    async with world.database.reading() as tx:
        assert len(await volumes.list_volumes(tx, caller(), VolumeQuery())) == 4


async def test_servers_are_deleted_with_what_is_asked_for(door: Door, world: World) -> None:
    address = {"eip": {"iptype": "5_bgp", "bandwidth": {"size": 5}}}
    made = [
        (await order(door, world, data_volumes=[{"volumetype": "SSD", "size": 1}], publicip=address)).json()
        for _ in range(2)
    ]
    await finish_all(world, VmState.STOPPED)
    for one, asked in zip(made, ({"delete_volume": True, "delete_publicip": True}, {}), strict=True):
        body = {"servers": [{"id": one["serverIds"][0]}], **asked}
        answer = await door.post(f"{BASE}/delete", json=body)
        again = await door.post(f"{BASE}/delete", json=body)
        assert (answer.status_code, again.status_code) == (200, 200)
        await world.run_jobs()
        ended = await job(door, answer.json()["job_id"])
        assert (ended["status"], ended["job_type"]) == ("SUCCESS", "deleteServer"), ended
        assert ended["entities"]["sub_jobs"][0]["job_type"] == "deleteSingleServer"
        assert code(await door.get(f"{BASE}/{one['serverIds'][0]}")) == (404, "Ecs.0114")
    async with world.database.reading() as tx:
        left = await volumes.list_volumes(tx, caller(), VolumeQuery())
        floating = await list_things(tx, caller(), FloatingIp)
    assert [(volume.size_gib, volume.attachment) for volume in left] == [(1, None)]
    assert [one.port_id for one in floating] == [None]


async def test_servers_are_stopped_started_and_rebooted_together(door: Door, world: World) -> None:
    servers = [await a_server(world, VmState.ACTIVE) for _ in range(2)]
    refs = [{"id": server.id} for server in servers]
    for action, kind, hard in (
        ({"os-stop": {"type": "HARD", "servers": refs}}, "stopServer", True),
        ({"os-start": {"servers": refs}}, "startServer", False),
        ({"reboot": {"type": "SOFT", "servers": refs}}, "rebootServer", False),
    ):
        answer = await door.post(f"{BASE}/action", json=action)
        assert answer.status_code == 200, answer.text
        shown = await job(door, answer.json()["job_id"])
        assert (shown["job_type"], shown["entities"]["sub_jobs_total"]) == (kind, 2)
        assert all(waiting.args.get("hard", False) is hard for waiting in await world.queued_jobs())
        await finish_all(world, VmState.STOPPED if kind == "stopServer" else VmState.ACTIVE)
        assert (await job(door, answer.json()["job_id"]))["status"] == "SUCCESS"
    stopped = await a_server(world, VmState.STOPPED)
    mixed = await door.post(f"{BASE}/action", json={"os-stop": {"servers": [*refs, {"id": stopped.id}]}})
    assert code(mixed) == (400, "Ecs.0100")
    assert await world.queued_jobs() == []


async def test_lists_have_pages_and_filters(door: Door, world: World) -> None:
    for name, state in (("a-one", VmState.ACTIVE), ("a-two", VmState.STOPPED), ("b", VmState.STOPPED)):
        server = await a_server(world, state, name=name)
    await door.post(f"{BASE}/{server.id}/tags/action", json={"action": "create", "tags": [{"key": "k", "value": "v"}]})

    async def names(query: str) -> tuple[list[str], int]:
        answer = (await door.get(f"{BASE}/detail?{query}")).json()
        return sorted(server["name"] for server in answer["servers"]), answer["count"]

    assert await names("name=a-") == (["a-one", "a-two"], 2)
    assert await names("name=a.t") == (["a-two"], 1)
    assert await names("status=shutoff") == (["a-two", "b"], 2)
    assert await names("status=DELETED") == ([], 0)
    assert await names("tags=k=v") == (["b"], 1)
    assert await names("not-tags=k=v&flavor=s3.tiny") == (["a-one", "a-two"], 2)
    assert await names(f"reservation_id=r-{server.id[:8]}") == (["b"], 1)
    assert await names("limit=2&offset=2") == (["a-one"], 3)
    assert await names("limit=2&offset=0") == (["a-two", "b"], 3)
    assert await names("ip=203.0.113.1") == ([], 0)
    for query in ("limit=0", "limit=1001", "limit=x", "offset=-1"):
        assert code(await door.get(f"{BASE}/detail?{query}")) == (400, "Ecs.0005"), query


async def test_servers_are_renamed_alone_and_together(door: Door, world: World) -> None:
    server = await a_server(world)
    renamed = await door.put(f"{BASE}/{server.id}", json={"server": {"name": "new", "description": "d"}})
    assert (renamed.json()["server"]["name"], renamed.json()["server"]["description"]) == ("new", "d")
    body = {"name": "both", "servers": [{"id": server.id}], "dry_run": True}
    for dry_run, after in ((True, "new"), (False, "both")):
        answer = await door.put(f"{BASE}/server-name", json=body | {"dry_run": dry_run})
        assert answer.json() == {"response": [{"id": server.id}]}
        assert (await show(door, server.id))["name"] == after
    assert renamed.json()["server"]["image"] == server.image_id
    for wrong in ("no spaces", ""):
        assert code(await door.put(f"{BASE}/{server.id}", json={"server": {"name": wrong}})) == (400, "Ecs.0915")
    for project, count in (("0", 1), ("all_granted_eps", 1), (server.id, 0)):
        listed = await door.get(f"{BASE}/detail?enterprise_project_id={project}&server_id={server.id}")
        assert listed.json()["count"] == count


async def test_others_see_nothing_of_it(door: Door, world: World) -> None:
    answer = await order(door, world)
    (server_id,) = answer.json()["serverIds"]
    (waiting,) = await world.queued_jobs()
    assert waiting.state is JobState.QUEUED
    door.speak_as(THEIRS)
    assert code(await door.get(f"{BASE}/detail")) == (400, "Ecs.0023")
    theirs = f"/v1/{THEIRS}"
    assert (await door.get(f"{theirs}/cloudservers/detail")).json()["count"] == 0
    assert code(await door.get(f"{theirs}/cloudservers/{server_id}")) == (404, "Ecs.0114")
    body = {"servers": [{"id": server_id}]}
    assert code(await door.post(f"{theirs}/cloudservers/delete", json=body)) == (404, "Ecs.0114")
    for job_id in (answer.json()["job_id"], waiting.id, "x"):
        assert code(await door.get(f"{theirs}/jobs/{job_id}")) == (400, "Common.0011")
