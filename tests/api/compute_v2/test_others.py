"""Flavors, key pairs, zones, limits through Nova's door."""

from typing import Any

import pytest

from stillframe.errors import ServerQuotaExceededError
from tests.servers.world import OURS, THEIRS, Door, World, caller

BASE = f"/v2.1/{OURS}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1nEn8J6kFRtZ1uVhQUx0a3Y0yG8fSO2S5QvWbWlpGJ me"


def at(version: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {version}"}


async def test_flavors_have_the_fields_that_clients_read(door: Door) -> None:
    flavors = {one["id"]: one for one in (await door.get(f"{BASE}/flavors/detail?is_public=None")).json()["flavors"]}
    large = flavors["s3.large.2"]
    assert (large["name"], large["vcpus"], large["ram"], large["disk"], large["swap"]) == ("s3.large.2", 2, 4096, 0, "")
    assert large["os-flavor-access:is_public"] is True
    assert {"s3.tiny", "s3.small.1", "s3.medium.1"} <= set(flavors)
    assert set((await door.get(f"{BASE}/flavors")).json()["flavors"][0]) == {"id", "name", "links"}


@pytest.mark.parametrize(
    ("query", "found"),
    [("minRam=16384", ["s3.xlarge.4"]), ("minDisk=1", []), ("is_public=False", []), ("limit=1", ["s3.tiny"])],
)
async def test_flavors_are_filtered(door: Door, query: str, found: list[str]) -> None:
    assert [one["id"] for one in (await door.get(f"{BASE}/flavors?{query}")).json()["flavors"]] == found


async def test_flavors_are_paged(door: Door) -> None:
    everything = (await door.get(f"{BASE}/flavors")).json()["flavors"]
    seen: list[Any] = []
    url = f"{BASE}/flavors?limit=3"
    while url:
        body = (await door.get(url)).json()
        seen += body["flavors"]
        url = body.get("flavors_links", [{"href": ""}])[0]["href"]
    assert seen == everything
    assert (await door.get(f"{BASE}/flavors?marker=nope")).status_code == 400


async def test_a_flavor_is_found_by_its_id_with_dots(door: Door) -> None:
    answer = await door.get(f"{BASE}/flavors/s3.medium.1", headers=at("2.61"))
    assert answer.json()["flavor"]["extra_specs"]["ecs:performancetype"] == "normal"
    specs = await door.get(f"{BASE}/flavors/s3.medium.1/os-extra_specs")
    assert specs.json()["extra_specs"] == answer.json()["flavor"]["extra_specs"]
    for missing in ("nope", "%00", "x" * 300):
        assert (await door.get(f"{BASE}/flavors/{missing}")).status_code == 404
        assert (await door.get(f"{BASE}/flavors/{missing}/os-extra_specs")).status_code == 404


@pytest.mark.parametrize(("version", "created", "deleted"), [("2.1", 200, 202), ("2.2", 201, 204), ("2.90", 201, 204)])
async def test_key_pairs_come_and_go_with_the_statuses_of_their_version(
    door: Door, version: str, created: int, deleted: int
) -> None:
    answer = await door.post(f"{BASE}/os-keypairs", json={"keypair": {"name": "laptop"}}, headers=at(version))
    assert answer.status_code == created
    made = answer.json()["keypair"]
    assert made["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert ("type" in made) is (version != "2.1")
    listed = (await door.get(f"{BASE}/os-keypairs", headers=at(version))).json()["keypairs"]
    assert [one["keypair"]["name"] for one in listed] == ["laptop"]
    shown = (await door.get(f"{BASE}/os-keypairs/laptop", headers=at(version))).json()["keypair"]
    assert "private_key" not in shown
    assert shown["fingerprint"] == made["fingerprint"]
    gone = await door.delete(f"{BASE}/os-keypairs/laptop", headers=at(version))
    assert (gone.status_code, gone.content) == (deleted, b"")
    assert (await door.delete(f"{BASE}/os-keypairs/laptop")).status_code == 404


async def test_a_key_pair_is_taken_in_once(door: Door) -> None:
    body = {"keypair": {"name": "my key", "public_key": KEY}}
    answer = await door.post(f"{BASE}/os-keypairs", json=body)
    assert answer.json()["keypair"]["public_key"] == KEY
    assert "private_key" not in answer.json()["keypair"]
    assert (await door.get(f"{BASE}/os-keypairs/my key")).status_code == 200
    again = await door.post(f"{BASE}/os-keypairs", json=body)
    assert (again.status_code, list(again.json())) == (409, ["conflictingRequest"])


BAD_KEY_PAIRS: list[Any] = [
    {},
    {"keypair": {}},
    {"keypair": {"name": ""}},
    {"keypair": {"name": 1}},
    {"keypair": {"name": "a/b"}},
    {"keypair": {"name": "x", "public_key": "nonsense"}},
    {"keypair": {"name": "x", "public_key": ""}},
    {"keypair": {"name": "x", "type": "x509"}},
    {"keypair": None},
]


async def test_a_bad_key_pair_is_a_bad_request(door: Door) -> None:
    for body in BAD_KEY_PAIRS:
        answer = await door.post(f"{BASE}/os-keypairs", json=body)
        assert (answer.status_code, list(answer.json())) == (400, ["badRequest"]), body


async def test_there_is_one_zone(door: Door) -> None:
    for path in ("os-availability-zone", "os-availability-zone/detail"):
        (zone,) = (await door.get(f"{BASE}/{path}")).json()["availabilityZoneInfo"]
        assert zone == {"zoneName": "eu-de-01", "zoneState": {"available": True}, "hosts": None}


async def test_limits_and_quotas_tell_what_is_used(door: Door, world: World) -> None:
    await world.create()
    absolute = (await door.get(f"{BASE}/limits")).json()["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalRAMUsed"], absolute["maxTotalInstances"]) == (1, 256, 100)
    assert (await door.get(f"{BASE}/os-quota-sets/{OURS}")).json()["quota_set"]["instances"] == 100
    detail = (await door.get(f"{BASE}/os-quota-sets/{OURS}/detail")).json()["quota_set"]
    assert detail["cores"] == {"limit": 200, "in_use": 1, "reserved": 0}
    assert (await door.get(f"{BASE}/os-quota-sets/{'f' * 32}")).status_code == 404


async def test_administrators_set_quotas_that_hold_for_one_project(door: Door, world: World) -> None:
    path, body = f"{BASE}/os-quota-sets/{OURS}", {"quota_set": {"instances": 2, "cores": "-1"}}
    assert (await door.put(path, json=body)).status_code == 403
    assert (await door.delete(path)).status_code == 403
    await world.create()
    door.speak_as(OURS, "admin")
    before = (await door.get(path)).json()["quota_set"]
    changed = (await door.put(path, json=body)).json()["quota_set"]
    assert {"id": OURS, **changed} == {**before, "instances": 2, "cores": -1}
    assert (await door.get(path)).json()["quota_set"] == {"id": OURS, **changed}
    assert (await door.get(f"{path}/defaults")).json()["quota_set"] == before
    await world.create()
    with pytest.raises(ServerQuotaExceededError, match="already used 2 of 2 instances"):
        await world.create()
    await world.create(who=caller(THEIRS))
    too_little = await door.put(path, json={"quota_set": {"instances": 1}})
    assert (too_little.status_code, "already used and reserved 2" in too_little.text) == (400, True)
    forced = await door.put(path, json={"quota_set": {"instances": 1, "force": True}})
    assert forced.json()["quota_set"]["instances"] == 1
    for wrong in ({"instances": -2}, {"cores": "many"}, {"ram": True}, {"ram": 2**40}, {"key_pairs": 5}, "nonsense"):
        assert (await door.put(path, json={"quota_set": wrong})).status_code == 400
    assert (await door.get(f"{BASE}/os-quota-sets/{THEIRS}")).json()["quota_set"] == {**before, "id": THEIRS}
    assert (await door.delete(path)).status_code == 202
    assert (await door.get(path)).json()["quota_set"] == before
    assert (await door.put(f"{BASE}/os-quota-sets/%00", json=body)).status_code == 404
