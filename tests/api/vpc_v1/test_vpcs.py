"""VPC's door: the same rows as Neutron's, under other names."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stillframe.api import network_v2, vpc_v1
from stillframe.networks.model import defaults_of
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, open_world, private_database

V1, TAGS = f"/v1/{OURS}", f"/v2.0/{OURS}"
NOBODY = "6f0c4d3a-0000-4000-8000-000000000000"


class _Both:
    """The two doors of one listener."""

    handlers = [*network_v2.handlers, *vpc_v1.handlers]
    exception_handlers = network_v2.exception_handlers


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("vpcs")
    async with private_database(directory) as database, open_world(database, directory) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(_Both) as client:
        yield client


async def make_vpc(door: Door, name: str, cidr: str = "10.0.0.0/16") -> dict[str, Any]:
    answer = await door.post(f"{V1}/vpcs", json={"vpc": {"name": name, "cidr": cidr}})
    assert answer.status_code == 200, answer.text
    return answer.json()["vpc"]


async def make_subnet(door: Door, vpc: dict[str, Any], **fields: Any) -> httpx.Response:
    wanted = {"name": "s", "cidr": "10.0.1.0/24", "gateway_ip": "10.0.1.1", "vpc_id": vpc["id"], **fields}
    return await door.post(f"{V1}/subnets", json={"subnet": wanted})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["message"]


async def test_the_default_vpc_is_the_default_router(door: Door) -> None:
    born = defaults_of(OURS)
    default = next(vpc for vpc in (await door.get(f"{V1}/vpcs")).json()["vpcs"] if vpc["name"] == "default")
    assert (default["id"], default["cidr"], default["status"]) == (born.router.id, "192.168.0.0/16", "OK")
    (subnet,) = (await door.get(f"{V1}/subnets?vpc_id={default['id']}")).json()["subnets"]
    assert (subnet["id"], subnet["neutron_network_id"]) == (born.network.id, born.network.id)
    assert (subnet["neutron_subnet_id"], subnet["status"]) == (born.subnet.id, "ACTIVE")
    groups = (await door.get(f"{V1}/security-groups")).json()["security_groups"]
    assert "default" in [group["name"] for group in groups]


async def test_a_vpc_and_its_subnet_live_and_end_in_both_apis(door: Door) -> None:
    vpc = await make_vpc(door, "life")
    made = await make_subnet(door, vpc, primary_dns="9.9.9.9", secondary_dns="1.1.1.1", dnsList=["9.9.9.9", "1.1.1.1"])
    subnet = made.json()["subnet"]
    assert (subnet["dnsList"], subnet["secondary_dns"]) == (["9.9.9.9", "1.1.1.1"], "1.1.1.1")
    router = (await door.get(f"/v2.0/routers/{vpc['id']}")).json()["router"]
    network = (await door.get(f"/v2.0/networks/{subnet['id']}")).json()["network"]
    assert (router["name"], network["name"], network["subnets"]) == ("life", "s", [subnet["neutron_subnet_id"]])
    path = f"{V1}/vpcs/{vpc['id']}/subnets/{subnet['id']}"
    changed = await door.put(path, json={"subnet": {"name": "renamed", "dhcp_enable": False, "dnsList": ["8.8.8.8"]}})
    assert changed.status_code == 200
    shown = (await door.get(f"{V1}/subnets/{subnet['id']}")).json()["subnet"]
    assert (shown["name"], shown["dhcp_enable"], shown["primary_dns"], shown["secondary_dns"]) == (
        *("renamed", False, "8.8.8.8"),
        "",
    )
    details = (await door.get(f"/v3/{OURS}/vpc/vpcs/{vpc['id']}")).json()["vpc"]
    assert (details["extend_cidrs"], details["status"]) == ([], "ACTIVE")
    refused(await door.delete(f"{V1}/vpcs/{vpc['id']}"), 409, "VPC.0104")
    port = (await door.post("/v2.0/ports", json={"port": {"network_id": subnet["id"]}})).json()["port"]
    refused(await door.delete(path), 409, "VPC.0208")
    assert (await door.delete(f"/v2.0/ports/{port['id']}")).status_code == 204
    assert (await door.delete(path)).status_code == 204
    refused(await door.get(f"{V1}/subnets/{subnet['id']}"), 404, "VPC.0202")
    assert (await door.delete(f"{V1}/vpcs/{vpc['id']}")).status_code == 204
    refused(await door.get(f"{V1}/vpcs/{vpc['id']}"), 404, "VPC.0101")
    assert (await door.get(f"/v2.0/networks/{subnet['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.1"}, 400, "VPC.0203"),
        ({"cidr": "10.0.9.0/29", "gateway_ip": "10.0.9.1"}, 400, "VPC.0201"),
        ({"cidr": "10.0.0.128/25", "gateway_ip": "10.0.0.129"}, 400, "VPC.0204"),
        ({"gateway_ip": "10.0.2.1"}, 400, "VPC.0201"),
        ({"gateway_ip": ""}, 400, "VPC.0201"),
        ({"name": ""}, 400, "VPC.0201"),
        ({"name": "a b"}, 400, "VPC.0201"),
        ({"description": "<b>"}, 400, "VPC.0201"),
        ({"primary_dns": "dns"}, 400, "VPC.0201"),
        ({"vpc_id": NOBODY}, 404, "VPC.0202"),
        ({"vpc_id": 5}, 400, "VPC.0201"),
        ({"ipv6_enable": True}, 501, "VPC.0011"),
    ],
    ids=str,
)
async def test_a_subnet_that_cannot_be_is_refused(door: Door, fields: dict[str, Any], status: int, code: str) -> None:
    found = (await door.get(f"{V1}/vpcs")).json()["vpcs"]
    vpc = next((one for one in found if one["name"] == "strict"), None)
    if vpc is None:
        vpc = await make_vpc(door, "strict")
        assert (await make_subnet(door, vpc, cidr="10.0.0.0/24", gateway_ip="10.0.0.1")).status_code == 200
    refused(await make_subnet(door, vpc, **fields), status, code)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "a/b"}, "VPC.0101"),
        ({"name": "x" * 65}, "VPC.0101"),
        ({"name": "ok", "cidr": "11.0.0.0/16"}, "VPC.0101"),
        ({"name": "ok", "cidr": "10.0.0.0/29"}, "VPC.0101"),
        ({"name": "ok", "cidr": "nonsense"}, "VPC.0101"),
        ({"name": "default"}, "VPC.0115"),
        ({"name": 5}, "VPC.0101"),
    ],
    ids=str,
)
async def test_a_vpc_that_cannot_be_is_refused(door: Door, fields: dict[str, Any], code: str) -> None:
    refused(await door.post(f"{V1}/vpcs", json={"vpc": fields}), 400, code)


async def test_a_vpc_keeps_room_for_its_subnets(door: Door) -> None:
    vpc = await make_vpc(door, "room")
    assert (await make_subnet(door, vpc)).status_code == 200
    path = f"{V1}/vpcs/{vpc['id']}"
    refused(await door.put(path, json={"vpc": {"cidr": "10.0.2.0/24"}}), 400, "VPC.0117")
    changed = await door.put(path, json={"vpc": {"cidr": "10.0.0.0/20", "name": "", "description": "d"}})
    assert (changed.json()["vpc"]["cidr"], changed.json()["vpc"]["description"]) == ("10.0.0.0/20", "d")


async def test_what_is_another_project_s_is_not_there(door: Door) -> None:
    vpc = await make_vpc(door, "mine")
    refused(await door.get(f"/v1/{THEIRS}/vpcs"), 400, "VPC.0007")
    door.speak_as(THEIRS)
    refused(await door.get(f"/v1/{THEIRS}/vpcs/{vpc['id']}"), 404, "VPC.0101")
    refused(await door.delete(f"/v1/{THEIRS}/vpcs/{vpc['id']}"), 404, "VPC.0101")
    assert vpc["id"] not in [one["id"] for one in (await door.get(f"/v1/{THEIRS}/vpcs")).json()["vpcs"]]
    door.speak_as(OURS, "readonly")
    refused(await door.delete(f"{V1}/vpcs/{vpc['id']}"), 403, "VPC.0010")


async def test_a_subnet_with_a_server_stays(door: Door, world: World) -> None:
    born = defaults_of(OURS)
    await a_server(world)
    path = f"{V1}/vpcs/{born.router.id}/subnets/{born.network.id}"
    refused(await door.delete(path), 409, "VPC.0208")
    refused(await door.delete(f"{V1}/vpcs/{NOBODY}/subnets/{born.network.id}"), 400, "VPC.0201")


async def test_security_groups_are_neutron_s(door: Door) -> None:
    made = (await door.post(f"{V1}/security-groups", json={"security_group": {"name": "web"}})).json()
    group = made["security_group"]
    assert [rule["direction"] for rule in group["security_group_rules"]] == ["egress", "egress"]
    assert (await door.get(f"/v2.0/security-groups/{group['id']}")).status_code == 200
    assert (await door.delete(f"{V1}/security-groups/{group['id']}")).status_code == 204
    refused(await door.get(f"{V1}/security-groups/{group['id']}"), 404, "VPC.0603")


async def test_elastic_addresses_are_bound_and_released(door: Door) -> None:
    wanted = {"publicip": {"type": "5_bgp", "alias": "eip"}, "bandwidth": {"name": "b", "size": 5, "share_type": "PER"}}
    made = (await door.post(f"{V1}/publicips", json=wanted)).json()["publicip"]
    assert (made["status"], made["alias"], made["bandwidth_size"]) == ("DOWN", "eip", 5)
    path = f"{V1}/publicips/{made['id']}"
    port = {"network_id": defaults_of(OURS).network.id}
    port_id = (await door.post("/v2.0/ports", json={"port": port})).json()["port"]["id"]
    bound = (await door.put(path, json={"publicip": {"port_id": port_id}})).json()["publicip"]
    assert (bound["status"], bound["port_id"]) == ("ACTIVE", port_id)
    assert (await door.get(f"/v2.0/floatingips/{made['id']}")).json()["floatingip"]["port_id"] == port_id
    refused(await door.delete(path), 409, "VPC.0517")
    bandwidth = f"{V1}/bandwidths/{made['bandwidth_id']}"
    changed = (await door.put(bandwidth, json={"bandwidth": {"size": 10}})).json()["bandwidth"]
    assert (changed["name"], changed["size"], changed["publicip_info"][0]["publicip_id"]) == ("b", 10, made["id"])
    assert (await door.get(bandwidth)).json()["bandwidth"]["size"] == 10
    unbound = (await door.put(path, json={"publicip": {}})).json()["publicip"]
    assert (unbound["status"], "port_id" in unbound) == ("DOWN", False)
    assert [one["id"] for one in (await door.get(f"{V1}/publicips?id={made['id']}")).json()["publicips"]] == [
        made["id"]
    ]
    assert (await door.delete(path)).status_code == 204
    refused(await door.get(path), 404, "VPC.0504")
    refused(await door.get(bandwidth), 404, "VPC.0306")
    shared = {**wanted, "bandwidth": {"size": 5, "share_type": "WHOLE", "id": NOBODY}}
    refused(await door.post(f"{V1}/publicips", json=shared), 501, "VPC.0011")
    refused(await door.post(f"{V1}/publicips", json={"publicip": {"type": "5_bgp"}}), 400, "VPC.0501")


async def test_tags_have_keys_and_values(door: Door) -> None:
    vpc = await make_vpc(door, "tagged")
    path = f"{TAGS}/vpcs/{vpc['id']}/tags"
    tags = [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]
    assert (await door.post(f"{path}/action", json={"action": "create", "tags": tags})).status_code == 204
    assert (await door.post(path, json={"tag": {"key": "a", "value": "2"}})).status_code == 204
    shown = (await door.get(path)).json()["tags"]
    assert sorted(shown, key=lambda tag: tag["key"]) == [{"key": "a", "value": "2"}, {"key": "b", "value": ""}]
    assert (await door.post(f"{path}/action", json={"action": "delete", "tags": [{"key": "b"}]})).status_code == 204
    assert (await door.delete(f"{path}/a")).status_code == 204
    assert (await door.get(path)).json() == {"tags": []}
    refused(await door.delete(f"{path}/a"), 404, "VPC.0101")
    refused(await door.post(f"{path}/action", json={"action": "burn", "tags": tags}), 400, "VPC.0101")


async def test_lists_have_pages(door: Door) -> None:
    for number in range(2):
        await make_vpc(door, f"page-{number}")
    everything = [vpc["id"] for vpc in (await door.get(f"{V1}/vpcs")).json()["vpcs"]]
    first = (await door.get(f"{V1}/vpcs?limit=1")).json()["vpcs"]
    rest = (await door.get(f"{V1}/vpcs?marker={first[0]['id']}")).json()["vpcs"]
    assert [vpc["id"] for vpc in first + rest] == everything
    refused(await door.get(f"{V1}/vpcs?limit=x"), 400, "VPC.0101")
    refused(await door.get(f"{V1}/vpcs?marker=x"), 400, "VPC.0101")


async def test_quotas_are_told_by_vpc_s_names(door: Door) -> None:
    async def used(kind: str) -> tuple[int, int]:
        (one,) = (await door.get(f"{V1}/quotas?type={kind}")).json()["quotas"]["resources"]
        return one["used"], one["quota"]

    vpcs, most = await used("vpc")
    await make_vpc(door, "counted")
    assert await used("vpc") == (vpcs + 1, most)
    assert (await used("publicIp"))[1] == 20
    assert {"subnet", "vpcPeer"} < {
        one["type"] for one in (await door.get(f"{V1}/quotas")).json()["quotas"]["resources"]
    }
    assert (await door.get(f"/v1/{THEIRS}/quotas")).status_code == 400
