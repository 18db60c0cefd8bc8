"""Neutron's door: networks, subnets, ports, routers, security groups, and what surrounds them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stillframe.api import network_v2
from stillframe.networks.model import defaults_of, gateway_mac
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, open_world, private_database

NOBODY = "6f0c4d3a-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("networks")
    async with private_database(directory) as database, open_world(database, directory) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(network_v2) as client:
        yield client


async def make(door: Door, kind: str, **fields: Any) -> dict[str, Any]:
    """`make(door, "network", name="a")`: what was made."""
    plural = kind.replace("_", "-") + "s"
    answer = await door.post(f"/v2.0/{plural}", json={kind: fields})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


async def make_network(door: Door, cidr: str = "10.1.0.0/24", **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    network = await make(door, "network", name="net")
    return network, await make(door, "subnet", network_id=network["id"], cidr=cidr, ip_version=4, **fields)


def refused(answer: httpx.Response, status: int, text: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert text in answer.json()["NeutronError"]["message"]


async def test_a_project_is_born_with_a_network_that_reading_does_not_make(door: Door) -> None:
    nobody = "e" * 32
    door.speak_as(nobody)
    networks = (await door.get("/v2.0/networks?router:external=False")).json()["networks"]
    assert [network["name"] for network in networks] == ["default"]
    (subnet,) = (await door.get("/v2.0/subnets")).json()["subnets"]
    assert (networks[0]["subnets"], subnet["cidr"], subnet["enable_dhcp"]) == ([subnet["id"]], "192.168.0.0/24", True)
    (router,) = (await door.get("/v2.0/routers")).json()["routers"]
    (port,) = (await door.get("/v2.0/ports")).json()["ports"]
    assert (port["device_id"], port["device_owner"]) == (router["id"], "network:router_interface")
    (group,) = (await door.get("/v2.0/security-groups?name=default")).json()["security_groups"]
    assert sorted(rule["direction"] for rule in group["security_group_rules"]) == ["egress"] * 2 + ["ingress"] * 2
    assert len((await door.get("/v2.0/security-group-rules")).json()["security_group_rules"]) == 4
    for path, wanted in (("networks", networks[0]), ("subnets", subnet), ("routers", router), ("ports", port)):
        assert wanted in (await door.get(f"/v2.0/{path}/{wanted['id']}")).json().values()


async def test_another_project_sees_none_of_it(door: Door) -> None:
    network, subnet = await make_network(door)
    port = await make(door, "port", network_id=network["id"])
    group = await make(door, "security_group", name="web")
    router = await make(door, "router", name="r")
    door.speak_as(THEIRS)
    for path, thing in (
        *(("networks", network), ("subnets", subnet), ("ports", port), ("security-groups", group), ("routers", router)),
        ("security-group-rules", group["security_group_rules"][0]),
    ):
        assert (await door.get(f"/v2.0/{path}/{thing['id']}")).status_code == 404
        assert thing not in next(iter((await door.get(f"/v2.0/{path}")).json().values()))
        assert (await door.delete(f"/v2.0/{path}/{thing['id']}")).status_code == 404
        if path != "security-group-rules":
            body = {path[:-1].replace("-", "_"): {"name": "stolen"}}
            assert (await door.put(f"/v2.0/{path}/{thing['id']}", json=body)).status_code == 404
    refused(await door.post("/v2.0/ports", json={"port": {"network_id": network["id"]}}), 404)
    body = {"subnet": {"network_id": network["id"], "cidr": "10.9.0.0/24"}}
    refused(await door.post("/v2.0/subnets", json=body), 404)
    theirs = defaults_of(THEIRS)
    body = {"port": {"network_id": theirs.network.id, "security_groups": [group["id"]]}}
    refused(await door.post("/v2.0/ports", json=body), 404)
    rule = {"security_group_id": theirs.security_group.id, "direction": "ingress", "remote_group_id": group["id"]}
    refused(await door.post("/v2.0/security-group-rules", json={"security_group_rule": rule}), 404)
    path = f"/v2.0/routers/{theirs.router.id}/add_router_interface"
    refused(await door.put(path, json={"subnet_id": subnet["id"]}), 404)


async def test_readers_change_nothing(door: Door) -> None:
    door.speak_as(OURS, "readonly")
    for path in ("networks", "security-groups", "routers"):
        answer = await door.post(f"/v2.0/{path}", json={path[:-1].replace("-", "_"): {"name": "x"}})
        refused(answer, 403)


async def test_lists_are_filtered_sorted_and_paged(door: Door) -> None:
    names = [f"list-{number}" for number in range(3)]
    made = [await make(door, "network", name=name, admin_state_up=name != "list-1") for name in names]
    query = "&".join(f"name={name}" for name in names)

    async def found(more: str) -> list[str]:
        answer = await door.get(f"/v2.0/networks?{query}&{more}")
        return [network["name"] for network in answer.json()["networks"]]

    assert await found("sort_key=name&sort_dir=desc") == names[::-1]
    assert await found("admin_state_up=False") == ["list-1"]
    assert await found(f"id={made[2]['id']}") == ["list-2"]
    assert await found("shared=True") == []
    assert await found("unknown=1&sort_key=name") == names
    assert (await door.get("/v2.0/networks?name=list-0&fields=name&fields=mtu")).json()["networks"] == [
        {"name": "list-0", "mtu": 1500}
    ]
    seen, url = [], f"/v2.0/networks?{query}&sort_key=name&limit=2"
    while url:
        page = (await door.get(url)).json()
        seen += [network["name"] for network in page["networks"]]
        url = next((link["href"] for link in page.get("networks_links", ())), "")
    assert seen == names
    refused(await door.get("/v2.0/networks?marker=nope"), 400)
    refused(await door.get("/v2.0/networks?name=%ff"), 400)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"cidr": "10.0.0.0/33"}, 400),
        ({"cidr": "nonsense"}, 400),
        ({"cidr": "10.0.0.0/30"}, 400),
        ({"cidr": "127.0.0.0/24"}, 400),
        ({"cidr": "169.254.0.0/16"}, 400),
        ({"cidr": "fd00::/64", "ip_version": 6}, 501),
        ({"cidr": "fd00::/64"}, 400),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.1.1"}, 400),
        ({"cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, 400),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.3"}]}, 400),
        ({"cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.3"}]}, 400),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["dns.example"]}, 400),
        ({"cidr": "10.0.0.0/24", "dns_nameservers": ["1.1.1.1"] * 6}, 400),
        ({"cidr": "10.0.0.0/24", "host_routes": [{"destination": "x", "nexthop": "10.0.0.2"}]}, 400),
        ({"cidr": 5}, 400),
        ({}, 400),
        ({"cidr": "10.0.0.0/24", "subnetpool_id": NOBODY}, 501),
    ],
    ids=str,
)
async def test_a_subnet_that_cannot_be_is_refused(door: Door, fields: dict[str, Any], status: int) -> None:
    network = await make(door, "network", name="bare")
    refused(await door.post("/v2.0/subnets", json={"subnet": {"network_id": network["id"], **fields}}), status)
    assert (await door.delete(f"/v2.0/networks/{network['id']}")).status_code == 204


async def test_subnets_of_a_network_do_not_overlap_and_keep_what_they_were_given(door: Door) -> None:
    routes = [{"destination": "10.8.0.0/16", "nexthop": "10.7.0.9"}]
    network, subnet = await make_network(
        door, "10.7.0.77/24", gateway_ip=None, dns_nameservers=["9.9.9.9"], host_routes=routes, enable_dhcp=False
    )
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["host_routes"]) == ("10.7.0.0/24", None, routes)
    assert subnet["allocation_pools"] == [{"start": "10.7.0.1", "end": "10.7.0.254"}]
    body = {"subnet": {"network_id": network["id"], "cidr": "10.7.0.128/25"}}
    refused(await door.post("/v2.0/subnets", json=body), 400, "overlaps")
    path = f"/v2.0/subnets/{subnet['id']}"
    changed = await door.put(path, json={"subnet": {"name": "new", "dns_nameservers": [], "enable_dhcp": True}})
    assert changed.status_code == 200
    shown = (await door.get(path)).json()["subnet"]
    assert (shown["name"], shown["dns_nameservers"], shown["enable_dhcp"]) == ("new", [], True)
    assert (shown["gateway_ip"], shown["host_routes"]) == (None, routes)
    refused(await door.put(path, json={"subnet": {"gateway_ip": "10.7.0.1"}}), 400, "pool")


async def test_ports_get_addresses_that_nobody_has(door: Door) -> None:
    network, subnet = await make_network(door, "10.2.0.0/29")
    ports = [await make(door, "port", network_id=network["id"]) for _ in range(3)]
    addresses = [port["fixed_ips"][0]["ip_address"] for port in ports]
    assert addresses == ["10.2.0.2", "10.2.0.3", "10.2.0.4"]
    assert len({port["mac_address"] for port in ports}) == 3

    async def refuse(status: int, **fields: Any) -> None:
        refused(await door.post("/v2.0/ports", json={"port": {"network_id": network["id"], **fields}}), status)

    await refuse(409, fixed_ips=[{"ip_address": "10.2.0.3"}])
    await refuse(409, fixed_ips=[{"ip_address": "10.2.0.1"}])
    await refuse(400, fixed_ips=[{"ip_address": "10.2.0.7"}])
    await refuse(400, fixed_ips=[{"ip_address": "10.3.0.2"}])
    await refuse(400, fixed_ips=[{"subnet_id": NOBODY}])
    await refuse(409, mac_address=ports[0]["mac_address"])
    await refuse(409, mac_address=gateway_mac(network["id"]))
    await refuse(400, mac_address="01:00:5e:00:00:01")
    await refuse(403, device_owner="network:dhcp")
    await refuse(404, security_groups=[NOBODY])
    await refuse(501, extra_dhcp_opts=[{"opt_name": "bootfile-name", "opt_value": "x"}])
    for address in ("10.2.0.5", "10.2.0.6"):
        made = await make(door, "port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}])
        assert made["fixed_ips"][0]["ip_address"] == address
    await refuse(409)
    unaddressed = await make(door, "port", network_id=network["id"], fixed_ips=[])
    assert unaddressed["fixed_ips"] == []
    assert (await door.delete(f"/v2.0/ports/{ports[1]['id']}")).status_code == 204
    again = await make(door, "port", network_id=network["id"])
    assert again["fixed_ips"][0]["ip_address"] == "10.2.0.3"
    query = f"fixed_ips=ip_address%3D10.2.0.3&fixed_ips=subnet_id%3D{subnet['id']}"
    (found,) = (await door.get(f"/v2.0/ports?{query}")).json()["ports"]
    assert found["id"] == again["id"]
    refused(await door.delete(f"/v2.0/subnets/{subnet['id']}"), 409)
    in_use = await door.delete(f"/v2.0/networks/{network['id']}")
    refused(in_use, 409, "one or more ports still in use")
    assert in_use.json()["NeutronError"]["type"] == "NetworkInUse"
    for port in (await door.get(f"/v2.0/ports?network_id={network['id']}")).json()["ports"]:
        await door.delete(f"/v2.0/ports/{port['id']}")
    assert (await door.delete(f"/v2.0/networks/{network['id']}")).status_code == 204
    assert (await door.get(f"/v2.0/subnets/{subnet['id']}")).status_code == 404


async def test_a_port_keeps_what_a_change_does_not_name(door: Door) -> None:
    network, _ = await make_network(door, "10.4.0.0/24")
    group = await make(door, "security_group", name="a-group")
    port = await make(door, "port", network_id=network["id"], name="p", security_groups=[group["id"]])
    path = f"/v2.0/ports/{port['id']}"
    pair = {"ip_address": "10.4.0.100"}
    answer = await door.put(path, json={"port": {"allowed_address_pairs": [pair], "description": "d"}})
    assert answer.status_code == 200, answer.text
    shown = (await door.get(path)).json()["port"]
    assert shown["allowed_address_pairs"] == [{**pair, "mac_address": port["mac_address"]}]
    assert (shown["name"], shown["security_groups"], shown["fixed_ips"]) == ("p", [group["id"]], port["fixed_ips"])
    refused(await door.delete(f"/v2.0/security-groups/{group['id']}"), 409)
    refused(await door.put(path, json={"port": {"port_security_enabled": False}}), 409)
    moved = await door.put(path, json={"port": {"fixed_ips": [{"ip_address": "10.4.0.50"}], "security_groups": []}})
    assert [ip["ip_address"] for ip in moved.json()["port"]["fixed_ips"]] == ["10.4.0.50"]
    refused(await door.put(path, json={"port": {"allowed_address_pairs": [pair, pair]}}), 400)
    refused(await door.put(path, json={"port": {"allowed_address_pairs": [{"ip_address": "nope"}]}}), 400)
    other = await make(door, "port", network_id=network["id"])
    refused(await door.put(path, json={"port": {"mac_address": other["mac_address"]}}), 409, "is in use")
    assert (await door.put(path, json={"port": {"mac_address": port["mac_address"]}})).status_code == 200
    bare = {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}
    assert (await door.put(path, json={"port": bare})).json()["port"]["port_security_enabled"] is False
    assert (await door.delete(f"/v2.0/security-groups/{group['id']}")).status_code == 204


async def test_a_router_joins_subnets_and_lets_go_of_them(door: Door) -> None:
    network, subnet = await make_network(door, "10.5.0.0/24")
    router = await make(door, "router", name="r")
    path = f"/v2.0/routers/{router['id']}"
    added = await door.put(f"{path}/add_router_interface", json={"subnet_id": subnet["id"]})
    assert (added.status_code, added.json()["subnet_id"]) == (200, subnet["id"])
    port = (await door.get(f"/v2.0/ports/{added.json()['port_id']}")).json()["port"]
    assert (port["fixed_ips"][0]["ip_address"], port["device_id"]) == ("10.5.0.1", router["id"])
    refused(await door.put(f"{path}/add_router_interface", json={"subnet_id": subnet["id"]}), 400)
    refused(await door.put(f"{path}/add_router_interface", json={}), 400)
    refused(await door.delete(f"/v2.0/ports/{port['id']}"), 409)
    refused(await door.delete(path), 409)
    refused(await door.delete(f"/v2.0/subnets/{subnet['id']}"), 409)
    _, overlapping = await make_network(door, "10.5.0.0/25")
    refused(await door.put(f"{path}/add_router_interface", json={"subnet_id": overlapping["id"]}), 400, "overlaps")
    second, its_subnet = await make_network(door, "10.6.0.0/24")
    own = await make(door, "port", network_id=second["id"], fixed_ips=[{"ip_address": "10.6.0.20"}])
    by_port = await door.put(f"{path}/add_router_interface", json={"port_id": own["id"]})
    assert by_port.json()["subnet_id"] == its_subnet["id"]
    for body in ({"subnet_id": subnet["id"]}, {"port_id": own["id"]}):
        assert (await door.put(f"{path}/remove_router_interface", json=body)).status_code == 200
        refused(await door.put(f"{path}/remove_router_interface", json=body), 404)
    assert (await door.get(f"/v2.0/ports?device_id={router['id']}")).json()["ports"] == []
    assert (await door.delete(path)).status_code == 204
    assert (await door.delete(f"/v2.0/networks/{network['id']}")).status_code == 204


async def test_a_router_s_gateway_is_the_external_network(door: Door) -> None:
    (external,) = (await door.get("/v2.0/networks?router:external=True")).json()["networks"]
    assert external["id"] == "0a2228f2-7f8a-45f1-8e09-9039e1d09975"  # as OTC's own Terraform provider takes for granted
    wanted = {"network_id": external["id"], "enable_snat": False}
    router = await make(door, "router", name="out", external_gateway_info=wanted)
    gateway = router["external_gateway_info"]
    assert (gateway["network_id"], gateway["enable_snat"]) == (external["id"], False)
    path = f"/v2.0/routers/{router['id']}"
    renamed = await door.put(path, json={"router": {"name": "renamed"}})
    assert renamed.json()["router"]["external_gateway_info"] == gateway
    cleared = await door.put(path, json={"router": {"external_gateway_info": {}}})
    assert cleared.json()["router"]["external_gateway_info"] is None
    body = {"router": {"external_gateway_info": {"network_id": defaults_of(OURS).network.id}}}
    refused(await door.put(path, json=body), 400)
    refused(await door.delete(f"/v2.0/networks/{external['id']}"), 403)


async def test_extra_routes_lead_to_somebody_beside_the_router(door: Door) -> None:
    _, subnet = await make_network(door, "10.61.0.0/24")
    router = await make(door, "router", name="extra")
    path = f"/v2.0/routers/{router['id']}"
    one, two = ({"destination": f"10.9{number}.0.0/16", "nexthop": f"10.61.0.{number}"} for number in (2, 3))
    refused(await door.put(path, json={"router": {"routes": [one]}}), 400, "not connected")
    refused(await door.post("/v2.0/routers", json={"router": {"routes": [one]}}), 400)
    assert (await door.put(f"{path}/add_router_interface", json={"subnet_id": subnet["id"]})).status_code == 200
    replaced = await door.put(path, json={"router": {"routes": [{**one, "destination": "10.92.7.7/16"}]}})
    assert replaced.json()["router"]["routes"] == [one]
    assert (await door.put(path, json={"router": {"name": "renamed"}})).json()["router"]["routes"] == [one]

    async def change(how: str, *routes: dict[str, str]) -> httpx.Response:
        return await door.put(f"{path}/{how}_extraroutes", json={"router": {"routes": routes}})

    for _ in range(2):
        assert (await change("add", one, two)).json()["router"]["routes"] == [one, two]
    refused(await change("add", {**one, "nexthop": "10.61.0.9"}), 400, "one nexthop")
    refused(await change("add", {"destination": "10.1.0.0/16", "nexthop": "10.61.0.1"}), 400, "used by router")
    refused(await change("add", {"destination": "all", "nexthop": "10.61.0.9"}), 400)
    many = [{"destination": f"10.99.{number}.0/24", "nexthop": "10.61.0.9"} for number in range(30)]
    refused(await change("add", *many), 400, "maximum 30")
    refused(await door.put(f"{path}/remove_router_interface", json={"subnet_id": subnet["id"]}), 409, "routes")
    for _ in range(2):
        assert (await change("remove", one)).json()["router"]["routes"] == [two]
    assert (await door.put(path, json={"router": {"routes": None}})).json()["router"]["routes"] == []
    assert (await door.put(f"{path}/remove_router_interface", json={"subnet_id": subnet["id"]})).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"protocol": "tcp", "port_range_min": 80}, 400),
        ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, 400),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 65536}, 400),
        ({"port_range_min": 80, "port_range_max": 80}, 400),
        ({"protocol": "gre", "port_range_min": 80, "port_range_max": 80}, 400),
        ({"protocol": "icmp", "port_range_min": 300}, 400),
        ({"protocol": "nonsense"}, 400),
        ({"protocol": 256}, 400),
        ({"direction": "sideways"}, 400),
        ({"ethertype": "IPX"}, 400),
        ({"remote_ip_prefix": "10.0.0.0/40"}, 400),
        ({"remote_ip_prefix": "fd00::/8"}, 400),
        ({"remote_group_id": NOBODY}, 404),
        ({"remote_address_group_id": NOBODY}, 404),
        ({"security_group_id": NOBODY}, 404),
    ],
    ids=str,
)
async def test_a_rule_that_cannot_be_is_refused(door: Door, fields: dict[str, Any], status: int) -> None:
    rule = {"security_group_id": defaults_of(OURS).security_group.id, "direction": "ingress", **fields}
    refused(await door.post("/v2.0/security-group-rules", json={"security_group_rule": rule}), status)


async def test_rules_are_kept_as_neutron_spells_them(door: Door) -> None:
    group = await make(door, "security_group", name="rules")
    assert [rule["direction"] for rule in group["security_group_rules"]] == ["egress", "egress"]
    about = {"security_group_id": group["id"], "direction": "ingress"}
    ssh = await make(
        *(door, "security_group_rule"),
        **about,
        protocol="TCP",
        port_range_min="22",
        port_range_max=22,
        remote_ip_prefix="10.0.0.7/8",
    )
    assert (ssh["protocol"], ssh["port_range_min"], ssh["remote_ip_prefix"]) == ("tcp", 22, "10.0.0.0/8")
    same = {**about, "protocol": 6, "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "10.0.0.0/8"}
    refused(await door.post("/v2.0/security-group-rules", json={"security_group_rule": same}), 409, ssh["id"])
    bulk = [{**about, "protocol": "icmp"}, {**about, "ethertype": "IPv6", "remote_ip_prefix": "::/0"}]
    answer = await door.post("/v2.0/security-group-rules", json={"security_group_rules": bulk})
    assert [rule["ethertype"] for rule in answer.json()["security_group_rules"]] == ["IPv4", "IPv6"]
    shown = (await door.get(f"/v2.0/security-groups/{group['id']}")).json()["security_group"]
    assert len(shown["security_group_rules"]) == 5
    assert (await door.delete(f"/v2.0/security-group-rules/{ssh['id']}")).status_code == 204
    assert (await door.delete(f"/v2.0/security-group-rules/{ssh['id']}")).status_code == 404
    assert (await door.delete(f"/v2.0/security-groups/{group['id']}")).status_code == 204
    (default,) = (await door.get("/v2.0/security-groups?name=default")).json()["security_groups"]
    refused(await door.delete(f"/v2.0/security-groups/{default['id']}"), 409)
    refused(await door.post("/v2.0/security-groups", json={"security_group": {"name": "default"}}), 409)
    body = {"security_group": {"stateful": False, "name": "loose"}}
    refused(await door.post("/v2.0/security-groups", json=body), 501)


async def test_rules_refer_to_groups_of_addresses(door: Door) -> None:
    addresses = ["10.0.0.7", "10.8.0.9/16", "fd00::/64"]
    group = await make(door, "address_group", name="offices", addresses=addresses)
    assert group["addresses"] == ["10.0.0.7/32", "10.8.0.0/16", "fd00::/64"]
    path = f"/v2.0/address-groups/{group['id']}"

    async def change(how: str, *changed: str) -> httpx.Response:
        return await door.put(f"{path}/{how}_addresses", json={"addresses": changed})

    assert (await change("add", "10.0.0.8")).json()["address_group"]["addresses"][-1] == "10.0.0.8/32"
    refused(await change("add", "10.0.0.8/32"), 400, "already exist")
    refused(await change("add", "everyone"), 400)
    refused(await change("add"), 400)
    refused(await change("add", *(f"10.9.{number}.0/24" for number in range(255)), *("1.1.1.1",) * 250), 400, "500")
    refused(await change("remove", "10.0.0.9"), 404, "not found in the address group")
    assert (await change("remove", "10.0.0.8", "fd00::/64")).json()["address_group"]["addresses"] == [
        *("10.0.0.7/32", "10.8.0.0/16")
    ]
    refused(await door.put(path, json={"address_group": {"addresses": []}}), 400)
    renamed = await door.put(path, json={"address_group": {"name": "new"}})
    assert renamed.json()["address_group"]["name"] == "new"
    about = {"security_group_id": defaults_of(OURS).security_group.id, "direction": "ingress"}
    rule = await make(door, "security_group_rule", **about, remote_address_group_id=group["id"])
    assert rule["remote_address_group_id"] == group["id"]
    wrong = {**about, "remote_address_group_id": group["id"], "remote_ip_prefix": "10.0.0.0/8"}
    refused(await door.post("/v2.0/security-group-rules", json={"security_group_rule": wrong}), 400)
    in_use = await door.delete(path)
    refused(in_use, 409, "in use")
    assert in_use.json()["NeutronError"]["type"] == "AddressGroupInUse"
    door.speak_as(THEIRS)
    refused(await door.get(path), 404)
    of_theirs = {**about, "security_group_id": defaults_of(THEIRS).security_group.id}
    theirs = {**of_theirs, "remote_address_group_id": group["id"]}
    refused(await door.post("/v2.0/security-group-rules", json={"security_group_rule": theirs}), 404)
    door.speak_as(OURS)
    assert (await door.delete(f"/v2.0/security-group-rules/{rule['id']}")).status_code == 204
    assert (await door.delete(path)).status_code == 204
    gone = await door.get(path)
    assert (gone.status_code, gone.json()["NeutronError"]["type"]) == (404, "AddressGroupNotFound")


async def test_every_server_has_a_port_that_goes_with_it(door: Door, world: World) -> None:
    server = await a_server(world)
    (port,) = (await door.get(f"/v2.0/ports?device_id={server.id}")).json()["ports"]
    assert (port["device_owner"], port["status"]) == ("compute:eu-de-01", "ACTIVE")
    assert port["security_groups"] == [defaults_of(OURS).security_group.id]
    refused(await door.put(f"/v2.0/ports/{port['id']}", json={"port": {"device_id": "other"}}), 409)
    door.speak_as(THEIRS)
    assert (await door.get(f"/v2.0/ports?device_id={server.id}")).json()["ports"] == []


async def test_floating_addresses_lead_to_ports_behind_a_gateway(door: Door) -> None:
    (external,) = (await door.get("/v2.0/networks?router:external=True")).json()["networks"]
    about = {"floating_network_id": external["id"]}
    floating = await make(door, "floatingip", **about, description="d")
    assert (floating["status"], floating["port_id"], floating["description"]) == ("DOWN", None, "d")
    assert floating["floating_ip_address"].startswith("127.77.")
    path = f"/v2.0/floatingips/{floating['id']}"
    port = await make(door, "port", network_id=defaults_of(OURS).network.id)
    bound = (await door.put(path, json={"floatingip": {"port_id": port["id"]}})).json()["floatingip"]
    assert (bound["status"], bound["fixed_ip_address"]) == ("ACTIVE", port["fixed_ips"][0]["ip_address"])
    assert bound["router_id"] == defaults_of(OURS).router.id
    again = {"floatingip": {**about, "port_id": port["id"]}}
    refused(await door.post("/v2.0/floatingips", json=again), 409)
    body = {"router": {"external_gateway_info": {}}}
    refused(await door.put(f"/v2.0/routers/{defaults_of(OURS).router.id}", json=body), 409)
    network, _ = await make_network(door, "10.33.0.0/24")
    stray = await make(door, "port", network_id=network["id"])
    refused(await door.post("/v2.0/floatingips", json={"floatingip": {**about, "port_id": stray["id"]}}), 404)
    taken = {**about, "floating_ip_address": floating["floating_ip_address"]}
    refused(await door.post("/v2.0/floatingips", json={"floatingip": taken}), 409)
    refused(await door.post("/v2.0/floatingips", json={"floatingip": {**about, "floating_ip_address": "1.2.3.4"}}), 400)
    refused(await door.post("/v2.0/floatingips", json={"floatingip": {"floating_network_id": network["id"]}}), 400)
    refused(await door.post("/v2.0/floatingips", json={"floatingip": {}}), 400)
    assert (await door.delete(f"/v2.0/ports/{port['id']}")).status_code == 204
    freed = (await door.get(path)).json()["floatingip"]
    assert (freed["status"], freed["port_id"], freed["router_id"]) == ("DOWN", None, None)
    found = await door.get(f"/v2.0/floatingips?floating_ip_address={floating['floating_ip_address']}")
    assert [one["id"] for one in found.json()["floatingips"]] == [floating["id"]]
    door.speak_as(THEIRS)
    assert (await door.get(path)).status_code == 404
    door.speak_as(OURS)
    assert (await door.delete(path)).status_code == 204


async def test_quotas_are_counted(door: Door) -> None:
    door.speak_as(THEIRS)
    for number in range(18):
        await make(door, "router", name=f"r{number}")
    (await make(door, "router", name="last"))
    refused(await door.post("/v2.0/routers", json={"router": {"name": "one more"}}), 409, "Quota exceeded")
    details = (await door.get(f"/v2.0/quotas/{THEIRS}/details.json")).json()["quota"]
    assert details["router"] == {"limit": 20, "used": 20, "reserved": 0}
    assert (await door.get(f"/v2.0/quotas/{THEIRS}")).json()["quota"]["router"] == 20
    assert (await door.get(f"/v2.0/quotas/{OURS}")).status_code == 404


async def test_administrators_set_quotas_and_reset_them(door: Door) -> None:
    path, body = f"/v2.0/quotas/{OURS}", {"quota": {"network": 1, "subnet": -1, "tenant_id": OURS}}
    refused(await door.put(path, json=body), 403)
    refused(await door.delete(path), 403)
    await make(door, "network", name="a second one")
    door.speak_as(OURS, "admin")
    refused(await door.delete(path), 404)
    defaults = (await door.get(f"{path}/default")).json()["quota"]
    refused(await door.put(path, json={"quota": {**body["quota"], "check_limit": True}}), 409, "in use")
    changed = (await door.put(path, json=body)).json()["quota"]
    assert changed == {**defaults, "network": 1, "subnet": -1}
    assert (await door.put(path, json={"quota": {"port": "7"}})).json()["quota"] == {**changed, "port": 7}
    for wrong in ({"network": -2}, {"network": "many"}, {"network": True}, {"network": 2**40}, {"nonsense": 1}, {}):
        refused(await door.put(path, json={"quota": wrong}), 400)
    (listed,) = (await door.get("/v2.0/quotas")).json()["quotas"]
    assert (listed["project_id"], listed["port"]) == (OURS, 7)
    refused(await door.post("/v2.0/networks", json={"network": {"name": "x"}}), 409, "Quota exceeded")
    door.speak_as(THEIRS)
    assert (await door.get("/v2.0/quotas")).json()["quotas"] == []
    door.speak_as(OURS, "admin")
    assert (await door.delete(path)).status_code == 204
    assert (await door.get(path)).json()["quota"] == defaults
    for nobody in (NOBODY, "%00"):
        refused(await door.put(f"/v2.0/quotas/{nobody}", json=body), 404)
    refused(await door.get("/v2.0/quotas/%00"), 404)


async def test_tags_come_and_go(door: Door) -> None:
    network = await make(door, "network", name="tagged")
    path = f"/v2.0/networks/{network['id']}/tags"
    assert (await door.put(path, json={"tags": ["a", "b", "a"]})).json() == {"tags": ["a", "b"]}
    assert (await door.put(f"{path}/c")).status_code == 201
    assert [(await door.get(f"{path}/{tag}")).status_code for tag in "cx"] == [204, 404]
    assert (await door.delete(f"{path}/b")).status_code == 204
    assert (await door.get(path)).json() == {"tags": ["a", "c"]}

    async def found(query: str) -> bool:
        return bool((await door.get(f"/v2.0/networks?id={network['id']}&{query}")).json()["networks"])

    queries = ("tags=a,c", "tags=a,b", "tags-any=b,c", "not-tags=a,c", "not-tags-any=x,y")
    assert [await found(query) for query in queries] == [True, False, True, False, True]
    assert (await door.delete(path)).status_code == 204
    assert (await door.get(path)).json() == {"tags": []}


async def test_extensions_tell_what_is_there(door: Door) -> None:
    aliases = {one["alias"] for one in (await door.get("/v2.0/extensions")).json()["extensions"]}
    assert {"security-group", "router", "port-security", "standard-attr-tag"} <= aliases
    assert (await door.get("/v2.0/extensions/router")).json()["extension"]["alias"] == "router"
    assert (await door.get("/v2.0/extensions/Availability%20Zone")).status_code == 404
    zones = (await door.get("/v2.0/availability_zones")).json()["availability_zones"]
    assert {zone["resource"] for zone in zones} == {"network", "router"}


async def test_the_version_document_links_to_where_it_was_asked(door: Door) -> None:
    (version,) = (await door.get("/")).json()["versions"]
    assert (version["id"], version["links"][0]["href"]) == ("v2.0", "http://stillframe.test:8774/v2.0/")
    assert {"networks", "ports"} <= {one["collection"] for one in (await door.get("/v2.0/")).json()["resources"]}


@pytest.mark.parametrize("body", ["", "[]", '{"network": 5}', "{", '{"networks": []}', '{"network": {"name": 5}}'])
async def test_a_bad_body_is_a_bad_request(door: Door, body: str) -> None:
    refused(await door.post("/v2.0/networks", content=body), 400)
