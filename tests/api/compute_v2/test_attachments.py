"""Volumes attached to servers and detached from them, as far as rows go; the real thing is in tests/volumes."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from stillframe.kit.ids import new_uuid
from stillframe.servers import service as servers
from stillframe.servers.model import TaskState, VmState
from stillframe.volumes import creation
from stillframe.volumes import rows as volume_rows
from stillframe.volumes import service as volumes
from stillframe.volumes.creation import NewVolume
from stillframe.volumes.model import Volume, VolumeStatus, new_attachment
from tests.servers.test_actions import a_server, act
from tests.servers.world import OURS, THEIRS, Door, World, caller

BASE = f"/v2.1/{OURS}"
LATEST = {"OpenStack-API-Version": "compute 2.89"}


async def a_volume(world: World, project_id: str = OURS, **wanted: Any) -> Volume:
    """One that is ready to be used."""
    async with world.database.writing() as tx:
        new = NewVolume(**{"size_gib": 1, **wanted})
        volume, job = await creation.create_volume(tx, caller(project_id), world.settings, new)
    await world.carry_out(job)
    return await volume_now(world, volume.id)


async def volume_now(world: World, volume_id: str) -> Volume:
    async with world.database.reading() as tx:
        volume = await volume_rows.get_volume(tx, volume_id)
    assert volume is not None
    return volume


def wanted(volume_id: str, **more: Any) -> dict[str, Any]:
    return {"volumeAttachment": {"volumeId": volume_id, **more}}


async def test_a_volume_is_attached_shown_and_detached(door: Door, world: World) -> None:
    server, volume = await a_server(world), await a_volume(world)
    url = f"{BASE}/servers/{server.id}/os-volume_attachments"
    answer = await door.post(url, json=wanted(volume.id, device=None), headers=LATEST)
    assert answer.status_code == 200
    attached = answer.json()["volumeAttachment"]
    assert attached == {
        "volumeId": volume.id,
        "serverId": server.id,
        "device": "/dev/vdb",
        "attachment_id": attached["attachment_id"],
        "bdm_uuid": attached["attachment_id"],
        "tag": None,
        "delete_on_termination": False,
    }
    assert (await volume_now(world, volume.id)).status is VolumeStatus.ATTACHING
    await world.run_jobs()
    assert (await volume_now(world, volume.id)).status is VolumeStatus.IN_USE
    shown = (await door.get(f"{url}/{volume.id}")).json()["volumeAttachment"]
    assert shown == {"id": volume.id, "volumeId": volume.id, "serverId": server.id, "device": "/dev/vdb"}
    update = await door.put(f"{url}/{volume.id}", json=wanted(volume.id, delete_on_termination=True))
    assert (update.status_code, update.content) == (202, b"")  # clients look for keys in a document
    listed = (await door.get(url, headers=LATEST)).json()["volumeAttachments"]
    assert [entry["delete_on_termination"] for entry in listed] == [True, True]
    assert (await door.delete(f"{url}/{volume.id}")).status_code == 202
    assert (await volume_now(world, volume.id)).status is VolumeStatus.DETACHING
    await world.run_jobs()
    free = await volume_now(world, volume.id)
    assert (free.status, free.attachment, free.job_id) == (VolumeStatus.AVAILABLE, None, None)
    assert (await door.get(f"{url}/{volume.id}")).status_code == 404
    assert (await door.delete(f"{url}/{volume.id}")).status_code == 404


async def test_a_place_can_be_chosen_once(door: Door, world: World) -> None:
    server = await a_server(world)
    one, other = await a_volume(world), await a_volume(world)
    url = f"{BASE}/servers/{server.id}/os-volume_attachments"
    first = await door.post(url, json=wanted(one.id, device="/dev/vdd"))
    assert first.json()["volumeAttachment"]["device"] == "/dev/vdd"
    taken = await door.post(url, json=wanted(other.id, device="/dev/sdd"))
    assert (taken.status_code, list(taken.json())) == (409, ["conflictingRequest"])
    for device in ("/dev/vda", "/dev/vdy", "vdb", "/dev/hdb", "/dev/vdb1"):
        assert (await door.post(url, json=wanted(other.id, device=device))).status_code == 400
    assert (await door.post(url, json=wanted(other.id, device="auto"))).json()["volumeAttachment"][
        "device"
    ] == "/dev/vdb"


async def test_what_cannot_be_attached_is_refused(door: Door, world: World) -> None:
    server, volume = await a_server(world), await a_volume(world)
    theirs = await a_volume(world, THEIRS)
    url = f"{BASE}/servers/{server.id}/os-volume_attachments"
    root = (await door.get(url)).json()["volumeAttachments"][0]["volumeId"]
    statuses = {
        name: (await door.post(url, json=wanted(volume_id))).status_code
        for name, volume_id in {"theirs": theirs.id, "none": new_uuid(), "text": "x", "in use": root}.items()
    }
    assert statuses == {"theirs": 404, "none": 404, "text": 404, "in use": 400}
    nowhere = await door.post(f"{BASE}/servers/{new_uuid()}/os-volume_attachments", json=wanted(volume.id))
    assert nowhere.status_code == 404
    assert (await door.delete(f"{url}/{root}")).status_code == 400
    await world.set_server(server.id, task_state=TaskState.POWERING_ON)
    assert (await door.post(url, json=wanted(volume.id))).status_code == 409
    await world.set_server(server.id, task_state=None, vm_state=VmState.ERROR)
    assert (await door.post(url, json=wanted(volume.id))).status_code == 409
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    door.speak_as(OURS, "readonly")
    assert (await door.post(url, json=wanted(volume.id))).status_code == 403
    door.speak_as(OURS)
    swap = await door.put(f"{url}/{root}", json=wanted(volume.id))
    assert swap.status_code == 501


async def test_of_many_attachments_of_one_volume_one_wins(door: Door, world: World) -> None:
    volume = await a_volume(world)
    urls = [f"{BASE}/servers/{(await a_server(world)).id}/os-volume_attachments" for _ in range(5)]
    answers = await asyncio.gather(*(door.post(url, json=wanted(volume.id)) for url in urls))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_a_server_has_at_most_24_disks(door: Door, world: World) -> None:
    server, one_more = await a_server(world), await a_volume(world)
    async with world.database.writing() as tx:
        for index in range(1, 24):
            attachment = new_attachment(server.id, index, None, ends_with_server=False)
            await volume_rows.insert_volume(
                tx, replace(one_more, id=new_uuid(), layer_id=None, status=VolumeStatus.IN_USE, attachment=attachment)
            )
    url = f"{BASE}/servers/{server.id}/os-volume_attachments"
    answer = await door.post(url, json=wanted(one_more.id))
    assert (answer.status_code, list(answer.json())) == (403, ["forbidden"])


@pytest.mark.parametrize("ends_with_server", [True, False])
async def test_a_deleted_server_lets_go_of_its_volumes(world: World, door: Door, ends_with_server: bool) -> None:  # noqa: FBT001
    """One that is being attached or detached at that moment, too; the jobs that do so end without harm."""
    server, volume = await a_server(world), await a_volume(world)
    url = f"{BASE}/servers/{server.id}/os-volume_attachments"
    await door.post(url, json=wanted(volume.id, delete_on_termination=ends_with_server))
    (attaching,) = await world.queued_jobs()
    await act(world, servers.delete_server, server.id)
    deleting = next(job for job in await world.queued_jobs() if job.kind == "server_delete")
    await world.carry_out(deleting)
    await world.carry_out(attaching)
    async with world.database.reading() as tx:
        left = await volume_rows.get_volume(tx, volume.id)
    if ends_with_server:
        assert left is None
    else:
        assert left is not None
        assert (left.status, left.attachment, left.job_id) == (VolumeStatus.AVAILABLE, None, None)


async def test_a_server_is_born_with_several_disks(door: Door, world: World) -> None:
    existing = await a_volume(world)
    image = {"uuid": world.image.id, "source_type": "image", "destination_type": "volume", "boot_index": 0}
    disks = [
        {**image, "volume_size": 2, "delete_on_termination": True},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 3, "boot_index": -1},
        {"source_type": "volume", "destination_type": "volume", "uuid": existing.id, "device_name": "/dev/vdb"},
    ]
    body = {"server": {"name": "web", "flavorRef": "s3.tiny", "networks": "auto", "block_device_mapping_v2": disks}}
    answer = await door.post(f"{BASE}/servers", json=body)
    assert answer.status_code == 202
    server_id = answer.json()["server"]["id"]
    (job,) = await world.queued_jobs()
    await world.run_step(job, "disk")
    async with world.database.reading() as tx:
        attached = (await volumes.list_attached(tx, [server_id]))[server_id]
    assert [(v.size_gib, v.attachment.device, str(v.status)) for v in attached if v.attachment] == [
        (2, "/dev/vda", "in-use"),
        (1, "/dev/vdb", "in-use"),
        (3, "/dev/vdc", "in-use"),
    ]
    assert attached[1].id == existing.id
    shown = (await door.get(f"{BASE}/servers/{server_id}")).json()["server"]
    assert shown["image"]["id"] == world.image.id
    flags = [disk["delete_on_termination"] for disk in shown["os-extended-volumes:volumes_attached"]]
    assert flags == [True, False, False]


async def test_a_server_can_start_from_a_volume(door: Door, world: World) -> None:
    blank, system = await a_volume(world), await a_volume(world, image_id=world.image.id)
    disk = {"source_type": "volume", "destination_type": "volume", "boot_index": "0"}
    server = {"name": "web", "flavorRef": "s3.tiny", "imageRef": "", "networks": "auto"}
    refused = {
        name: await door.post(f"{BASE}/servers", json={"server": {**server, "block_device_mapping_v2": disks}})
        for name, disks in {
            "holds no system": [{**disk, "uuid": blank.id}],
            "not there": [{**disk, "uuid": new_uuid()}],
            "no uuid": [{**disk, "uuid": "x"}],
            "twice": [{**disk, "uuid": system.id}, {**disk, "uuid": system.id, "boot_index": 1}],
            "blank": [{"source_type": "blank", "volume_size": 1, "boot_index": 0}],
            "unknown source": [{**disk, "source_type": "tape", "uuid": system.id}],
            "no size": [{**disk, "uuid": system.id}, {"source_type": "blank", "destination_type": "volume"}],
        }.items()
    }
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 400)
    body = {"server": {**server, "block_device_mapping_v2": [{**disk, "uuid": system.id}]}}
    answer = await door.post(f"{BASE}/os-volumes_boot", json=body)
    assert answer.status_code == 202, answer.text
    attached = await volume_now(world, system.id)
    assert attached.attachment is not None
    assert (attached.status, attached.attachment.boot_index) == (VolumeStatus.ATTACHING, 0)
    shown = (await door.get(f"{BASE}/servers/{answer.json()['server']['id']}")).json()["server"]
    assert shown["image"]["id"] == world.image.id
