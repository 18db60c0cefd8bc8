"""The addresses of servers, their groups, and what has been done to them, through Nova's door."""

from stillframe.kit.ids import new_uuid
from stillframe.networks import floating_ips
from stillframe.networks.model import FloatingIp
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, caller

BASE = f"/v2.1/{OURS}"


async def test_addresses_and_groups_are_told_in_the_ways_of_older_clients(door: Door, world: World) -> None:
    server = await a_server(world)
    url = f"{BASE}/servers/{server.id}"
    (address,) = (await door.get(f"{url}/ips")).json()["addresses"]["default"]
    assert (address["version"], set(address)) == (4, {"version", "addr"})
    assert (await door.get(f"{url}/ips/default")).json() == {"default": [address]}
    assert (await door.get(f"{url}/ips/nowhere")).status_code == 404
    (group,) = (await door.get(f"{url}/os-security-groups")).json()["security_groups"]
    assert (group["name"], group["tenant_id"]) == ("default", OURS)
    rule = next(one for one in group["rules"] if one["group"])
    assert (rule["group"]["name"], rule["ip_range"], rule["parent_group_id"]) == ("default", {}, group["id"])
    (network,) = (await door.get(f"{BASE}/os-tenant-networks")).json()["networks"]
    assert (network["label"], network["cidr"]) == ("default", "None")
    assert (await door.get(f"{BASE}/os-tenant-networks/{network['id']}")).json() == {"network": network}
    assert (await door.delete(f"{url}/os-server-password")).status_code == 204
    door.speak_as(THEIRS)
    for path in ("ips", "os-security-groups", "os-instance-actions"):
        assert (await door.get(f"/v2.1/{THEIRS}/servers/{server.id}/{path}")).status_code == 404
    assert (await door.get(f"/v2.1/{THEIRS}/os-tenant-networks/{network['id']}")).status_code == 404


async def test_floating_addresses_are_led_to_a_server_and_away_from_it(door: Door, world: World) -> None:
    one, other = await a_server(world), await a_server(world)
    async with world.database.writing() as tx:
        blank = FloatingIp(id="", project_id="", address="")
        floating = await floating_ips.create_floating_ip(tx, caller(), world.settings, blank)

    async def act(server_id: str, **action: object) -> int:
        return (await door.post(f"{BASE}/servers/{server_id}/action", json=action)).status_code

    async def addresses(server_id: str) -> list[str]:
        shown = (await door.get(f"{BASE}/servers/{server_id}")).json()["server"]["addresses"]["default"]
        return [entry["addr"] for entry in shown]

    (fixed,) = await addresses(one.id)
    assert await act(one.id, addFloatingIp={"address": floating.address, "fixed_address": "192.168.0.77"}) == 400
    assert await act(one.id, addFloatingIp={"address": "127.77.255.1"}) == 404
    assert await act(new_uuid(), addFloatingIp={"address": floating.address}) == 404
    assert await act(one.id, addFloatingIp={"address": floating.address, "fixed_address": fixed}) == 202
    assert await addresses(one.id) == [fixed, floating.address]
    assert await act(other.id, removeFloatingIp={"address": floating.address}) == 409
    assert await act(other.id, addFloatingIp={"address": floating.address}) == 202
    assert (await addresses(one.id), floating.address in await addresses(other.id)) == ([fixed], True)
    assert await act(other.id, removeFloatingIp={"address": floating.address}) == 202
    assert floating.address not in await addresses(other.id)
    door.speak_as(OURS, "reader")
    assert await act(one.id, addFloatingIp={"address": floating.address}) == 403


async def test_what_was_done_to_a_server_is_told(door: Door, world: World) -> None:
    server = await a_server(world)
    url = f"{BASE}/servers/{server.id}"
    assert (await door.post(f"{url}/action", json={"os-start": None})).status_code == 202
    start, create = (await door.get(f"{url}/os-instance-actions")).json()["instanceActions"]
    assert [start["action"], create["action"]] == ["start", "create"]
    assert (create["instance_uuid"], create["project_id"], create["message"]) == (server.id, OURS, None)
    shown = (await door.get(f"{url}/os-instance-actions/{create['request_id']}")).json()["instanceAction"]
    assert {**shown, "events": []} == {**create, "events": []}
    (event,) = shown["events"]
    assert (event["event"], event["result"]) == ("server_create", "Success")
    going_on = await door.get(f"{url}/os-instance-actions/{start['request_id']}")
    assert going_on.json()["instanceAction"]["events"][0]["finish_time"] is None
    assert (await door.get(f"{url}/os-instance-actions/req-{new_uuid()}")).status_code == 404

    recent = {"OpenStack-API-Version": "compute 2.58"}
    page = (await door.get(f"{url}/os-instance-actions?limit=1", headers=recent)).json()
    assert [one["request_id"] for one in page["instanceActions"]] == [start["request_id"]]
    last = (await door.get(page["links"][0]["href"], headers=recent)).json()
    assert [one["request_id"] for one in last["instanceActions"]] == [create["request_id"]]
    assert "links" not in last
    assert (await door.get(f"{url}/os-instance-actions?marker=x", headers=recent)).status_code == 400


async def test_a_group_of_servers_that_is_asked_for_is_not_ignored(door: Door, world: World) -> None:
    wanted = {"name": "w", "flavorRef": "s3.tiny", "imageRef": world.image.id}
    for name in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"):
        answer = await door.post(f"{BASE}/servers", json={"server": wanted, name: {"group": new_uuid()}})
        assert (answer.status_code, "could not be found" in answer.text) == (400, True)
    fine = {"server": wanted, "os:scheduler_hints": {"same_host": [new_uuid()]}}
    assert (await door.post(f"{BASE}/servers", json=fine)).status_code == 202
