"""Disks, cards, tags and the rest of a server by the ECS API."""

from stillframe.networks.model import defaults_of
from stillframe.servers.model import VmState
from stillframe.volumes import creation
from tests.api.ecs_v1.wishes import BASE, code, job
from tests.servers.test_actions import a_server, root_volume
from tests.servers.world import OURS, Door, World, caller

TAGGED = f"/v1/{OURS}/servers"


async def test_a_volume_is_attached_and_detached_by_jobs(door: Door, world: World) -> None:
    server = await a_server(world)
    async with world.database.writing() as tx:
        new = creation.NewVolume(size_gib=1, name="d", volume_type="SSD")
        volume, _ = await creation.create_volume(tx, caller(), world.settings, new)
    await world.run_jobs()
    attach = {"volumeAttachment": {"volumeId": volume.id, "device": "/dev/sdb"}}
    rehearsed = await door.post(f"{BASE}/{server.id}/attachvolume", json=attach | {"dry_run": True})
    assert (rehearsed.status_code, rehearsed.content) == (202, b"")
    answer = await door.post(f"{BASE}/{server.id}/attachvolume", json=attach)
    assert answer.status_code == 200, answer.text
    for again in (attach, attach | {"dry_run": True}):
        assert code(await door.post(f"{BASE}/{server.id}/attachvolume", json=again)) == (400, "Ecs.0103")
    await world.run_jobs()
    shown = await job(door, answer.json()["job_id"])
    assert (shown["status"], shown["job_type"]) == ("SUCCESS", "attachVolume")
    assert shown["entities"] == {"server_id": server.id, "volume_id": volume.id}
    disks = (await door.get(f"{BASE}/{server.id}/block_device")).json()
    assert disks["attachableQuantity"]["free_disk"] == 22
    assert [(disk["bootIndex"], disk["size"], disk["device"]) for disk in disks["volumeAttachments"]] == [
        (0, 1, "/dev/vda"),
        (1, 1, "/dev/vdb"),
    ]
    path = f"{BASE}/{server.id}/block_device/{volume.id}"
    changed = await door.put(path, json={"block_device": {"delete_on_termination": True}})
    assert changed.json()["block_device"]["delete_on_termination"] is True
    assert (await door.get(path)).json()["volumeAttachment"]["bus"] == "virtio"
    attached = (await door.get(f"{BASE}/{server.id}/os-volume_attachments")).json()["volumeAttachments"]
    assert attached[1] == {"id": volume.id, "volumeId": volume.id, "serverId": server.id, "device": "/dev/vdb"}
    root = await root_volume(world, server.id)
    assert (await door.delete(f"{BASE}/{server.id}/detachvolume/{root.id}")).status_code == 400
    answer = await door.delete(f"{BASE}/{server.id}/detachvolume/{volume.id}?delete_flag=0")
    await world.run_jobs()
    assert (await job(door, answer.json()["job_id"]))["job_type"] == "detachVolume"
    assert code(await door.get(path)) == (404, "Ecs.0111")


async def test_cards_are_added_and_removed(door: Door, world: World) -> None:
    server = await a_server(world)
    wanted = {"subnet_id": defaults_of(OURS).network.id, "ip_address": "192.168.0.99", "security_groups": []}
    answer = await door.post(f"{BASE}/{server.id}/nics", json={"nics": [wanted]})
    assert answer.status_code == 200, answer.text
    shown = (await door.get(f"{BASE}/{server.id}/os-interface")).json()
    assert shown == (await door.get(f"{BASE}/{server.id}/nics")).json()
    assert shown["attachableQuantity"]["free_nic"] == 10
    card = shown["interfaceAttachments"][1]
    assert card["fixed_ips"][0]["ip_address"] == "192.168.0.99"
    done = await job(door, answer.json()["job_id"])
    assert (done["status"], done["entities"]["nic_id"]) == ("SUCCESS", card["port_id"])
    gone = await door.post(f"{BASE}/{server.id}/nics/delete", json={"nics": [{"id": card["port_id"]}]})
    assert (await job(door, gone.json()["job_id"]))["status"] == "SUCCESS"
    assert len((await door.get(f"{BASE}/{server.id}/nics")).json()["interfaceAttachments"]) == 1
    free = await door.get(f"{BASE}/{server.id}/os-interface_extension")
    assert free.json()["attachableQuantity"]["free_nic"] == 11


async def test_tags_are_pairs_on_the_table_of_novas(door: Door, world: World) -> None:
    server = await a_server(world)
    tags = f"{BASE}/{server.id}/tags"

    async def pairs() -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in (await door.get(tags)).json()["tags"]}

    created = {"action": "create", "tags": [{"key": "a", "value": "1"}, {"key": "b"}]}
    assert (await door.post(f"{tags}/action", json=created)).status_code == 204
    assert (await door.post(tags, json={"tags": [{"key": "a", "value": "2"}]})).status_code == 204
    assert await pairs() == {"a": "2", "b": ""}
    assert (await door.get(f"{TAGGED}/{server.id}/tags")).json() == (await door.get(tags)).json()
    unlike = {"action": "delete", "tags": [{"key": "a", "value": "other"}, {"key": "b"}]}
    assert (await door.post(f"{tags}/action", json=unlike)).status_code == 204
    assert await pairs() == {"a": "2"}
    assert (await door.put(tags, json={"tags": [{"key": "c", "value": "3"}]})).status_code == 204
    assert await pairs() == {"c": "3"}
    many = [{"key": str(number)} for number in range(10)]
    assert code(await door.post(tags, json={"tags": many})) == (400, "Ecs.0905")
    assert await pairs() == {"c": "3"}


async def test_servers_are_found_by_their_tags(door: Door, world: World) -> None:
    for name, tags in {"one": {"a": "1", "b": ""}, "two": {"a": "2"}, "three": {}}.items():
        server = await a_server(world, name=name)
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        await door.put(f"{BASE}/{server.id}/tags", json={"tags": pairs})
    of_project = (await door.get(f"{BASE}/tags")).json()["tags"]
    assert of_project == [{"key": "a", "values": ["1", "2"]}, {"key": "b", "values": [""]}]

    async def found(**body: object) -> set[str]:
        answer = await door.post(f"{TAGGED}/resource_instances/action", json={"action": "filter", **body})
        assert answer.json()["total_count"] == len(answer.json()["resources"]), answer.text
        return {resource["resource_name"] for resource in answer.json()["resources"]}

    assert await found(tags=[{"key": "a"}]) == {"one", "two"}
    assert await found(tags=[{"key": "a", "values": ["1", "3"]}]) == {"one"}
    assert await found(tags_any=[{"key": "b", "values": []}, {"key": "a", "values": ["2"]}]) == {"one", "two"}
    assert await found(not_tags=[{"key": "a"}]) == {"three"}
    assert await found(matches=[{"key": "resource_name", "value": "tw"}]) == {"two"}
    counted = await door.post(f"{BASE}/resource_instances/action", json={"action": "count", "tags": [{"key": "a"}]})
    assert counted.json() == {"total_count": 2}


async def test_metadata_recovery_consoles_flavors_and_limits(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    merged = await door.post(f"{BASE}/{server.id}/metadata", json={"metadata": {"a": "b"}})
    assert merged.json() == {"metadata": {"a": "b"}}
    assert (await door.delete(f"{BASE}/{server.id}/metadata/a")).status_code == 204
    assert (await door.delete(f"{BASE}/{server.id}/metadata/a")).status_code == 400
    recovery = f"{BASE}/{server.id}/autorecovery"
    assert (await door.get(recovery)).json() == {"support_auto_recovery": "false"}
    assert (await door.put(recovery, json={"support_auto_recovery": "false"})).status_code == 204
    assert code(await door.put(recovery, json={"support_auto_recovery": "true"})) == (400, "Ecs.0036")
    assert (await door.get(f"{BASE}/{server.id}/os-server-password")).json() == {"password": ""}
    wanted = {"remote_console": {"protocol": "serial", "type": "serial"}}
    console = (await door.post(f"{BASE}/{server.id}/remote_console", json=wanted)).json()["remote_console"]
    assert (console["protocol"], console["type"], console["url"][:5]) == ("serial", "serial", "ws://")
    wanted["remote_console"]["type"] = "novnc"
    assert code(await door.post(f"{BASE}/{server.id}/remote_console", json=wanted)) == (400, "Ecs.0005")
    flavors = (await door.get(f"{BASE}/flavors")).json()["flavors"]
    tiny = next(flavor for flavor in flavors if flavor["id"] == "s3.tiny")
    assert (tiny["vcpus"], tiny["ram"], tiny["disk"]) == ("1", 256, "0")
    assert tiny["os_extra_specs"]["cond:operation:status"] == "normal"
    assert (await door.get(f"{BASE}/flavors?availability_zone=mars")).json() == {"flavors": []}
    limits = (await door.get(f"{BASE}/limits")).json()["absolute"]
    assert (limits["totalInstancesUsed"], limits["totalRAMUsed"]) == (1, 256)
