"""Resizing, rebuilding, locking, pausing and shelving servers, as far as rows go; tests/servers has real guests."""

from typing import Any

import pytest

from stillframe.errors import HostMemoryError
from stillframe.jobs.model import JobState
from stillframe.servers import hosts
from stillframe.servers.model import TaskState, VmState
from tests.servers.test_actions import a_server, root_volume
from tests.servers.world import OURS, THEIRS, Door, World, add_image

BASE = f"/v2.1/{OURS}"
LATEST = {"OpenStack-API-Version": "compute 2.90"}


async def act(door: Door, server_id: str, action: str, argument: Any = None, status: int = 202) -> Any:
    answer = await door.post(f"{BASE}/servers/{server_id}/action", json={action: argument}, headers=LATEST)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def show(door: Door, server_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await door.get(f"{BASE}/servers/{server_id}", headers=LATEST)).json()["server"]
    return shown


async def usage(door: Door) -> tuple[int, int]:
    limits = (await door.get(f"{BASE}/limits")).json()["limits"]["absolute"]
    return limits["totalCoresUsed"], limits["totalRAMUsed"]


async def test_a_resize_waits_to_be_confirmed(door: Door, world: World) -> None:
    server = await a_server(world)
    await act(door, server.id, "resize", {"flavorRef": "s3.large.1"})
    assert (await show(door, server.id))["status"] == "RESIZE"
    await act(door, server.id, "os-start", status=409)
    await world.run_jobs()
    shown = await show(door, server.id)
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("VERIFY_RESIZE", "resized")
    assert (shown["OS-EXT-STS:power_state"], shown["flavor"]["original_name"]) == (4, "s3.large.1")
    listed = (await door.get(f"{BASE}/servers?status=verify_resize")).json()["servers"]
    assert [one["id"] for one in listed] == [server.id]
    await act(door, server.id, "os-start", status=409)
    await act(door, server.id, "confirmResize", status=204)
    assert (await show(door, server.id))["status"] == "SHUTOFF"
    assert await usage(door) == (2, 2048)
    for late in ("confirmResize", "revertResize"):
        assert "vm_state stopped" in (await act(door, server.id, late, status=409))["conflictingRequest"]["message"]


async def test_a_resize_taken_back_leaves_the_server_as_it_was(door: Door, world: World) -> None:
    server = await a_server(world)
    await act(door, server.id, "resize", {"flavorRef": "http://x/flavors/s3.large.1"})
    await world.run_jobs()
    await act(door, server.id, "revertResize")
    assert (await show(door, server.id))["status"] == "REVERT_RESIZE"
    await world.run_jobs()
    after = await world.server(server.id)
    assert after is not None
    assert (after.vm_state, after.flavor, after.resized_from) == (VmState.STOPPED, server.flavor, None)
    assert await usage(door) == (server.flavor.vcpus, server.flavor.ram_mib)


async def test_a_resize_is_within_the_quota_and_the_memory_of_the_host(door: Door, world: World) -> None:
    server = await a_server(world)
    world.choose(cores_quota=1)
    refused = await act(door, server.id, "resize", {"flavorRef": "s3.large.1"}, status=403)
    assert "cores" in refused["forbidden"]["message"]
    world.choose(cores_quota=4, host_memory_reserve_mib=64 * 1024 - 512)
    await world.set_server(server.id, vm_state=VmState.ACTIVE)
    refused = await act(door, server.id, "resize", {"flavorRef": "s3.medium.1"}, status=403)
    assert "memory of the host" in refused["forbidden"]["message"]
    await act(door, server.id, "resize", {"flavorRef": "s3.small.1"})
    assert (await world.server(server.id) or server).task_state is TaskState.RESIZE_PREP


async def test_while_it_gets_smaller_the_machine_counts_as_large_as_it_is(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE, flavor_id="s3.medium.1")
    world.choose(host_memory_reserve_mib=64 * 1024 - 1024)
    await act(door, server.id, "resize", {"flavorRef": "s3.tiny"})
    async with world.database.writing() as tx:
        with pytest.raises(HostMemoryError):
            await hosts.require_host_memory(tx, world.settings, 1)
    await world.set_server(server.id, vm_state=VmState.RESIZED, task_state=None)
    async with world.database.writing() as tx:
        await hosts.require_host_memory(tx, world.settings, 768)
        with pytest.raises(HostMemoryError):
            await hosts.require_host_memory(tx, world.settings, 769)


async def test_a_resize_that_fails_gives_the_old_flavor_back(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    await act(door, server.id, "resize", {"flavorRef": "s3.small.1"})
    await world.run_jobs()  # there is no disk that a machine could be started from
    after = await world.server(server.id)
    assert after is not None
    assert (after.vm_state, after.flavor.id, after.resized_from) == (VmState.ERROR, server.flavor.id, None)
    assert after.fault is not None


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        ("resize", {"flavorRef": "s3.tiny"}),  # the one it has
        ("resize", {"flavorRef": "none.such"}),
        ("resize", {"flavorRef": "a\u0000b"}),
        ("resize", {"flavorRef": []}),
        ("resize", {}),
        ("resize", None),
        ("rebuild", {"imageRef": "no-uuid"}),
        ("rebuild", {"imageRef": "00000000-0000-4000-8000-000000000000"}),
        ("rebuild", {"imageRef": 5}),
        ("rebuild", None),
        ("lock", {"locked_reason": ""}),
        ("lock", {"locked_reason": "x" * 256}),
        ("lock", "now"),
        ("changePassword", {"adminPass": 1}),
        ("changePassword", None),
    ],
)
async def test_bad_input_is_told_in_novas_envelope(door: Door, world: World, action: str, argument: Any) -> None:
    server = await a_server(world)
    refused = await act(door, server.id, action, argument, status=400)
    assert refused["badRequest"]["message"]
    assert await world.server(server.id) == server


@pytest.mark.parametrize(
    "action",
    [
        *("resize", "confirmResize", "revertResize", "rebuild", "pause", "unpause", "suspend", "resume", "shelve"),
        *("unshelve", "lock", "unlock", "changePassword"),
    ],
)
async def test_another_projects_server_is_not_there(door: Door, world: World, action: str) -> None:
    server = await a_server(world)
    arguments = {
        "resize": {"flavorRef": "s3.small.1"},
        "rebuild": {"imageRef": world.image.id},
        "changePassword": {"adminPass": "secret"},
    }
    door.speak_as(THEIRS)
    answer = await door.post(
        f"/v2.1/{THEIRS}/servers/{server.id}/action", json={action: arguments.get(action)}, headers=LATEST
    )
    assert answer.status_code == 404
    assert "itemNotFound" in answer.json()
    door.speak_as(OURS, "readonly")
    refused = await act(door, server.id, action, arguments.get(action), status=403)
    assert "forbidden" in refused


async def test_a_locked_server_is_left_alone_by_all_but_administrators(door: Door, world: World) -> None:
    server = await a_server(world)
    await act(door, server.id, "lock", {"locked_reason": "keep it"})
    shown = await show(door, server.id)
    assert (shown["locked"], shown["locked_reason"]) == (True, "keep it")
    for action, argument in (
        ("os-start", None),
        ("resize", {"flavorRef": "s3.small.1"}),
        ("rebuild", {"imageRef": world.image.id}),
        ("shelve", None),
    ):
        refused = await act(door, server.id, action, argument, status=409)
        assert "is locked" in refused["conflictingRequest"]["message"]
    assert (await door.delete(f"{BASE}/servers/{server.id}")).status_code == 409
    body = {"volumeAttachment": {"volumeId": (await root_volume(world, server.id)).id}}
    assert (await door.post(f"{BASE}/servers/{server.id}/os-volume_attachments", json=body)).status_code == 409
    assert (await door.put(f"{BASE}/servers/{server.id}/metadata", json={"metadata": {}})).status_code == 409
    await act(door, server.id, "unlock")
    assert (await show(door, server.id))["locked"] is False
    await act(door, server.id, "os-start")


async def test_what_an_administrator_has_locked_only_one_unlocks(door: Door, world: World) -> None:
    server = await a_server(world)
    door.speak_as(THEIRS, "admin")
    path = f"/v2.1/{THEIRS}/servers/{server.id}/action"
    assert (await door.post(path, json={"lock": None})).status_code == 202
    door.speak_as(OURS)
    await act(door, server.id, "unlock", status=403)
    await act(door, server.id, "os-start", status=409)
    door.speak_as(THEIRS, "admin")
    assert (await door.post(path, json={"os-start": None})).status_code == 202
    assert (await door.post(path, json={"unlock": None})).status_code == 202


async def test_there_is_no_agent_that_could_change_a_password(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    refused = await act(door, server.id, "changePassword", {"adminPass": "secret"}, status=409)
    assert "guest agent" in refused["conflictingRequest"]["message"]


async def test_a_shelved_server_takes_no_memory(door: Door, world: World) -> None:
    server = await a_server(world, VmState.PAUSED)
    await act(door, server.id, "shelve")
    await world.run_jobs()
    shown = await show(door, server.id)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("SHELVED_OFFLOADED", 4)
    await act(door, server.id, "os-start", status=409)
    world.choose(host_memory_reserve_mib=64 * 1024)
    await act(door, server.id, "unshelve", status=403)
    world.choose(host_memory_reserve_mib=0)
    await act(door, server.id, "unshelve")
    assert (await show(door, server.id))["OS-EXT-STS:task_state"] == "unshelving"


@pytest.mark.parametrize(
    ("vm_state", "refused"),
    [
        (VmState.STOPPED, ["pause", "unpause", "suspend", "resume", "unshelve", "changePassword"]),
        (VmState.ACTIVE, ["unpause", "resume", "unshelve", "confirmResize", "os-start"]),
        (VmState.PAUSED, ["pause", "suspend", "resume", "os-stop", "resize", "rebuild"]),
        (VmState.SUSPENDED, ["unpause", "os-start", "resize"]),
        (VmState.RESIZED, ["pause", "os-stop", "resize", "rebuild", "shelve"]),
        (VmState.ERROR, ["pause", "shelve", "resize", "os-start"]),
    ],
)
async def test_the_wrong_state_is_a_conflict(door: Door, world: World, vm_state: VmState, refused: list[str]) -> None:
    server = await a_server(world, vm_state)
    arguments = {
        "resize": {"flavorRef": "s3.small.1"},
        "rebuild": {"imageRef": world.image.id},
        "changePassword": {"adminPass": "secret"},
    }
    for action in refused:
        told = await act(door, server.id, action, arguments.get(action), status=409)
        assert "conflictingRequest" in told, action
    assert await world.queued_jobs() == []


async def test_a_pause_without_a_machine_says_so(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    await act(door, server.id, "pause")
    (job,) = await world.queued_jobs()
    await world.run_jobs()
    assert (await world.job(job.id)).state is JobState.FAILED
    assert (await show(door, server.id))["status"] == "ERROR"


async def test_a_rebuild_answers_with_the_new_looks_and_holds_the_disk(door: Door, world: World) -> None:
    other = await add_image(world.resources, name="other")
    server = await a_server(world, metadata={"old": "1"}, user_data="b2xk")
    wanted = {
        "imageRef": other.id,
        "name": "anew",
        "metadata": {"new": "2"},
        "adminPass": "abcdefghijkl",
        "description": "again",
        "user_data": None,
    }
    rebuilt = (await act(door, server.id, "rebuild", wanted))["server"]
    assert (rebuilt["status"], rebuilt["name"], rebuilt["metadata"]) == ("REBUILD", "anew", {"new": "2"})
    assert (rebuilt["image"]["id"], rebuilt["adminPass"], rebuilt["id"]) == (other.id, "abcdefghijkl", server.id)
    assert (await world.server(server.id) or server).user_data is None
    root = await root_volume(world, server.id)
    assert root.job_id is not None
    await act(door, server.id, "createImage", {"name": "now"}, status=409)
    await act(door, server.id, "os-start", status=409)


@pytest.mark.parametrize(
    "fields", [{"min_disk_gib": 2}, {"min_ram_mib": 4096}, {"status": "queued", "layer_id": None}], ids=str
)
async def test_an_image_that_does_not_fit_rebuilds_nothing(door: Door, world: World, fields: dict[str, Any]) -> None:
    other = await add_image(world.resources, **fields)
    server = await a_server(world)
    await act(door, server.id, "rebuild", {"imageRef": other.id}, status=400)
    assert await world.server(server.id) == server


async def test_a_card_is_plugged_into_a_running_server_by_a_job(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    path = f"{BASE}/servers/{server.id}/os-interface"
    card = (await door.post(path, json={"interfaceAttachment": {}})).json()["interfaceAttachment"]
    assert [job.kind for job in await world.queued_jobs()] == ["nic_attach"]
    assert (await door.delete(f"{path}/{card['port_id']}")).status_code == 409
    await world.run_jobs()
    assert len((await door.get(path)).json()["interfaceAttachments"]) == 2
    assert (await door.delete(f"{path}/{card['port_id']}")).status_code == 202
    assert (await door.get(f"{path}/{card['port_id']}")).status_code == 200
    await world.run_jobs()
    assert (await door.get(f"{path}/{card['port_id']}")).status_code == 404
    assert (await door.delete(f"{path}/{card['port_id']}")).status_code == 404


async def test_the_cards_of_a_server_change_only_where_they_can(door: Door, world: World) -> None:
    server = await a_server(world, VmState.PAUSED)
    path = f"{BASE}/servers/{server.id}/os-interface"
    (card,) = (await door.get(path)).json()["interfaceAttachments"]
    assert (await door.post(path, json={})).status_code == 409
    assert (await door.delete(f"{path}/{card['port_id']}")).status_code == 409
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    await act(door, server.id, "lock")
    assert (await door.post(path, json={})).status_code == 409
    await act(door, server.id, "unlock")
    for body in ({"interfaceAttachment": {"net_id": 5}}, {"interfaceAttachment": {"port_id": "x", "net_id": "y"}}):
        assert (await door.post(path, json=body)).status_code == 400
    assert (await door.post(path, json={})).status_code == 200
    assert (await door.delete(f"{path}/{card['port_id']}")).status_code == 202
    assert len((await door.get(path)).json()["interfaceAttachments"]) == 1
