"""Volumes and snapshots through Cinder's door: made, cloned, grown, uploaded, deleted, and all that is in between."""

import asyncio
from typing import Any

import pytest

from stillframe.images import rows as image_rows
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Service
from stillframe.kit.ids import new_uuid
from stillframe.layers import rows as layer_rows
from stillframe.layers.model import LayerState
from stillframe.qemu import img
from stillframe.qemu.model import ChainLink
from stillframe.servers.model import VmState
from stillframe.volumes.model import VolumeStatus
from tests.api.compute_v2.test_attachments import volume_now
from tests.api.ims.test_disk_captures import a_server, disks_of
from tests.servers.world import OURS, THEIRS, Door, World

BASE = f"/v3/{OURS}"
LATEST = {"OpenStack-API-Version": "volume 3.59"}


async def create(door: Door, world: World, **wanted: Any) -> dict[str, Any]:
    """A volume as it is shown once it has been made."""
    answer = await door.post(f"{BASE}/volumes", json={"volume": {"size": 1, **wanted}})
    assert answer.status_code == 202, answer.text
    assert answer.json()["volume"]["status"] == "creating"
    await world.run_jobs()
    return await show(door, answer.json()["volume"]["id"])


async def show(door: Door, volume_id: str) -> dict[str, Any]:
    return dict((await door.get(f"{BASE}/volumes/{volume_id}")).json()["volume"])


async def snapshot(door: Door, world: World, volume_id: str, **wanted: Any) -> dict[str, Any]:
    answer = await door.post(f"{BASE}/snapshots", json={"snapshot": {"volume_id": volume_id, **wanted}})
    assert answer.status_code == 202, answer.text
    await world.run_jobs()
    shown = await door.get(f"{BASE}/snapshots/{answer.json()['snapshot']['id']}")
    return dict(shown.json()["snapshot"])


async def do(door: Door, volume_id: str, name: str, argument: Any = None) -> Any:
    return await door.post(f"{BASE}/volumes/{volume_id}/action", json={name: argument})


async def test_a_blank_volume_is_made_with_what_was_asked_for(door: Door, world: World) -> None:
    wanted = {"name": "n", "description": "d", "volume_type": "SAS", "metadata": {"k": "v"}, "imageRef": None}
    volume = await create(door, world, **wanted, availability_zone="eu-de-01", size="3", multiattach=False)
    shown = ("name", "description", "volume_type", "metadata", "size", "status", "bootable", "attachments")
    assert [volume[name] for name in shown] == ["n", "d", "SAS", {"k": "v"}, 3, "available", "false", []]
    assert "volume_image_metadata" not in volume


async def test_a_volume_of_an_image_is_bootable_and_knows_it(door: Door, world: World) -> None:
    volume = await create(door, world, imageRef=world.image.id, size=2)
    assert (volume["bootable"], volume["volume_image_metadata"]["image_id"]) == ("true", world.image.id)


async def test_what_cannot_be_made_is_refused(door: Door, world: World) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "no size": {"size": None},
        "size of nothing": {"size": 0},
        "negative size": {"size": -1},
        "huge size": {"size": 10**30},
        "size in words": {"size": "ten"},
        "larger than can be": {"size": 32769},
        "unknown type": {"volume_type": "tape"},
        "unknown zone": {"availability_zone": "mars"},
        "image that is no uuid": {"imageRef": "tiny"},
        "unknown image": {"imageRef": new_uuid()},
        "two sources": {"imageRef": world.image.id, "snapshot_id": new_uuid()},
        "long name": {"name": "n" * 256},
        "name with NUL": {"name": "a\x00"},
        "metadata of numbers": {"metadata": {"a": 1}},
        "metadata with quotes": {"metadata": {'a"': "b"}},
    }
    answers = {
        name: await door.post(f"{BASE}/volumes", json={"volume": {"size": 1, **fields}})
        for name, fields in wrong.items()
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(wrong, 400)
    for source in ({"snapshot_id": new_uuid()}, {"source_volid": new_uuid()}):
        assert (await door.post(f"{BASE}/volumes", json={"volume": source})).status_code == 404
    for absent in ({"multiattach": True}, {"backup_id": new_uuid()}):
        assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 1, **absent}})).status_code == 501
    door.speak_as(OURS, "readonly")
    assert (await door.post(f"{BASE}/volumes", json={"volume": {"size": 1}})).status_code == 403
    door.speak_as(OURS)
    assert (await door.get(f"{BASE}/volumes")).json()["volumes"] == []


async def test_a_snapshot_outlives_what_is_made_of_it_and_not_its_volume(door: Door, world: World) -> None:
    volume = await create(door, world, size=2, metadata={"a": "b"})
    taken = await snapshot(door, world, volume["id"], name="s", metadata={"k": "v"})
    shown = ("name", "status", "size", "volume_id", "metadata", "os-extended-snapshot-attributes:progress")
    assert [taken[name] for name in shown] == ["s", "available", 2, volume["id"], {"k": "v"}, "100%"]
    copy = await create(door, world, snapshot_id=taken["id"], size=None)
    assert (copy["size"], copy["snapshot_id"], copy["status"]) == (2, taken["id"], "available")
    too_small = {"volume": {"snapshot_id": taken["id"], "size": 1}}
    assert (await door.post(f"{BASE}/volumes", json=too_small)).status_code == 400
    refused = await door.delete(f"{BASE}/volumes/{volume['id']}")
    assert (refused.status_code, list(refused.json())) == (400, ["badRequest"])
    other = await snapshot(door, world, volume["id"])
    assert (await door.delete(f"{BASE}/snapshots/{taken['id']}")).status_code == 202
    assert (await door.get(f"{BASE}/snapshots/{taken['id']}")).status_code == 404
    assert (await door.delete(f"{BASE}/volumes/{volume['id']}?cascade=True")).status_code == 202
    assert (await door.get(f"{BASE}/snapshots/{other['id']}")).status_code == 404
    left = await volume_now(world, copy["id"])
    async with world.database.reading() as tx:
        chain = await layer_rows.get_chain(tx, left.layer_id or "")
    assert [layer.state for layer in chain] == [LayerState.WRITABLE, LayerState.SEALED]


async def test_a_volume_is_cloned_and_both_go_on_alone(door: Door, world: World) -> None:
    source = await create(door, world, imageRef=world.image.id, volume_type="SAS")
    before = await volume_now(world, source["id"])
    clone = await create(door, world, source_volid=source["id"], size=3)
    assert (clone["source_volid"], clone["size"], clone["bootable"]) == (source["id"], 3, "true")
    assert clone["volume_type"] == "SAS"
    after, made = await volume_now(world, source["id"]), await volume_now(world, clone["id"])
    async with world.database.reading() as tx:
        tops = [(await layer_rows.get_layer(tx, one.layer_id or "")) for one in (after, made)]
    assert [top.parent_id for top in tops if top] == [before.layer_id, before.layer_id]
    assert (await door.delete(f"{BASE}/volumes/{source['id']}")).status_code == 202


async def test_a_servers_volume_gives_a_snapshot_by_force_only(door: Door, world: World) -> None:
    server = await a_server(world)
    _, data = await disks_of(world, server.id)
    body = {"snapshot": {"volume_id": data.id}}
    assert (await door.post(f"{BASE}/snapshots", json=body)).status_code == 400
    assert (await snapshot(door, world, data.id, force=True))["status"] == "available"
    assert (await snapshot(door, world, data.id, force="True"))["status"] == "available"
    after = await volume_now(world, data.id)
    assert (after.status, after.layer_id != data.layer_id) == (VolumeStatus.IN_USE, True)
    clone = await create(door, world, source_volid=data.id, size=None)
    assert clone["size"] == 2
    assert (await world.server(server.id)).task_state is None  # type: ignore[union-attr]


async def test_while_a_disk_is_sealed_nothing_else_happens_to_it(door: Door, world: World) -> None:
    server = await a_server(world)
    _, data = await disks_of(world, server.id)
    free = await create(door, world)
    for volume_id in (data.id, free["id"]):
        taken = {"snapshot": {"volume_id": volume_id, "force": True}}
        assert (await door.post(f"{BASE}/snapshots", json=taken)).status_code == 202
    assert (await door.post(f"{BASE}/snapshots", json=taken)).status_code == 400
    assert (await door.delete(f"{BASE}/volumes/{free['id']}?cascade=True")).status_code == 400
    assert (await do(door, free["id"], "os-extend", {"new_size": 9})).status_code == 400
    assert (await do(door, data.id, "os-extend", {"new_size": 9})).status_code == 409
    await world.run_jobs()
    assert (await do(door, data.id, "os-extend", {"new_size": 9})).status_code == 202


async def test_volumes_grow(door: Door, world: World) -> None:
    server = await a_server(world)
    root, data = await disks_of(world, server.id)
    free = await create(door, world)
    assert (await do(door, free["id"], "os-extend", {"new_size": 5})).status_code == 202
    assert (await show(door, free["id"]))["status"] == "extending"
    assert (await do(door, data.id, "os-extend", {"new_size": "7"})).status_code == 202
    await world.run_jobs()
    for volume_id, size, status in ((free["id"], 5, "available"), (data.id, 7, "in-use")):
        shown = await show(door, volume_id)
        assert (shown["size"], shown["status"]) == (size, status)
        grown = await volume_now(world, volume_id)
        path = world.resources.layout.layer(grown.layer_id or "", "qcow2")
        assert await img.virtual_size(ChainLink(path, "qcow2")) == size * 1024**3
    for volume_id, wrong in ((free["id"], 5), (free["id"], 4), (free["id"], 32769), (root.id, 1025), (free["id"], "x")):
        assert (await do(door, volume_id, "os-extend", {"new_size": wrong})).status_code == 400
    taken = await snapshot(door, world, free["id"])
    assert (await create(door, world, snapshot_id=taken["id"], size=None))["size"] == 5


async def test_quotas_are_exact_however_many_ask_at_once(door: Door, world: World) -> None:
    world.choose(volume_quota=5, volume_quota_gib=9, snapshot_quota=2)
    answers = await asyncio.gather(*(door.post(f"{BASE}/volumes", json={"volume": {"size": 1}}) for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] * 5 + [413] * 15
    await world.run_jobs()
    ids = [volume["id"] for volume in (await door.get(f"{BASE}/volumes")).json()["volumes"]]
    grown = await asyncio.gather(*(do(door, volume_id, "os-extend", {"new_size": 3}) for volume_id in ids))
    assert sorted(answer.status_code for answer in grown) == [202, 202, 413, 413, 413]
    world.choose(volume_quota_gib=12)
    await world.run_jobs()
    taken = await asyncio.gather(
        *(door.post(f"{BASE}/snapshots", json={"snapshot": {"volume_id": volume_id}}) for volume_id in ids)
    )
    assert 413 in {answer.status_code for answer in taken}
    usage = (await door.get(f"{BASE}/os-quota-sets/{OURS}?usage=True")).json()["quota_set"]
    assert usage["volumes"] == {"limit": 5, "in_use": 5, "reserved": 0}
    assert usage["gigabytes"]["in_use"] <= 12
    assert usage["snapshots"]["in_use"] == sum(answer.status_code == 202 for answer in taken) <= 2


async def test_a_full_host_takes_no_more_volumes(door: Door, world: World) -> None:
    world.choose(host_disk_reserve_bytes=10**18)
    answer = await door.post(f"{BASE}/volumes", json={"volume": {"size": 1}})
    assert (answer.status_code, list(answer.json())) == (413, ["overLimit"])


async def test_a_volume_is_uploaded_to_an_image(door: Door, world: World) -> None:
    world.choose(consolidate=False)  # the image below has no bytes
    volume = await create(door, world, imageRef=world.image.id)
    wanted = {
        "image_name": "up",
        "disk_format": "raw",
        "container_format": "bare",
        "force": False,
        "__os_type": "Linux",
    }
    answer = await do(door, volume["id"], "os-volume_upload_image", wanted)
    assert answer.status_code == 202, answer.text
    told = answer.json()["os-volume_upload_image"]
    shown = ("id", "image_name", "container_format", "disk_format", "status", "size")
    assert [told[name] for name in shown] == [volume["id"], "up", "bare", "qcow2", "uploading", 1]
    assert (await show(door, volume["id"]))["status"] == "uploading"
    await world.run_jobs()
    assert (await show(door, volume["id"]))["status"] == "available"
    async with world.database.reading() as tx:
        image = await image_rows.get_image(tx, told["image_id"])
    assert image is not None
    assert (str(image.status), image.name, image.min_disk_gib, image.origin) == (
        "active",
        "up",
        1,
        f"volume,{volume['id']}",
    )
    server = await a_server(world, vm_state=VmState.STOPPED)
    root, _ = await disks_of(world, server.id)
    assert (await do(door, root.id, "os-volume_upload_image", {"image_name": "x"})).status_code == 400
    assert (await do(door, root.id, "os-volume_upload_image", {"image_name": "x", "force": True})).status_code == 202
    await world.run_jobs()
    assert (await show(door, root.id))["status"] == "in-use"
    assert (await do(door, root.id, "os-volume_upload_image", {"image_name": ""})).status_code == 400
    assert (
        await do(door, root.id, "os-volume_upload_image", {"image_name": "x", "disk_format": "vmdk"})
    ).status_code == 501


async def test_reservations_attachments_and_flags(door: Door, world: World) -> None:
    volume, server = await create(door, world), await a_server(world)
    for name, status in (("os-reserve", 202), ("os-reserve", 400), ("os-unreserve", 202), ("os-unreserve", 400)):
        assert (await do(door, volume["id"], name)).status_code == status
    assert (await do(door, volume["id"], "os-reserve")).status_code == 202
    attach = {"instance_uuid": server.id, "mountpoint": "/dev/vdf", "mode": "rw"}
    assert (await do(door, volume["id"], "os-attach", attach)).status_code == 202
    await world.run_jobs()
    attached = await show(door, volume["id"])
    assert (attached["status"], attached["attachments"][0]["device"]) == ("in-use", "/dev/vdf")
    listed = (await door.get(f"{BASE}/attachments", headers=LATEST)).json()["attachments"]
    assert attached["attachments"][0]["attachment_id"] in {entry["id"] for entry in listed}
    url = f"{BASE}/attachments/{attached['attachments'][0]['attachment_id']}"
    one = (await door.get(url, headers=LATEST)).json()["attachment"]
    assert (one["status"], one["instance"], one["volume_id"]) == ("attached", server.id, volume["id"])
    assert (await door.get(url)).status_code == 404
    assert (await do(door, volume["id"], "os-begin_detaching")).status_code == 202
    assert (await do(door, volume["id"], "os-roll_detaching")).status_code == 202
    assert (await do(door, volume["id"], "os-detach", {"attachment_id": new_uuid()})).status_code == 404
    assert (await door.delete(url, headers=LATEST)).status_code == 200
    await world.run_jobs()
    assert (await show(door, volume["id"]))["status"] == "available"
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": server.id}}
    assert (await door.post(f"{BASE}/attachments", json=body, headers=LATEST)).status_code == 200
    await world.run_jobs()
    assert (await do(door, volume["id"], "os-detach", {})).status_code == 202
    await world.run_jobs()
    assert (await do(door, volume["id"], "os-set_bootable", {"bootable": True})).status_code == 200
    assert (await do(door, volume["id"], "os-retype", {"new_type": "SATA"})).status_code == 202
    shown = await show(door, volume["id"])
    assert (shown["status"], shown["bootable"], shown["volume_type"]) == ("available", "true", "SATA")
    assert (await do(door, volume["id"], "os-reset_status", {"status": "error"})).status_code == 403
    for name in ("os-migrate_volume", "revert", "os-initialize_connection"):
        assert (await do(door, volume["id"], name, {})).status_code == 501
    assert (await do(door, volume["id"], "os-sing")).status_code == 400
    assert (await door.post(f"{BASE}/volumes/{volume['id']}/action", json={})).status_code == 400
    assert (await do(door, new_uuid(), "os-extend", {"new_size": 2})).status_code == 404


async def test_image_metadata_of_a_volume_can_be_changed(door: Door, world: World) -> None:
    volume = await create(door, world, imageRef=world.image.id)
    merged = await do(door, volume["id"], "os-set_image_metadata", {"metadata": {"min_ram": "much"}})
    assert merged.json()["metadata"]["min_ram"] == "much"
    assert (await do(door, volume["id"], "os-unset_image_metadata", {"key": "checksum"})).status_code == 200
    assert (await do(door, volume["id"], "os-unset_image_metadata", {"key": "checksum"})).status_code == 404
    known = (await do(door, volume["id"], "os-show_image_metadata")).json()["metadata"]
    assert (known["image_id"], "checksum" in known) == (world.image.id, False)


@pytest.mark.parametrize("kind", ["volumes", "snapshots"])
async def test_metadata_and_names_can_be_changed(door: Door, world: World, kind: str) -> None:
    volume = await create(door, world, name="v")
    what = volume if kind == "volumes" else await snapshot(door, world, volume["id"], name="v")
    url = f"{BASE}/{kind}/{what['id']}"
    single = kind.removesuffix("s")
    renamed = await door.put(url, json={single: {"name": "w", "description": "d"}})
    assert (renamed.json()[single]["name"], renamed.json()[single]["description"]) == ("w", "d")
    assert (await door.put(f"{url}/metadata", json={"metadata": {"a": "1"}})).json() == {"metadata": {"a": "1"}}
    merged = await door.post(f"{url}/metadata", json={"metadata": {"b": "2"}})
    assert merged.json() == {"metadata": {"a": "1", "b": "2"}}
    assert (await door.put(f"{url}/metadata/a", json={"meta": {"a": "3"}})).json() == {"meta": {"a": "3"}}
    assert (await door.put(f"{url}/metadata/a", json={"meta": {"b": "3"}})).status_code == 400
    assert (await door.get(f"{url}/metadata/a")).json() == {"meta": {"a": "3"}}
    assert (await door.delete(f"{url}/metadata/a")).status_code == 200
    assert (await door.delete(f"{url}/metadata/a")).status_code == 404
    assert (await door.get(f"{url}/metadata")).json() == {"metadata": {"b": "2"}}
    door.speak_as(THEIRS)
    assert (await door.get(f"/v3/{THEIRS}/{kind}/{what['id']}")).status_code == 404
    assert (await door.put(f"/v3/{THEIRS}/{kind}/{what['id']}/metadata", json={"metadata": {}})).status_code == 404


async def test_lists_are_sorted_filtered_counted_and_paged(door: Door, world: World) -> None:
    first = await create(door, world, name="b", size=1, metadata={"k": "v"})
    second = await create(door, world, name="a", size=3)
    taken = [await snapshot(door, world, one["id"], name=one["name"]) for one in (first, second)]
    queries = {
        "sort=size:desc": ["a", "b"],
        "sort=name:asc": ["a", "b"],
        "sort_key=name&sort_dir=desc": ["b", "a"],
        "metadata={'k': 'v'}": ["b"],
        'metadata={"k": "w"}': [],
        "bootable=true": [],
        f"id={second['id']}": ["a"],
        f"marker={second['id']}": ["b"],
    }
    for query, names in queries.items():
        listed = (await door.get(f"{BASE}/volumes/detail?{query}")).json()["volumes"]
        assert [volume["name"] for volume in listed] == names, query
    for wrong in ("metadata=[1]", "metadata={'\"': '1'}", "sort=color"):
        assert (await door.get(f"{BASE}/volumes?{wrong}")).status_code == 400, wrong
    counted = (await door.get(f"{BASE}/volumes?with_count=True&limit=1")).json()
    assert (counted["count"], len(counted["volumes"])) == (2, 1)
    page = (await door.get(f"{BASE}/snapshots/detail?limit=1&sort=name:asc&with_count=True")).json()
    assert ([one["id"] for one in page["snapshots"]], page["count"]) == ([taken[1]["id"]], 2)
    rest = (await door.get(page["snapshots_links"][0]["href"])).json()["snapshots"]
    assert [one["id"] for one in rest] == [taken[0]["id"]]
    of_first = (await door.get(f"{BASE}/snapshots?volume_id={first['id']}")).json()["snapshots"]
    assert [one["name"] for one in of_first] == ["b"]
    summary = (await door.get(f"{BASE}/volumes/summary", headers=LATEST)).json()["volume-summary"]
    assert summary == {"total_count": 2, "total_size": 4, "metadata": {"k": ["v"]}}


async def test_a_volume_that_could_not_be_made_is_in_error_and_can_be_deleted(door: Door, world: World) -> None:
    """Its job is cancelled before it did anything."""
    answer = await door.post(f"{BASE}/volumes", json={"volume": {"size": 1}})
    volume_id = answer.json()["volume"]["id"]
    (job,) = await world.queued_jobs()
    async with world.database.writing() as tx:
        await jobs.cancel_job(tx, job.id, project_id=OURS, service=Service.EVS)
    await world.run_jobs()
    assert (await show(door, volume_id))["status"] == "error"
    assert (await door.post(f"{BASE}/snapshots", json={"snapshot": {"volume_id": volume_id}})).status_code == 400
    assert (await door.delete(f"{BASE}/volumes/{volume_id}")).status_code == 202
