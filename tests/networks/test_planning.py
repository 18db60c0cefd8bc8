"""From what clients ask for to what the switch lets pass: rows, the plan made of them, and frames."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from stillframe.networks.model import defaults_of
from stillframe.networks.outside import InnerAddresses
from stillframe.networks.planning import Outside, build_plan
from stillframe.networks.ports import WantedNic
from stillframe.switch.plan import Plan
from tests.api.vpc_v1.test_vpcs import _Both
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, caller, open_world, private_database
from tests.switch.cable import Cable

SHUT = Outside(socket="uplink.sock", inner=InnerAddresses(), is_open=False, closed=())


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("planning")
    async with private_database(directory) as database, open_world(database, directory) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(_Both) as client:
        yield client


class Card:
    """A server's only card, as the database has it."""

    def __init__(self, server_id: str, port: dict[str, Any]) -> None:
        self.server_id = server_id
        self.port_id: str = port["id"]
        self.address: str = port["fixed_ips"][0]["ip_address"]


async def a_card(world: World, door: Door, network_id: str, project_id: str = OURS, **of_port: Any) -> Card:
    door.speak_as(project_id)
    port = (await door.post("/v2.0/ports", json={"port": {"network_id": network_id, **of_port}})).json()["port"]
    server = await a_server(world, who=caller(project_id), nics=(WantedNic(port_id=port["id"]),))
    return Card(server.id, port)


async def a_vpc(door: Door, cidr: str, project_id: str = OURS) -> tuple[str, str]:
    """The ids of a new VPC and of the network of its only subnet."""
    door.speak_as(project_id)
    vpc = {"name": f"vpc-{cidr[:-3]}", "cidr": cidr}
    vpc_id = (await door.post(f"/v1/{project_id}/vpcs", json={"vpc": vpc})).json()["vpc"]["id"]
    subnet = {"name": "s", "cidr": cidr, "gateway_ip": cidr.replace(".0/24", ".1"), "vpc_id": vpc_id}
    answer = await door.post(f"/v1/{project_id}/subnets", json={"subnet": subnet})
    assert answer.status_code == 200, answer.text
    return vpc_id, answer.json()["subnet"]["id"]


class Wired:
    """The switch, following what the database says now."""

    def __init__(self, world: World, *cards: Card) -> None:
        self._world, self._cards = world, cards
        self._cable = Cable(Plan())

    async def reaches(
        self, card: Card, other: Card, *, source: str = "", destination: str = "", port: int = 53
    ) -> bool:
        """Whether a packet out of the one comes in at the other."""
        async with self._world.database.reading() as tx:
            plan, _ = await build_plan(tx, {one.server_id: "host" for one in self._cards}, SHUT)
        self._cable.follow(plan)
        addresses = source or card.address, destination or other.address
        self._cable.send(card.port_id, self._cable.udp(card.port_id, *addresses, (1000, port)))
        self._cable.got(card.port_id)
        return bool(self._cable.got(other.port_id))


async def let_in(door: Door, project_id: str = OURS, **fields: Any) -> str:
    door.speak_as(project_id)
    rule = {"security_group_id": defaults_of(project_id).security_group.id, "direction": "ingress", **fields}
    answer = await door.post("/v2.0/security-group-rules", json={"security_group_rule": rule})
    assert answer.status_code == 201, answer.text
    rule_id: str = answer.json()["security_group_rule"]["id"]
    return rule_id


async def test_peered_vpcs_reach_each_other_while_both_say_so(world: World, door: Door) -> None:
    our_vpc, our_network = await a_vpc(door, "10.1.0.0/24")
    their_vpc, their_network = await a_vpc(door, "10.2.0.0/24", THEIRS)
    us, them = await a_card(world, door, our_network), await a_card(world, door, their_network, THEIRS)
    wired = Wired(world, us, them)
    await let_in(door, THEIRS, protocol="udp", port_range_min=53, port_range_max=53)

    async def route(project_id: str, vpc_id: str, destination: str) -> str:
        door.speak_as(project_id)
        body = {"type": "peering", "nexthop": peering, "destination": destination, "vpc_id": vpc_id}
        answer = await door.post("/v2.0/vpc/routes", json={"route": body})
        return f"/v2.0/vpc/routes/{answer.json()['route']['id']}"

    door.speak_as(OURS)
    body = {
        "name": "p",
        "request_vpc_info": {"vpc_id": our_vpc},
        "accept_vpc_info": {"vpc_id": their_vpc, "tenant_id": THEIRS},
    }
    peering = (await door.post("/v2.0/vpc/peerings", json={"peering": body})).json()["peering"]["id"]
    assert not await wired.reaches(us, them)
    door.speak_as(THEIRS)
    await door.put(f"/v2.0/vpc/peerings/{peering}/accept")
    ours = await route(OURS, our_vpc, "10.2.0.0/24")
    assert not await wired.reaches(us, them), "nobody there knows the way back"
    await route(THEIRS, their_vpc, "10.1.0.0/16")
    assert await wired.reaches(us, them)
    assert not await wired.reaches(us, them, port=54), "the rules of the other side hold"
    assert not await wired.reaches(them, us), "and ours"
    door.speak_as(OURS)
    assert (await door.delete(ours)).status_code == 204
    assert not await wired.reaches(us, them), "what was on its way ends too"
    await route(OURS, our_vpc, "10.2.0.0/24")
    assert await wired.reaches(us, them)
    door.speak_as(THEIRS)
    assert (await door.delete(f"/v2.0/vpc/peerings/{peering}")).status_code == 204
    assert not await wired.reaches(us, them)


async def test_an_extra_route_leads_to_the_card_that_routes_on(world: World, door: Door) -> None:
    _, near = await a_vpc(door, "10.3.0.0/24")
    vpc_id, far = await a_vpc(door, "10.4.0.0/24")
    asks, forwards = await a_card(world, door, far), await a_card(world, door, far)
    elsewhere = await a_card(world, door, near)
    wired = Wired(world, asks, forwards, elsewhere)
    await let_in(door, remote_ip_prefix="0.0.0.0/0")
    assert not await wired.reaches(asks, forwards, destination="172.16.0.9")
    routes = {"routes": [{"destination": "172.16.0.0/12", "nexthop": forwards.address}]}
    path = f"/v2.0/routers/{vpc_id}"
    assert (await door.put(f"{path}/add_extraroutes", json={"router": routes})).status_code == 200
    assert await wired.reaches(asks, forwards, destination="172.16.0.9")
    assert not await wired.reaches(elsewhere, forwards, destination="172.16.0.9"), "another router's subnet"
    assert not await wired.reaches(forwards, asks, source="172.16.0.9"), "it may speak for itself only"
    pairs = {"port": {"allowed_address_pairs": [{"ip_address": "172.16.0.0/12"}]}}
    assert (await door.put(f"/v2.0/ports/{forwards.port_id}", json=pairs)).status_code == 200
    assert await wired.reaches(forwards, asks, source="172.16.0.9")
    assert (await door.put(path, json={"router": {"admin_state_up": False}})).status_code == 200
    assert not await wired.reaches(asks, forwards, destination="172.16.0.9"), "a router that is down routes nothing"


async def test_a_rule_lets_in_whom_its_address_group_names_at_the_moment(world: World, door: Door) -> None:
    network_id = defaults_of(OURS).network.id
    door.speak_as(OURS)
    group = (await door.post("/v2.0/security-groups", json={"security_group": {"name": "picky"}})).json()
    picky = group["security_group"]["id"]
    asks = await a_card(world, door, network_id)
    asked = await a_card(world, door, network_id, security_groups=[picky])
    wired = Wired(world, asks, asked)
    made = await door.post("/v2.0/address-groups", json={"address_group": {"addresses": ["fd00::/8"]}})
    addresses_id = made.json()["address_group"]["id"]
    await let_in(door, security_group_id=picky, remote_address_group_id=addresses_id)
    path, body = f"/v2.0/address-groups/{addresses_id}", {"addresses": [asks.address]}
    assert not await wired.reaches(asks, asked)
    await door.put(f"{path}/add_addresses", json=body)
    assert await wired.reaches(asks, asked)
    await door.put(f"{path}/remove_addresses", json=body)
    assert not await wired.reaches(asks, asked)


async def test_projects_with_the_same_addresses_never_meet(world: World, door: Door) -> None:
    us = await a_card(world, door, defaults_of(OURS).network.id)
    them = await a_card(world, door, defaults_of(THEIRS).network.id, THEIRS)
    neighbour = await a_card(world, door, defaults_of(OURS).network.id)
    wired = Wired(world, us, them, neighbour)
    assert us.address == them.address
    assert await wired.reaches(us, neighbour)
    assert not await wired.reaches(them, neighbour)
    assert not await wired.reaches(us, them)
