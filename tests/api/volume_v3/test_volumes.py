"""Volumes through Cinder's door: looked at, paged, and deleted when their server has left them behind."""

import re

from stillframe.kit.ids import new_uuid
from stillframe.servers import service as servers
from stillframe.servers.model import RootDisk
from tests.servers.test_actions import a_server, act, root_volume
from tests.servers.world import OURS, THEIRS, Door, World, caller

BASE = f"/v3/{OURS}"


async def test_the_version_documents_are_those_that_clients_choose_by(door: Door) -> None:
    everything = await door.get("/")
    assert everything.status_code == 300
    versions = {version["id"]: version for version in everything.json()["versions"]}
    assert (versions["v3.0"]["status"], versions["v3.0"]["version"]) == ("CURRENT", "3.59")
    assert versions["v3.0"]["links"][0]["href"] == "http://stillframe.test:8774/v3/"
    assert (await door.get("/v3/")).json()["versions"] == [versions["v3.0"]]
    assert (await door.get("/v2/")).json()["versions"] == [versions["v2.0"]]


async def test_the_answer_tells_the_version_it_was_made_for(door: Door) -> None:
    answer = await door.get(f"{BASE}/types", headers={"OpenStack-API-Version": "volume 3.59"})
    assert answer.headers["OpenStack-API-Version"] == "volume 3.59"
    assert (await door.get(f"{BASE}/types")).headers["OpenStack-API-Version"] == "volume 3.0"
    refused = await door.get(f"{BASE}/types", headers={"OpenStack-API-Version": "volume 3.60"})
    assert refused.status_code == 406


async def test_a_volume_has_the_fields_and_types_that_clients_read(door: Door, world: World) -> None:
    server = await a_server(world)
    volume = await root_volume(world, server.id)
    shown = (await door.get(f"{BASE}/volumes/{volume.id}")).json()["volume"]
    assert set(shown) == {
        *("id", "name", "description", "size", "status", "volume_type", "availability_zone", "bootable", "encrypted"),
        *("multiattach", "snapshot_id", "source_volid", "metadata", "attachments", "created_at", "updated_at"),
        *("user_id", "links", "os-vol-tenant-attr:tenant_id", "replication_status", "consistencygroup_id"),
        "volume_image_metadata",
    }
    assert (shown["size"], shown["bootable"], shown["status"]) == (1, "true", "in-use")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", shown["created_at"])
    (attachment,) = shown["attachments"]
    assert (attachment["server_id"], attachment["device"]) == (server.id, "/dev/vda")
    metadata = shown["volume_image_metadata"]
    assert (metadata["image_id"], metadata["min_disk"], metadata["__os_type"]) == (world.image.id, "1", "Linux")
    assert all(isinstance(value, str) for value in metadata.values())


async def test_lists_are_filtered_and_paged(door: Door, world: World) -> None:
    ids = [(await root_volume(world, (await a_server(world)).id)).id for _ in range(3)]
    await a_server(world, who=caller(THEIRS))
    first = (await door.get(f"{BASE}/volumes/detail?limit=2")).json()
    rest = (await door.get(first["volumes_links"][0]["href"])).json()
    assert [volume["id"] for volume in first["volumes"] + rest["volumes"]] == ids[::-1]
    assert "volumes_links" not in rest
    oldest_first = (await door.get(f"{BASE}/volumes?sort=created_at:asc&offset=1")).json()["volumes"]
    assert [volume["id"] for volume in oldest_first] == ids[1:]
    assert set(oldest_first[0]) == {"id", "name", "links"}
    found = {
        query: len((await door.get(f"{BASE}/volumes/detail?{query}")).json()["volumes"])
        for query in ("status=in-use", "status=available", "name=none", "availability_zone=eu-de-01", "unknown=1")
    }
    assert list(found.values()) == [3, 0, 0, 3, 3]


async def test_a_bad_query_is_a_bad_request(door: Door) -> None:
    bad = ("limit=-1", "offset=x", f"marker={new_uuid()}", "sort=color:asc", "sort_dir=up", "name=%00", "name=%ff")
    statuses = {query: (await door.get(f"{BASE}/volumes?{query}")).status_code for query in bad}
    assert statuses == dict.fromkeys(bad, 400)


async def test_another_projects_volume_is_not_there(door: Door, world: World) -> None:
    theirs = await root_volume(world, (await a_server(world, who=caller(THEIRS))).id)
    for volume_id in (theirs.id, new_uuid(), "tiny", "%00", "x" * 300):
        answer = await door.get(f"{BASE}/volumes/{volume_id}")
        assert (answer.status_code, answer.json()["itemNotFound"]["code"]) == (404, 404)
        assert (await door.delete(f"{BASE}/volumes/{volume_id}")).status_code == 404
    assert (await door.get(f"{BASE}/volumes?all_tenants=1")).status_code == 403


async def test_a_volume_is_deleted_once_its_server_has_left_it(door: Door, world: World) -> None:
    server = await a_server(world, root_disk=RootDisk(delete_on_termination=False))
    volume = await root_volume(world, server.id)
    url = f"{BASE}/volumes/{volume.id}?cascade=False&force=False"
    refused = await door.delete(url)
    assert (refused.status_code, list(refused.json())) == (400, ["badRequest"])
    await act(world, servers.delete_server, server.id)
    await world.run_jobs()
    door.speak_as(OURS, "readonly")
    assert (await door.delete(url)).status_code == 403
    door.speak_as(OURS)
    assert (await door.delete(url)).status_code == 202
    assert (await door.delete(url)).status_code == 404


async def test_types_zones_and_quotas(door: Door, world: World) -> None:
    await a_server(world)
    types = (await door.get(f"{BASE}/types")).json()["volume_types"]
    assert {one["name"] for one in types} == {"SATA", "SAS", "SSD", "GPSSD", "ESSD", "GPSSD2"}
    assert (await door.get(f"{BASE}/types/{types[0]['id']}")).json()["volume_type"] == types[0]
    extra_specs = (await door.get(f"{BASE}/types/{types[0]['id']}/extra_specs")).json()["extra_specs"]
    assert extra_specs == types[0]["extra_specs"]
    assert extra_specs["RESKEY:availability_zones"] == "eu-de-01"
    assert (await door.get(f"{BASE}/types/SSD")).status_code == 404
    (zone,) = (await door.get(f"{BASE}/os-availability-zone")).json()["availabilityZoneInfo"]
    assert zone == {"zoneName": "eu-de-01", "zoneState": {"available": True}}
    quotas = (await door.get(f"{BASE}/os-quota-sets/{OURS}?usage=True")).json()["quota_set"]
    assert quotas["volumes"] == {"limit": 400, "in_use": 1, "reserved": 0}
    assert (await door.get(f"{BASE}/os-quota-sets/{OURS}")).json()["quota_set"]["gigabytes"] == 32768
    limits = (await door.get(f"{BASE}/limits")).json()["limits"]["absolute"]
    assert (limits["totalVolumesUsed"], limits["totalGigabytesUsed"]) == (1, 1)
    assert (await door.get(f"{BASE}/snapshots")).json() == {"snapshots": []}


async def test_administrators_set_quotas_that_hold_for_one_project(door: Door, world: World) -> None:
    path, body = f"{BASE}/os-quota-sets/{OURS}", {"quota_set": {"volumes": 1, "gigabytes": 3, "tenant_id": OURS}}
    assert (await door.put(path, json=body)).status_code == 403
    assert (await door.delete(path)).status_code == 403
    door.speak_as(OURS, "admin")
    before = (await door.get(path)).json()["quota_set"]
    assert {"id": OURS, **(await door.put(path, json=body)).json()["quota_set"]} == {
        **before,
        "volumes": 1,
        "gigabytes": 3,
    }
    assert (await door.get(f"{path}/defaults")).json()["quota_set"] == before
    door.speak_as(OURS)
    assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 4}})).status_code == 413
    assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 3}})).status_code == 202
    assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 1}})).status_code == 413
    door.speak_as(OURS, "admin")
    assert (await door.put(path, json={"quota_set": {"volumes": -1, "gigabytes": "4"}})).status_code == 200
    assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 1}})).status_code == 202
    for wrong in ({"volumes": -2}, {"gigabytes_SSD": 5}, {"backups": 7}, {"volumes": None}, []):
        assert (await door.put(path, json={"quota_set": wrong})).status_code == 400
    assert (await door.delete(path)).status_code == 200
    assert (await door.get(path)).json()["quota_set"] == before


async def test_what_is_not_offered_yet_says_so(door: Door) -> None:
    answer = await door.post(f"{BASE}/backups", json={})
    assert (answer.status_code, list(answer.json())) == (501, ["notImplemented"])
