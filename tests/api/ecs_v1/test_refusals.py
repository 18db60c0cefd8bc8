"""What the ECS door refuses, by its codes: never a 5xx, and always the field."""

from collections.abc import Callable
from typing import Any

from stillframe.servers.model import VmState
from tests.api.ecs_v1.wishes import BASE, code, order, wanted
from tests.servers.test_actions import a_server
from tests.servers.world import Door, World

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("unknown flavor", {"flavorRef": "x9.huge"}, "Ecs.0029"),
    ("unknown image", {"imageRef": "00000000-0000-4000-8000-000000000000"}, "Ecs.0031"),
    ("no image id", {"imageRef": "x"}, "Ecs.0031"),
    ("unknown VPC", {"vpcid": "x"}, "Ecs.0014"),
    ("unknown subnet", {"nics": [{"subnet_id": "x"}]}, "Ecs.0038"),
    ("a card without a subnet", {"nics": [{}]}, "Ecs.0038"),
    ("a card that is not there", {"nics": [{"port_id": "x"}]}, "Ecs.0014"),
    ("unknown group", {"security_groups": [{"id": "x"}]}, "Ecs.0014"),
    ("unknown key", {"key_name": "x"}, "Ecs.0314"),
    ("unknown zone", {"availability_zone": "mars"}, "Ecs.0005"),
    ("unknown disk type", {"root_volume": {"volumetype": "floppy"}}, "Ecs.0043"),
    ("a disk without a type", {"root_volume": {}}, "Ecs.0005"),
    ("a disk too small", {"root_volume": {"volumetype": "SSD", "size": -1}}, "Ecs.0005"),
    ("a disk too large", {"root_volume": {"volumetype": "SSD", "size": 1025}}, "Ecs.0005"),
    ("a disk beyond numbers", {"root_volume": {"volumetype": "SSD", "size": 10**30}}, "Ecs.0005"),
    ("a blank disk without a size", {"data_volumes": [{"volumetype": "SSD"}]}, "Ecs.0005"),
    ("too many disks", {"data_volumes": [{"volumetype": "SSD", "size": 1}] * 24}, "Ecs.0104"),
    ("no cards", {"nics": []}, "Ecs.0005"),
    ("no name", {"name": ""}, "Ecs.0915"),
    ("a name of spaces", {"name": "a b"}, "Ecs.0915"),
    ("a name too long", {"name": "x" * 129}, "Ecs.0915"),
    ("a name of bytes", {"name": "a\x00b"}, "Ecs.0005"),
    ("no servers", {"count": 0}, "Ecs.0913"),
    ("too many servers", {"count": 101}, "Ecs.0913"),
    ("a weak password", {"adminPass": "weak"}, "Ecs.0011"),
    ("user data of no base64", {"user_data": "%"}, "Ecs.0005"),
    ("user data too long", {"user_data": "A" * 65536}, "Ecs.0005"),
    ("metadata of numbers", {"metadata": {"a": 1}}, "Ecs.0005"),
    ("tags of strange letters", {"server_tags": [{"key": "a=b"}]}, "Ecs.0906"),
    ("a tag twice", {"server_tags": [{"key": "a"}, {"key": "a"}]}, "Ecs.0908"),
    ("an unknown address", {"publicip": {"id": "x"}}, "Ecs.0005"),
    ("text for a list", {"nics": "x"}, "Ecs.0005"),
]


async def test_an_order_that_cannot_be_met_is_refused_by_its_code(door: Door, world: World) -> None:
    answers = {name: code(await order(door, world, **changes)) for name, changes, _ in REFUSED}
    assert answers == {name: (400, refusal) for name, _, refusal in REFUSED}
    assert await world.queued_jobs() == []


async def test_addresses_of_another_subnet_and_those_in_use_are_refused(door: Door, world: World) -> None:
    (nic,) = wanted(world)["nics"]
    assert code(await order(door, world, nics=[nic | {"ip_address": "10.9.8.7"}])) == (400, "Ecs.0039")
    assert (await order(door, world, nics=[nic | {"ip_address": "192.168.0.77"}])).status_code == 200
    assert code(await order(door, world, nics=[nic | {"ip_address": "192.168.0.77"}])) == (400, "Ecs.0010")


async def test_what_is_not_offered_says_so(door: Door, world: World) -> None:
    for changes in (
        {"personality": [{"path": "/x", "contents": ""}]},
        {"extendparam": {"chargingMode": "prePaid"}},
        {"root_volume": {"volumetype": "SSD", "metadata": {"__system__encrypted": "1"}}},
        {"data_volumes": [{"volumetype": "SSD", "size": 1, "shareable": "true"}]},
        {"nics": [{"subnet_id": "x", "ipv6_enable": True}]},
    ):
        assert code(await order(door, world, **changes)) == (501, "Ecs.0000"), changes


BODIES: dict[str, Callable[[str], tuple[str, Any]]] = {
    "delete nothing": lambda _: ("/delete", {"servers": []}),
    "delete text": lambda _: ("/delete", {"servers": "x"}),
    "no action": lambda _: ("/action", {}),
    "an unknown action": lambda server_id: ("/action", {"explode": {"servers": [{"id": server_id}]}}),
    "an unknown type": lambda server_id: ("/action", {"reboot": {"type": "MILD", "servers": [{"id": server_id}]}}),
    "a null action": lambda _: ("/action", {"os-stop": None}),
    "a tag action": lambda server_id: (f"/{server_id}/tags/action", {"action": "x", "tags": []}),
    "tags of numbers": lambda server_id: (f"/{server_id}/tags", {"tags": [{"key": 1}]}),
    "a card of nothing": lambda server_id: (f"/{server_id}/nics", {"nics": [{}]}),
    "no cards": lambda server_id: (f"/{server_id}/nics/delete", {"nics": []}),
    "an attachment of nothing": lambda server_id: (f"/{server_id}/attachvolume", {"volumeAttachment": {}}),
    "a search for nothing": lambda _: ("/resource_instances/action", {"action": "x"}),
    "a search by number": lambda _: ("/resource_instances/action", {"action": "filter", "limit": 10**30}),
}


async def test_a_body_of_another_form_is_refused(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    for name, body_for in BODIES.items():
        path, body = body_for(server.id)
        answer = await door.post(f"{BASE}{path}", json=body)
        assert answer.status_code == 400, f"{name}: {answer.text}"
        assert answer.json()["error"]["code"].startswith("Ecs."), name


async def test_empty_and_broken_bodies_and_unknown_paths_have_the_envelope_too(door: Door) -> None:
    assert code(await door.post(BASE)) == (400, "Common.0002")
    assert code(await door.post(f"{BASE}/action")) == (400, "Common.0002")
    for body in (b"{", b"[]", b"\xff", b'{"server": "\\ud800"}', b"[" * 100_000):
        assert code(await door.post(BASE, content=body)) == (400, "Ecs.0005"), body[:20]
    assert code(await door.get(f"{BASE}/%00")) == (404, "Ecs.0114")
    assert code(await door.get(f"{BASE}/{'x' * 5000}")) == (404, "Ecs.0114")
    assert code(await door.post(f"{BASE}/x/migrate", json={})) == (501, "Ecs.0000")


async def test_a_reader_changes_nothing(door: Door, world: World) -> None:
    server = await a_server(world)
    door.speak_as(server.project_id, "te_viewer")
    refs = {"servers": [{"id": server.id}]}
    assert code(await order(door, world)) == (403, "Ecs.0003")
    assert code(await door.post(f"{BASE}/delete", json=refs)) == (403, "Ecs.0003")
    assert code(await door.post(f"{BASE}/action", json={"os-start": refs})) == (403, "Ecs.0003")
    assert code(await door.post(f"{BASE}/{server.id}/tags", json={"tags": []})) == (403, "Ecs.0003")
    assert (await door.get(f"{BASE}/{server.id}")).status_code == 200
