"""What Neutron's door says about the one network of a project."""

from collections.abc import AsyncIterator

import pytest

from stillframe.api import network_v2
from stillframe.networks.model import CIDR, DNS_ADDRESS, GATEWAY_ADDRESS, GUEST_ADDRESS, port_of
from stillframe.qemu.machine_spec import NicSpec
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, open_world, private_database


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("networks")
    async with private_database(directory) as database, open_world(database, directory) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(network_v2) as client:
        yield client


async def test_the_addresses_told_are_those_that_machines_get() -> None:
    nic = NicSpec(mac="fa:16:3e:00:00:01", cidr=CIDR, address=GUEST_ADDRESS, gateway=GATEWAY_ADDRESS)
    assert nic.name_server == DNS_ADDRESS


async def test_a_project_has_one_network_of_its_own(door: Door) -> None:
    (network,) = (await door.get("/v2.0/networks")).json()["networks"]
    assert (network["name"], network["status"], network["project_id"]) == ("default", "ACTIVE", OURS)
    assert (network["router:external"], network["shared"], network["admin_state_up"]) == (False, False, True)
    door.speak_as(THEIRS)
    (theirs,) = (await door.get("/v2.0/networks")).json()["networks"]
    assert theirs["id"] != network["id"]
    assert (await door.get(f"/v2.0/networks/{network['id']}")).status_code == 404


async def test_a_network_is_found_as_clients_look_for_it(door: Door) -> None:
    (network,) = (await door.get("/v2.0/networks")).json()["networks"]
    found = {
        query: len((await door.get(f"/v2.0/networks?{query}")).json()["networks"])
        for query in (
            *(
                "name=default",
                f"id={network['id']}",
                f"name=default&id={network['id']}",
                "status=ACTIVE",
                "shared=False",
            ),
            *("name=other", "id=other", "router:external=True", "name=other&name=default", "unknown=1"),
        )
    }
    assert list(found.values()) == [1, 1, 1, 1, 1, 0, 0, 0, 1, 1]
    assert (await door.get(f"/v2.0/networks/{network['id']}")).json() == {"network": network}
    by_name = await door.get("/v2.0/networks/default")
    assert (by_name.status_code, list(by_name.json())) == (404, ["NeutronError"])
    assert (await door.get("/v2.0/networks?fields=id&fields=name")).json()["networks"] == [
        {"id": network["id"], "name": "default"}
    ]


async def test_subnet_and_security_group_belong_to_the_network(door: Door) -> None:
    (network,) = (await door.get("/v2.0/networks")).json()["networks"]
    (subnet,) = (await door.get("/v2.0/subnets")).json()["subnets"]
    assert (network["subnets"], subnet["network_id"]) == ([subnet["id"]], network["id"])
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["ip_version"]) == ("10.0.2.0/24", "10.0.2.2", 4)
    (group,) = (await door.get("/v2.0/security-groups?name=default")).json()["security_groups"]
    assert {rule["direction"] for rule in group["security_group_rules"]} == {"egress"}
    (rule,) = (await door.get("/v2.0/security-group-rules")).json()["security_group_rules"]
    assert [rule] == group["security_group_rules"]
    for path, wanted in (
        ("subnets", subnet),
        ("security-groups", group),
        ("security-group-rules", rule),
    ):
        assert wanted in (await door.get(f"/v2.0/{path}/{wanted['id']}")).json().values()
        assert (await door.get(f"/v2.0/{path}/nope")).status_code == 404


async def test_every_server_has_a_port(door: Door, world: World) -> None:
    server, other = await a_server(world), await a_server(world)
    (port,) = (await door.get(f"/v2.0/ports?device_id={server.id}")).json()["ports"]
    expected = port_of(OURS, server.id)
    assert (port["id"], port["mac_address"]) == (expected.id, expected.mac_address)
    assert port["device_owner"] == "compute:eu-de-01"
    assert port["mac_address"] != port_of(OURS, other.id).mac_address
    assert len((await door.get("/v2.0/ports")).json()["ports"]) == 2
    assert (await door.get(f"/v2.0/ports/{port['id']}")).json() == {"port": port}
    door.speak_as(THEIRS)
    assert (await door.get("/v2.0/ports")).json() == {"ports": []}
    assert (await door.get(f"/v2.0/ports/{port['id']}")).status_code == 404


async def test_what_there_is_not_is_an_empty_list_or_not_found(door: Door) -> None:
    assert (await door.get("/v2.0/extensions")).json() == {"extensions": []}
    assert (await door.get("/v2.0/extensions/Availability%20Zone")).status_code == 404
    assert (await door.get("/v2.0/routers")).json() == {"routers": []}
    assert (await door.get("/v2.0/floatingips")).json() == {"floatingips": []}
    (zone,) = (await door.get("/v2.0/availability_zones")).json()["availability_zones"]
    assert (zone["name"], zone["state"]) == ("eu-de-01", "available")
    quota = (await door.get(f"/v2.0/quotas/{OURS}")).json()["quota"]
    assert (quota["network"], quota["port"]) == (1, 100)
    assert (await door.get(f"/v2.0/quotas/{THEIRS}")).status_code == 404


async def test_the_version_document_links_to_where_it_was_asked(door: Door) -> None:
    (version,) = (await door.get("/")).json()["versions"]
    assert (version["id"], version["links"][0]["href"]) == ("v2.0", "http://stillframe.test:8774/v2.0/")
    assert {"networks", "ports"} <= {one["collection"] for one in (await door.get("/v2.0/")).json()["resources"]}


async def test_nothing_can_be_changed(door: Door) -> None:
    for method, path in (
        ("POST", "/v2.0/networks"),
        ("PUT", "/v2.0/ports/x"),
        ("DELETE", "/v2.0/security-groups/x"),
        ("GET", f"/v1/{OURS}/vpcs"),
    ):
        answer = await door.request(method, path, json={})
        assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (501, "NotImplemented"), path


async def test_a_bad_query_is_a_bad_request(door: Door) -> None:
    assert (await door.get("/v2.0/networks?name=%ff")).status_code == 400
