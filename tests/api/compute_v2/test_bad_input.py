"""No body, however wrong, is answered with a 5xx or leaves anything behind."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.kit.ids import new_uuid
from stillframe.servers.model import VmState
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, Door, World

BASE = f"/v2.1/{OURS}"
RAW = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"server": {"name": "\\ud800"}}',
    b"[" * 100_000,
    b'{"server":' * 5000 + b"1" + b"}" * 5000,
    b'{"server": {"name": "a", "name": ' + b"9" * 5000 + b"}}",
]


def mutated(world: World) -> dict[str, dict[str, Any]]:
    """One thing wrong in each."""
    image_id = world.image.id
    disk = {"boot_index": 0, "uuid": image_id, "source_type": "image", "destination_type": "volume"}
    changes: dict[str, dict[str, Any]] = {
        "no name": {"name": None},
        "empty name": {"name": ""},
        "blank name": {"name": "  "},
        "long name": {"name": "x" * 256},
        "name with NUL": {"name": "a\x00b"},
        "name of wrong type": {"name": ["x"]},
        "no flavor": {"flavorRef": None},
        "flavor of wrong type": {"flavorRef": {"id": "s3.tiny"}},
        "huge flavor": {"flavorRef": 10**30},
        "empty flavor": {"flavorRef": ""},
        "no image": {"imageRef": None},
        "image that is no uuid": {"imageRef": "tiny"},
        "unknown image": {"imageRef": new_uuid()},
        "networks of a wrong word": {"networks": "some"},
        "unknown network": {"networks": [{"uuid": new_uuid()}]},
        "unknown port": {"networks": [{"port": new_uuid()}]},
        "other address": {"networks": [{"fixed_ip": "1.2.3.4"}]},
        "two networks": {"networks": [{}, {}]},
        "networks of wrong type": {"networks": 5},
        "metadata with numbers": {"metadata": {"a": 1}},
        "metadata with an empty key": {"metadata": {"": "x"}},
        "metadata with NUL": {"metadata": {"a\x00": "x"}},
        "long metadata": {"metadata": {"a": "x" * 256}},
        "user data that is not base64": {"user_data": "#!/bin/sh"},
        "user data that is not ASCII": {"user_data": "äöü="},
        "huge user data": {"user_data": "QUFB" * 20000},
        "unknown key": {"key_name": "nope"},
        "long key": {"key_name": "x" * 300},
        "unknown zone": {"availability_zone": "mars"},
        "no servers": {"min_count": 0},
        "fewer than the least": {"min_count": 3, "max_count": 2},
        "count of text": {"min_count": "many"},
        "huge count": {"max_count": 10**30},
        "too many tags": {"tags": [str(number) for number in range(51)]},
        "long tag": {"tags": ["x" * 81]},
        "unknown group": {"security_groups": [{"name": "web"}]},
        "two boot disks": {"block_device_mapping_v2": [disk, disk]},
        "another image on the disk": {"block_device_mapping_v2": [{**disk, "uuid": new_uuid()}]},
        "disk too small": {"block_device_mapping_v2": [{**disk, "volume_size": 0}]},
        "disk too large": {"block_device_mapping_v2": [{**disk, "volume_size": 99999}]},
        "disk of a size that is no number": {"block_device_mapping_v2": [{**disk, "volume_size": "big"}]},
        "disk of negative size": {"block_device_mapping_v2": [{**disk, "volume_size": -1}]},
        "disk of unknown type": {"block_device_mapping_v2": [{**disk, "volume_type": "tape"}]},
        "disks of wrong type": {"block_device_mapping_v2": {"a": 1}},
    }
    good = {"name": "web", "flavorRef": "s3.tiny", "imageRef": image_id}
    return {what: {**good, **change} for what, change in changes.items()}


async def test_each_wrong_field_is_a_bad_request_and_leaves_nothing(door: Door, world: World) -> None:
    statuses = {}
    for what, server in mutated(world).items():
        content = json.dumps({"server": server}).encode()
        statuses[what] = (await door.post(f"{BASE}/servers", content=content)).status_code
    assert statuses == dict.fromkeys(statuses, 400)
    assert (await door.get(f"{BASE}/servers")).json() == {"servers": []}
    assert await world.queued_jobs() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"personality": [{"path": "/etc/motd", "contents": ""}]},
        {"block_device_mapping": [{"device_name": "vdb", "volume_id": "x"}]},
        {"block_device_mapping_v2": [{"boot_index": -1, "source_type": "blank", "destination_type": "local"}]},
    ],
    ids=str,
)
async def test_what_is_legal_and_not_offered_says_so(door: Door, world: World, fields: dict[str, Any]) -> None:
    body = {"server": {"name": "web", "flavorRef": "s3.tiny", "imageRef": world.image.id, **fields}}
    assert (await door.post(f"{BASE}/servers", json=body)).status_code == 501


async def test_what_is_no_json_object_is_a_bad_request_everywhere(door: Door, world: World) -> None:
    server = await a_server(world)
    url = f"{BASE}/servers/{server.id}"
    targets = [
        ("POST", f"{BASE}/servers"),
        ("POST", f"{url}/action"),
        ("PUT", url),
        ("PUT", f"{url}/metadata"),
        ("POST", f"{url}/metadata"),
        ("PUT", f"{url}/metadata/key"),
        ("POST", f"{BASE}/os-keypairs"),
    ]
    for method, target in targets:
        for content in RAW:
            answer = await door.request(method, target, content=content)
            assert answer.status_code == 400, (method, target, content[:60], answer.text[:200])
    assert await world.server(server.id) == server


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
_FIELDS = [
    *("name", "flavorRef", "imageRef", "networks", "key_name", "user_data", "security_groups", "metadata"),
    *("availability_zone", "min_count", "max_count", "adminPass", "description", "tags", "block_device_mapping_v2"),
]


async def test_no_value_in_no_field_breaks_the_door(door: Door, world: World) -> None:
    good = {"name": "web", "flavorRef": "s3.tiny", "imageRef": world.image.id}
    server = await a_server(world, VmState.ERROR)
    statuses: set[int] = set()
    cases: list[tuple[str, Any]] = []

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from([*_FIELDS, "action", "body", "argument"]), json_values)
    def collect(field: str, value: Any) -> None:
        cases.append((field, value))

    collect()
    for field, value in cases:
        url, body = f"{BASE}/servers", {"server": {**good, field: value}}
        if field == "body":
            body = value
        elif field in {"action", "argument"}:
            url, body = f"{BASE}/servers/{server.id}/action", value
            if field == "argument":
                body = {"reboot": value}
        content = json.dumps(body).encode()
        answer = await door.post(url, content=content)
        statuses.add(answer.status_code)
        assert answer.status_code < 500 or answer.status_code == 501, (field, value, answer.text)
    assert 400 in statuses
