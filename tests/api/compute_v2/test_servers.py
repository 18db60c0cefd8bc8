"""Servers through Nova's door: their shape at each microversion, lists, actions, errors."""

import re
from typing import Any

import pytest

from stillframe.kit.ids import new_uuid
from stillframe.networks.model import defaults_of
from stillframe.servers.model import TaskState, VmState
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, Door, World, caller

BASE = f"/v2.1/{OURS}"


def wanted(world: World, **fields: Any) -> dict[str, Any]:
    return {"server": {"name": "web", "flavorRef": "s3.tiny", "imageRef": world.image.id, **fields}}


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {version}"}


async def test_a_created_server_is_answered_with_its_place(door: Door, world: World) -> None:
    answer = await door.post(f"{BASE}/servers", json=wanted(world))
    assert answer.status_code == 202
    created = answer.json()["server"]
    assert set(created) == {"id", "links", "OS-DCF:diskConfig", "adminPass", "security_groups"}
    assert answer.headers["Location"] == f"http://stillframe.test:8774{BASE}/servers/{created['id']}"
    assert created["links"][0]["href"] == answer.headers["Location"]
    assert len(created["adminPass"]) >= 12


async def test_the_body_that_openstack_clients_send_is_taken(door: Door, world: World) -> None:
    """openstacksdk and the openstack command always send the counts and the block device."""
    disk = {
        "uuid": world.image.id,
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
    body = wanted(
        world,
        min_count=1,
        max_count=1,
        block_device_mapping_v2=[disk],
        networks=[{"uuid": defaults_of(OURS).network.id}],
        config_drive=True,
        description=None,
        tags=["a", "b", "a"],
        metadata={"role": "web"},
        **{"os:scheduler_hints": {}, "unknown": [1]},
    )
    answer = await door.post(f"{BASE}/servers", json=body, headers=at("2.90"))
    assert answer.status_code == 202, answer.text
    shown = (await door.get(f"{BASE}/servers/{answer.json()['server']['id']}", headers=at("2.90"))).json()["server"]
    assert (shown["tags"], shown["metadata"], shown["description"]) == (["a", "b"], {"role": "web"}, None)


async def test_the_alias_of_terraform_with_a_volume_that_stays(door: Door, world: World) -> None:
    disk = {
        "uuid": world.image.id,
        "boot_index": "0",
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": "3",
        "delete_on_termination": False,
        "volume_type": "SAS",
    }
    body = wanted(world, block_device_mapping_v2=[disk], imageRef="")
    answer = await door.post(f"{BASE}/os-volumes_boot", json=body)
    assert answer.status_code == 202, answer.text
    shown = (await door.get(f"{BASE}/servers/{answer.json()['server']['id']}")).json()["server"]
    assert [disk["delete_on_termination"] for disk in shown["os-extended-volumes:volumes_attached"]] == [False]


async def test_a_server_has_exactly_the_fields_that_clients_read(door: Door, world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    shown = (await door.get(f"{BASE}/servers/{server.id}")).json()["server"]
    assert set(shown) == {
        *("id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "flavor", "image", "created"),
        *("updated", "addresses", "links", "accessIPv4", "accessIPv6", "key_name", "security_groups", "progress"),
        *("OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "OS-EXT-STS:task_state"),
        *("OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "config_drive"),
        "os-extended-volumes:volumes_attached",
    }
    assert shown["image"]["id"] == world.image.id
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:power_state"]) == ("active", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["created"])
    (address,) = shown["addresses"]["default"]
    assert address["addr"].startswith("192.168.0.")
    assert (address["version"], address["OS-EXT-IPS:type"]) == (4, "fixed")


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        ("2.1", [], ["locked", "description", "tags", "locked_reason"]),
        ("2.18", ["locked"], ["description"]),
        ("2.19", ["description"], ["tags"]),
        ("2.26", ["tags"], ["trusted_image_certificates"]),
        ("2.63", ["trusted_image_certificates"], ["locked_reason"]),
        ("2.73", ["locked_reason"], ["OS-EXT-SRV-ATTR:hostname"]),
        ("2.90", ["OS-EXT-SRV-ATTR:hostname", "server_groups"], []),
    ],
)
async def test_fields_appear_with_their_microversion(
    door: Door, world: World, version: str, present: list[str], absent: list[str]
) -> None:
    server = await a_server(world)
    shown = (await door.get(f"{BASE}/servers/{server.id}", headers=at(version))).json()["server"]
    assert set(present) <= set(shown)
    assert not set(absent) & set(shown)


async def test_the_flavor_is_embedded_since_2_47(door: Door, world: World) -> None:
    server = await a_server(world)
    linked = (await door.get(f"{BASE}/servers/{server.id}", headers=at("2.46"))).json()["server"]["flavor"]
    embedded = (await door.get(f"{BASE}/servers/{server.id}", headers=at("2.47"))).json()["server"]["flavor"]
    assert set(linked) == {"id", "links"}
    assert linked["id"] == "s3.tiny"
    assert (embedded["original_name"], embedded["vcpus"], embedded["ram"]) == ("s3.tiny", 1, 256)
    assert "id" not in embedded


async def test_a_fault_shows_only_in_error(door: Door, world: World) -> None:
    server = await world.create()
    await world.run_jobs()
    shown = (await door.get(f"{BASE}/servers/{server.id}")).json()["server"]
    assert shown["status"] == "ERROR"
    assert shown["fault"]["code"] == 500
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    assert "fault" not in (await door.get(f"{BASE}/servers/{server.id}")).json()["server"]


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_lists_are_paged_and_pages_fit_together(door: Door, world: World) -> None:
    names = [f"web-{number}" for number in range(5)]
    for name in names:
        await a_server(world, name=name)
    seen: list[str] = []
    url = f"{BASE}/servers/detail?limit=2&sort_key=display_name&sort_dir=asc&name=web"
    while True:
        body = (await door.get(url)).json()
        seen += [server["name"] for server in body["servers"]]
        if "servers_links" not in body:
            break
        url = body["servers_links"][0]["href"]
    assert seen == names


async def test_the_newest_server_comes_first(door: Door, world: World) -> None:
    ids = [(await a_server(world)).id for _ in range(3)]
    assert [server["id"] for server in (await door.get(f"{BASE}/servers")).json()["servers"]] == ids[::-1]
    oldest_first = (await door.get(f"{BASE}/servers?sort_dir=asc")).json()["servers"]
    assert [server["id"] for server in oldest_first] == ids
    assert set(oldest_first[0]) == {"id", "name", "links"}


FILTERS: dict[str, list[str]] = {
    "name=web": ["web-1", "Web 2", "my.web"],
    "name=^web": ["web-1", "Web 2"],
    "name=web$": ["my.web"],
    r"name=my\.web": ["my.web"],
    "name=my.web": ["my.web"],
    "name=w.*1": ["web-1"],
    "name=100%25": ["100%"],
    "name=we_": [],
    "name=(": ["a(b"],
    "name=a(b": ["a(b"],
    "name=(web|my)": [],
    "name=nothing": [],
    "status=ACTIVE": ["web-1"],
    "status=shutoff": ["Web 2", "my.web", "100%", "a(b"],
    "status=BANANA": [],
    "flavor=s3.tiny&name=Web 2": ["Web 2"],
    "flavor=none": [],
    "ip=168.0&name=web-1": ["web-1"],
    r"ip=^192\.168\.0\.&name=web-1": ["web-1"],
    "ip=10.0.2": [],
    "deleted=False&name=web-1": ["web-1"],
    "unknown=1&name=web-1": ["web-1"],
    "changes-since=2099-01-01T00:00:00Z": [],
    "changes-since=2020-01-01T00:00:00&name=web-1": ["web-1"],
    "limit=0": [],
    "limit=99999&name=web-1": ["web-1"],
}


async def test_filters_find_what_they_say(door: Door, world: World) -> None:
    for number, name in enumerate(["web-1", "Web 2", "my.web", "100%", "a(b"]):
        await a_server(world, VmState.STOPPED if number else VmState.ACTIVE, name=name)
    found = {}
    for query in FILTERS:
        answer = await door.get(f"{BASE}/servers/detail?sort_dir=asc&{query}")
        found[query] = [server["name"] for server in answer.json()["servers"]]
    assert found == FILTERS


BAD_QUERIES = [
    "limit=-1",
    "limit=x",
    "limit=99999999999999999999999",
    "sort_key=password",
    "sort_dir=up",
    "marker=nothing",
    f"marker={new_uuid()}",
    "changes-since=yesterday",
    "name=%00",
    "name=%ff",
    "&".join(f"x{number}=1" for number in range(1001)),
]


async def test_a_bad_query_is_a_bad_request(door: Door) -> None:
    answers = {query: await door.get(f"{BASE}/servers?{query}") for query in BAD_QUERIES}
    assert {query: answer.status_code for query, answer in answers.items()} == dict.fromkeys(BAD_QUERIES, 400)
    assert all("badRequest" in answer.json() for answer in answers.values())


async def test_only_an_administrator_of_the_platform_sees_all_projects(door: Door, world: World) -> None:
    theirs = await a_server(world, who=caller(THEIRS))
    assert (await door.get(f"{BASE}/servers/detail?all_tenants=1")).status_code == 403
    assert (await door.get(f"{BASE}/servers/detail?all_tenants=False")).json()["servers"] == []
    assert (await door.get(f"{BASE}/servers/{theirs.id}")).status_code == 404
    door.speak_as(OURS, "admin")
    found = (await door.get(f"{BASE}/servers/detail?all_tenants=True")).json()["servers"]
    assert [server["id"] for server in found] == [theirs.id]


# --- actions ---------------------------------------------------------------------------------------------------------


async def act(door: Door, server_id: str, body: Any, version: str = "2.1") -> Any:
    return await door.post(f"{BASE}/servers/{server_id}/action", json=body, headers=at(version))


@pytest.mark.parametrize(
    ("vm_state", "body", "task"),
    [
        (VmState.STOPPED, {"os-start": None}, TaskState.POWERING_ON),
        (VmState.STOPPED, {"os-start": {}}, TaskState.POWERING_ON),
        (VmState.ACTIVE, {"os-stop": None}, TaskState.POWERING_OFF),
        (VmState.ACTIVE, {"reboot": {"type": "SOFT"}}, TaskState.REBOOTING),
        (VmState.ACTIVE, {"reboot": {"type": "hard"}}, TaskState.REBOOTING_HARD),
        (VmState.STOPPED, {"reboot": {"type": "HARD"}}, TaskState.REBOOTING_HARD),
        (VmState.STOPPED, {"createImage": {"name": "frozen", "metadata": {}}}, TaskState.IMAGE_SNAPSHOT),
    ],
)
async def test_an_action_is_accepted_with_an_empty_answer_and_noted(
    door: Door, world: World, vm_state: VmState, body: Any, task: TaskState
) -> None:
    server = await a_server(world, vm_state)
    answer = await act(door, server.id, body)
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    assert (await world.server(server.id) or server).task_state is task
    again = await act(door, server.id, body)
    assert again.status_code == 409
    assert again.json()["conflictingRequest"]["code"] == 409


BAD_ACTIONS: list[tuple[Any, int]] = [
    ({}, 400),
    ({"os-start": None, "os-stop": None}, 400),
    ({"fly": None}, 400),
    ({"reboot": None}, 400),
    ({"reboot": {"type": "GENTLE"}}, 400),
    ({"reboot": {"type": 1}}, 400),
    ({"createImage": {}}, 400),
    ({"createImage": {"name": ""}}, 400),
    ({"createImage": {"name": " "}}, 400),
    ({"createImage": {"name": "x" * 256}}, 400),
    ({"createImage": {"name": "x", "metadata": {"a": 1}}}, 400),
    ({"createImage": {"name": "x", "metadata": {"status": "active"}}}, 403),
    ({"os-getConsoleOutput": {"length": "many"}}, 400),
    ({"os-stop": None}, 409),
    ({"evacuate": {}}, 501),
    ({"os-getVNCConsole": {"type": "novnc"}}, 409),
    ([], 400),
    ("os-start", 400),
]


async def test_a_bad_action_changes_nothing(door: Door, world: World) -> None:
    server = await a_server(world)
    answered = [(body, (await act(door, server.id, body)).status_code) for body, _ in BAD_ACTIONS]
    assert answered == BAD_ACTIONS
    assert await world.server(server.id) == server
    assert await world.queued_jobs() == []


async def test_an_action_on_no_server_is_not_found(door: Door) -> None:
    bodies: list[Any] = [{"os-start": None}, {"createImage": {"name": "x"}}, {"os-getConsoleOutput": {}}]
    for server_id in ("nothing", new_uuid(), "%00", "x" * 300):
        for body in bodies:
            assert (await act(door, server_id, body)).status_code == 404, (server_id, body)


async def test_create_image_answers_with_a_location_and_since_2_45_with_the_id(door: Door, world: World) -> None:
    one, two = await a_server(world), await a_server(world)
    old = await act(door, one.id, {"createImage": {"name": "a", "metadata": {"k": "v"}}}, "2.44")
    new = await act(door, two.id, {"createImage": {"name": "b"}}, "2.45")
    assert re.fullmatch(r"http://[^/]+/v2/images/[0-9a-f-]{36}", old.headers["Location"])
    assert "Location" not in new.headers
    assert re.fullmatch(r"[0-9a-f-]{36}", new.json()["image_id"])


async def test_the_image_quota_forbids_create_image_and_unlocks_the_server(door: Door, world: World) -> None:
    world.choose(image_quota=0)
    server = await a_server(world)
    answer = await act(door, server.id, {"createImage": {"name": "a"}})
    assert answer.status_code == 403
    assert (await world.server(server.id) or server).task_state is None


async def test_the_console_is_read_from_its_end(door: Door, world: World) -> None:
    server = await a_server(world)
    empty = await act(door, server.id, {"os-getConsoleOutput": {}})
    assert (empty.status_code, empty.json()) == (200, {"output": ""})
    log = world.resources.layout.console_log(server.id)
    log.parent.mkdir(exist_ok=True)
    log.write_bytes(b"one\r\ntwo\r\nthr\xffee\r\n")
    assert (await act(door, server.id, {"os-getConsoleOutput": None})).json()["output"].startswith("one\ntwo\n")
    assert (await act(door, server.id, {"os-getConsoleOutput": {"length": 1}})).json()["output"] == "thr\ufffdee\n"
    assert (await act(door, server.id, {"os-getConsoleOutput": {"length": "2"}})).json()["output"].startswith("two")
    assert (await act(door, server.id, {"os-getConsoleOutput": {"length": -1}})).json()["output"].startswith("one")
    assert (await act(door, server.id, {"os-getConsoleOutput": {"length": 0}})).json()["output"] == ""


async def test_a_deleted_server_answers_404_once_it_is_gone(door: Door, world: World) -> None:
    server = await a_server(world)
    for _ in range(2):
        answer = await door.delete(f"{BASE}/servers/{server.id}")
        assert (answer.status_code, answer.content) == (204, b"")
    shown = (await door.get(f"{BASE}/servers/{server.id}")).json()["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("SHUTOFF", "deleting")
    await world.run_jobs()
    assert (await door.get(f"{BASE}/servers/{server.id}")).status_code == 404
    assert (await door.delete(f"{BASE}/servers/{server.id}")).status_code == 404


async def test_a_server_being_captured_is_not_deleted(door: Door, world: World) -> None:
    server = await a_server(world)
    await act(door, server.id, {"createImage": {"name": "a"}})
    assert (await door.delete(f"{BASE}/servers/{server.id}")).status_code == 409


# --- parts -----------------------------------------------------------------------------------------------------------


async def test_a_server_can_be_renamed(door: Door, world: World) -> None:
    server = await a_server(world)
    answer = await door.put(
        f"{BASE}/servers/{server.id}", json={"server": {"name": "new", "description": "d"}}, headers=at("2.19")
    )
    assert (answer.status_code, answer.json()["server"]["name"]) == (200, "new")
    assert answer.json()["server"]["description"] == "d"
    for bad in ({"server": {"name": ""}}, {"server": {"name": 1}}, {"server": {"name": " "}}, {}):
        assert (await door.put(f"{BASE}/servers/{server.id}", json=bad)).status_code == 400


async def test_metadata_is_read_replaced_merged_and_deleted(door: Door, world: World) -> None:
    server = await a_server(world)
    url = f"{BASE}/servers/{server.id}/metadata"
    assert (await door.put(url, json={"metadata": {"a": "1", "b": "2"}})).json() == {"metadata": {"a": "1", "b": "2"}}
    assert (await door.post(url, json={"metadata": {"b": "3", "c": "4"}})).json()["metadata"]["b"] == "3"
    assert (await door.get(f"{url}/c")).json() == {"meta": {"c": "4"}}
    assert (await door.put(f"{url}/d", json={"meta": {"d": "5"}})).json() == {"meta": {"d": "5"}}
    assert (await door.put(f"{url}/d", json={"meta": {"e": "5"}})).status_code == 400
    deleted = await door.delete(f"{url}/a")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (await door.delete(f"{url}/a")).status_code == 404
    assert (await door.get(f"{url}/a")).status_code == 404
    assert (await door.get(url)).json() == {"metadata": {"b": "3", "c": "4", "d": "5"}}
    too_many = {"metadata": {str(number): "x" for number in range(129)}}
    assert (await door.put(url, json=too_many)).status_code == 403


async def test_the_parts_of_a_server_have_the_shapes_that_clients_read(door: Door, world: World) -> None:
    server = await a_server(world)
    url = f"{BASE}/servers/{server.id}"
    (interface,) = (await door.get(f"{url}/os-interface")).json()["interfaceAttachments"]
    assert set(interface) == {"port_id", "net_id", "mac_addr", "port_state", "fixed_ips"}
    assert (await door.get(f"{url}/os-interface/{interface['port_id']}")).status_code == 200
    assert (await door.get(f"{url}/os-interface/nope")).status_code == 404
    (attachment,) = (await door.get(f"{url}/os-volume_attachments")).json()["volumeAttachments"]
    assert set(attachment) == {"id", "volumeId", "serverId", "device"}
    assert (attachment["device"], attachment["serverId"]) == ("/dev/vda", server.id)
    one = await door.get(f"{url}/os-volume_attachments/{attachment['volumeId']}", headers=at("2.89"))
    assert "id" not in one.json()["volumeAttachment"]
    assert one.json()["volumeAttachment"]["delete_on_termination"] is True
    assert (await door.get(f"{url}/os-volume_attachments/{new_uuid()}")).status_code == 404
    assert (await door.get(f"{url}/os-server-password")).json() == {"password": ""}


async def test_several_servers_are_made_by_one_request(door: Door, world: World) -> None:
    world.choose(server_quota=3)
    body = wanted(world, min_count="2", max_count=5, return_reservation_id=True, config_drive="false")
    answer = await door.post(f"{BASE}/servers", json=body)
    assert answer.status_code == 202, answer.text
    reservation_id = answer.json()["reservation_id"]
    listed = (await door.get(f"{BASE}/servers/detail?reservation_id={reservation_id}")).json()["servers"]
    assert {(server["name"], server["config_drive"]) for server in listed} == {
        ("web-1", ""),
        ("web-2", ""),
        ("web-3", ""),
    }
    assert len({server["addresses"]["default"][0]["addr"] for server in listed}) == 3
    refused = await door.post(f"{BASE}/servers", json=wanted(world, min_count=1, max_count=2))
    assert refused.status_code == 403
    assert len((await door.get(f"{BASE}/servers")).json()["servers"]) == 3


async def test_what_one_server_has_cannot_be_given_to_two(door: Door, world: World) -> None:
    network = defaults_of(OURS).network.id
    disk = {"boot_index": 0, "uuid": new_uuid(), "source_type": "volume", "destination_type": "volume"}
    for fields in (
        {"networks": [{"uuid": network, "fixed_ip": "192.168.0.77"}]},
        {"networks": [{"port": new_uuid()}]},
        {"imageRef": None, "block_device_mapping_v2": [disk]},
        {"min_count": 3},
        {"min_count": 0},
        {"return_reservation_id": "perhaps"},
        {"config_drive": "perhaps"},
    ):
        answer = await door.post(f"{BASE}/servers", json=wanted(world, **{"max_count": 2} | fields))
        assert answer.status_code == 400, fields
    assert (await door.get(f"{BASE}/servers")).json()["servers"] == []
