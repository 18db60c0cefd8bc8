"""VPC peering connections and the routes over them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stillframe.networks.model import defaults_of
from tests.api.vpc_v1.test_vpcs import NOBODY, _Both
from tests.servers.world import OURS, THEIRS, Door, World, open_world, private_database


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("peerings")
    async with private_database(directory) as database, open_world(database, directory) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(_Both) as client:
        yield client


async def make_vpc(door: Door, name: str, cidr: str, project_id: str = OURS) -> str:
    answer = await door.post(f"/v1/{project_id}/vpcs", json={"vpc": {"name": name, "cidr": cidr}})
    assert answer.status_code == 200, answer.text
    vpc_id: str = answer.json()["vpc"]["id"]
    return vpc_id


async def ask(door: Door, vpc_id: str, peer_id: str, **peer: str) -> httpx.Response:
    body = {"name": "p", "request_vpc_info": {"vpc_id": vpc_id}, "accept_vpc_info": {"vpc_id": peer_id, **peer}}
    return await door.post("/v2.0/vpc/peerings", json={"peering": body})


async def route(door: Door, vpc_id: str, destination: str, peering_id: str, kind: str = "peering") -> httpx.Response:
    body = {"type": kind, "nexthop": peering_id, "destination": destination, "vpc_id": vpc_id}
    return await door.post("/v2.0/vpc/routes", json={"route": body})


def refused(answer: httpx.Response, status: int, text: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert text in answer.json()["NeutronError"]["message"]


async def test_vpcs_of_one_project_are_peered_at_once_and_routed_by_hand(door: Door) -> None:
    first, second = await make_vpc(door, "a", "10.1.0.0/16"), await make_vpc(door, "b", "10.2.0.0/16")
    subnet = {"name": "s", "cidr": "10.1.1.0/24", "gateway_ip": "10.1.1.1", "vpc_id": first}
    assert (await door.post(f"/v1/{OURS}/subnets", json={"subnet": subnet})).status_code == 200
    made = await ask(door, first, second)
    assert made.status_code == 201
    peering: dict[str, Any] = made.json()["peering"]
    assert (peering["status"], peering["accept_vpc_info"]) == ("ACTIVE", {"vpc_id": second, "tenant_id": OURS})
    refused(await ask(door, second, first), 409, peering["id"])
    refused(await ask(door, first, first), 400)
    refused(await ask(door, first, NOBODY), 404)
    path = f"/v2.0/vpc/peerings/{peering['id']}"
    renamed = await door.put(path, json={"peering": {"name": "new", "description": "d"}})
    assert (renamed.json()["peering"]["name"], renamed.json()["peering"]["description"]) == ("new", "d")
    refused(await door.put(f"{path}/accept"), 409)
    for query in ("name=new", f"vpc_id={second}", "status=ACTIVE", f"tenant_id={OURS}", f"id={peering['id']}"):
        found = (await door.get(f"/v2.0/vpc/peerings?{query}")).json()["peerings"]
        assert [one["id"] for one in found] == [peering["id"]]
    assert (await door.get("/v2.0/vpc/peerings?status=REJECTED")).json()["peerings"] == []

    there = await route(door, first, "10.2.0.7/16", peering["id"])
    assert (there.status_code, there.json()["route"]["destination"]) == (201, "10.2.0.0/16")
    of_route = f"/v2.0/vpc/routes/{there.json()['route']['id']}"
    assert (await door.get(of_route)).json() == there.json()
    (listed,) = (await door.get(f"/v2.0/vpc/routes?vpc_id={first}&type=peering")).json()["routes"]
    assert listed == there.json()["route"]
    refused(await route(door, first, "10.2.0.0/16", peering["id"]), 409)
    refused(await route(door, first, "10.1.1.128/25", peering["id"]), 400, "own subnet")
    refused(await route(door, first, "everywhere", peering["id"]), 400)
    refused(await route(door, first, "10.3.0.0/16", NOBODY), 404)
    refused(await route(door, first, "10.3.0.0/16", "10.1.1.9", "ecs"), 501)
    refused(await route(door, defaults_of(OURS).router.id, "10.3.0.0/16", peering["id"]), 400)

    answer = await door.delete(f"/v1/{OURS}/vpcs/{second}")
    assert (answer.status_code, answer.json()["code"]) == (409, "VPC.0104")
    assert (await door.delete(path)).status_code == 204
    assert [(await door.get(gone)).status_code for gone in (path, of_route)] == [404, 404]
    assert (await door.delete(f"/v1/{OURS}/vpcs/{second}")).status_code == 204


async def test_a_peering_between_projects_waits_until_the_other_has_decided(door: Door) -> None:
    ours = await make_vpc(door, "ours", "10.5.0.0/16")
    theirs = defaults_of(THEIRS).router.id
    refused(await ask(door, ours, theirs), 404)
    made = (await ask(door, ours, theirs, tenant_id=THEIRS)).json()["peering"]
    path = f"/v2.0/vpc/peerings/{made['id']}"
    assert made["status"] == "PENDING_ACCEPTANCE"
    refused(await route(door, ours, "10.9.0.0/16", made["id"]), 409)
    refused(await door.put(f"{path}/accept"), 403)
    door.speak_as("e" * 32)
    for answer in (await door.get(path), await door.put(f"{path}/accept"), await door.delete(path)):
        refused(answer, 404)
    door.speak_as(THEIRS)
    (seen,) = (await door.get("/v2.0/vpc/peerings")).json()["peerings"]
    assert seen == made
    refused(await door.put(path, json={"peering": {"name": "stolen"}}), 403)
    rejected = await door.put(f"{path}/reject")
    assert (rejected.status_code, rejected.json()["status"]) == (200, "REJECTED")
    refused(await door.put(f"{path}/accept"), 409)
    door.speak_as(OURS)
    again = (await ask(door, ours, theirs, tenant_id=THEIRS)).json()["peering"]
    door.speak_as(THEIRS)
    accepted = await door.put(f"/v2.0/vpc/peerings/{again['id']}/accept")
    assert (accepted.json()["id"], accepted.json()["status"]) == (again["id"], "ACTIVE")
    assert (await route(door, theirs, "10.5.0.0/16", again["id"])).status_code == 201
    refused(await route(door, ours, "192.168.0.0/16", again["id"]), 404)
    assert (await door.delete(f"/v2.0/vpc/peerings/{again['id']}")).status_code == 204
    door.speak_as(OURS, "readonly")
    refused(await ask(door, ours, theirs, tenant_id=THEIRS), 403)
