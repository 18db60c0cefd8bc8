"""Images of volumes and of whole servers, through the door: what they are, and every code they are refused with."""

from typing import Any

import pytest
from msgspec.structs import replace

from stillframe.images import disk_rows
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import TIB
from stillframe.servers.model import DataDisk, Server, TaskState, VmState
from stillframe.volumes import rows as volume_rows
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeStatus
from tests.api.compute_v2.test_attachments import a_volume, volume_now
from tests.api.ims.desk import Desk, code_of
from tests.images.helpers import THEIRS
from tests.servers.world import World, finish_job

ACTION = "/v2/cloudimages/action"
WHOLE = "/v1/cloudimages/wholeimages/action"
OS_VERSION = "Debian GNU/Linux 12.0.0 64bit"


async def a_server(world: World, data_disks: int = 1, vm_state: VmState = VmState.STOPPED, **wanted: Any) -> Server:
    """With real disk files, and no machine."""
    disks = tuple(DataDisk(size_gib=2, name=f"data-{number}") for number in range(data_disks))
    server = await world.create(data_disks=disks, **wanted)
    (job,) = [job for job in await world.queued_jobs() if job.subject_id == server.id]
    await world.run_step(job, "disk")
    await finish_job(world, job)
    return await world.set_server(server.id, vm_state=vm_state, task_state=None, job_id=None)


async def disks_of(world: World, server_id: str) -> tuple[Volume, ...]:
    async with world.database.reading() as tx:
        return (await volumes.list_attached(tx, [server_id]))[server_id]


async def change_volume(world: World, volume: Volume, **changes: Any) -> None:
    async with world.database.writing() as tx:
        await volume_rows.replace_volume(tx, replace(volume, **changes))


async def test_data_disks_become_data_images_in_one_job(desk: Desk) -> None:
    server = await a_server(desk.world, data_disks=2)
    _, one, other = await disks_of(desk.world, server.id)
    free = await a_volume(desk.world)
    wanted = [
        {"name": "first", "volume_id": one.id, "description": "d", "tags": ["a.b"]},
        {"name": "second", "volume_id": other.id},
        {"name": "third", "volume_id": free.id},
    ]
    job = await desk.job("POST", ACTION, {"data_images": wanted, "name": "ignored"})
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsVolumesToSysDataImagesJob")
    entities = job["entities"]
    parts = entities["sub_jobs_result"]
    assert [part["entities"]["image_name"] for part in parts] == ["first", "second", "third"]
    assert {part["job_type"] for part in parts} == {"imsCopyVolumeToImageJob"}
    assert (entities["image_id"], entities["image_name"]) == tuple(parts[0]["entities"].values())
    assert entities["sub_jobs_list"] == [part["job_id"] for part in parts]
    assert (await desk.show_job(parts[1]["job_id"]))["status"] == "SUCCESS"
    image = await desk.shown(entities["image_id"])
    shown = ("virtual_env_type", "__data_origin", "min_disk", "status", "__description", "tags")
    assert [image[name] for name in shown] == ["DataImage", f"volume,{one.id}", 2, "active", "d", ["a=b"]]
    after = [await volume_now(desk.world, volume.id) for volume in (one, other, free)]
    assert [volume.layer_id for volume in after] != [volume.layer_id for volume in (one, other, free)]
    assert {volume.job_id for volume in after} == {None}
    assert (await desk.world.server(server.id)).task_state is None  # type: ignore[union-attr]


async def test_a_data_image_is_made_a_disk_of_again(desk: Desk) -> None:
    free = await a_volume(desk.world)
    wanted = [{"name": "kept", "volume_id": free.id}]
    image_id = (await desk.job("POST", ACTION, {"data_images": wanted}))["entities"]["image_id"]
    copy = await a_volume(desk.world, image_id=image_id, size_gib=None)
    assert (copy.size_gib, copy.bootable, copy.status) == (1, False, VolumeStatus.AVAILABLE)
    refused = await desk.ask("GET", "/v2/cloudimages", params={"virtual_env_type": "DataImage", "name": "kept"})
    assert [image["id"] for image in refused.json()["images"]] == [image_id]


async def test_data_images_are_refused_by_their_codes_in_order(desk: Desk) -> None:
    world = desk.world
    server, elsewhere = await a_server(world), await a_server(world)
    (root, data), (_, far) = await disks_of(world, server.id), await disks_of(world, elsewhere.id)
    theirs = await a_volume(world, THEIRS)

    async def refusal(*entries: dict[str, Any], **more: Any) -> str:
        return await desk.refusal("POST", ACTION, {"data_images": list(entries), **more})

    entry = {"name": "n", "volume_id": data.id}
    assert await refusal(entry, instance_id=server.id) == "IMG.0001"
    assert await refusal(entry, volume_id=data.id) == "IMG.0001"
    assert await refusal(entry, entry) == "IMG.0001"
    assert await refusal({**entry, "tags": ["a.b"], "image_tags": [{"key": "a", "value": "b"}]}) == "IMG.0001"
    assert await refusal(entry, {"name": "other"}) == "IMG.0001"
    assert await refusal(entry, {"name": "other", "volume_id": ""}) == "IMG.0001"
    assert await refusal({"volume_id": data.id}) == "IMG.0013"
    assert await refusal({**entry, "name": "n" * 129}) == "IMG.0002"
    assert await refusal({**entry, "name": "a/b"}) == "IMG.0003"
    assert await refusal({**entry, "description": "d" * 1025}) == "IMG.0004"
    assert await refusal({**entry, "description": "<"}) == "IMG.0054"
    assert await refusal({**entry, "tags": ["ä.b"]}) == "IMG.0115"
    assert await refusal({**entry, "tags": [f"k{n}.v" for n in range(11)]}) == "IMG.0116"
    for unknown in ("x", new_uuid(), theirs.id, root.id):
        assert await refusal({**entry, "volume_id": unknown}) == "IMG.0120"
    assert await refusal(entry, {"name": "far", "volume_id": far.id}) == "IMG.0140"
    await change_volume(world, data, status=VolumeStatus.ERROR)
    assert await refusal(entry) == "IMG.0022"
    await change_volume(world, data)
    await world.set_server(server.id, vm_state=VmState.ACTIVE, task_state=TaskState.POWERING_OFF)
    assert await refusal(entry) == "IMG.0008"
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    assert await refusal(entry) == "IMG.0139"
    await world.set_server(server.id, task_state=None)
    world.choose(image_quota=0)
    assert await refusal(entry) == "IMG.0015"
    world.choose(image_quota=5, image_jobs_limit=0)
    assert await refusal(entry) == "IMG.0060"
    assert (await world.server(server.id)).task_state is None  # type: ignore[union-attr]
    answer = await desk.ask("POST", ACTION, {"data_images": [entry]}, role="readonly")
    assert (answer.status_code, code_of(answer)) == (403, "IMG.0026")


async def test_any_disk_becomes_a_system_image(desk: Desk) -> None:
    server = await a_server(desk.world)
    root, data = await disks_of(desk.world, server.id)
    wanted = {"name": "n", "volume_id": data.id, "os_version": OS_VERSION, "min_ram": 512, "tags": ["a.b"]}
    job = await desk.job("POST", ACTION, wanted)
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsVolumeCreateImageJob")
    assert set(job["entities"]) == {"image_id", "image_name"}
    image = await desk.shown(job["entities"]["image_id"])
    shown = ("virtual_env_type", "__data_origin", "__os_version", "__platform", "min_ram", "tags")
    assert [image[name] for name in shown] == [
        "FusionCompute",
        f"volume,{data.id}",
        OS_VERSION,
        "Debian",
        512,
        ["a=b"],
    ]
    bare_metal = await desk.job("POST", ACTION, {**wanted, "volume_id": root.id, "type": "BMS"})
    image = await desk.shown(bare_metal["entities"]["image_id"])
    assert (image["virtual_env_type"], image["__originalimagename"]) == ("Ironic", desk.world.image.id)


async def test_system_images_of_disks_are_refused_by_their_codes(desk: Desk) -> None:
    world = desk.world
    server = await a_server(world)
    _, data = await disks_of(world, server.id)
    wanted = {"name": "n", "volume_id": data.id, "os_version": OS_VERSION}

    async def refusal(**changes: Any) -> str:
        return await desk.refusal("POST", ACTION, {**wanted, **changes})

    assert await refusal(name="") == "IMG.0013"
    assert await refusal(os_version=None) == "IMG.0056"
    assert await refusal(os_version="Debian 12") == "IMG.0056"
    assert await refusal(type="Toaster") == "IMG.0024"
    assert await refusal(type="IsoImage") == "IMG.0117"
    assert await refusal(description="<") == "IMG.0054"
    assert await refusal(min_ram=-1) == "IMG.0055"
    assert await refusal(enterprise_project_id="x") == "IMG.0155"
    assert await refusal(volume_id=new_uuid()) == "IMG.0120"
    await change_volume(world, data, job_id="f" * 32)
    assert await refusal() == "IMG.0022"
    await change_volume(world, data)
    await world.set_server(server.id, vm_state=VmState.ACTIVE)
    assert await refusal() == "IMG.0008"
    await world.set_server(server.id, vm_state=VmState.STOPPED, task_state=TaskState.POWERING_ON)
    assert await refusal() == "IMG.0010"


async def test_a_whole_server_becomes_one_image_and_a_server_again(desk: Desk) -> None:
    world = desk.world
    server = await a_server(world, data_disks=2)
    job = await desk.job("POST", WHOLE, {"name": "whole", "instance_id": server.id, "image_tags": [], "vault_id": "v"})
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsCreateWholeImageByInstanceJob")
    assert set(job["entities"]) == {"image_id", "image_name"}
    image_id = job["entities"]["image_id"]
    image = await desk.shown(image_id)
    shown = ("__whole_image", "virtual_env_type", "min_disk", "__data_origin")
    assert [image[name] for name in shown] == [True, "FusionCompute", 1, f"instance,{server.id}"]
    twin = await world.create(image_id=image_id, data_disks=(DataDisk(size_gib=5),))
    disks = await disks_of(world, twin.id)
    assert [(disk.size_gib, disk.name, disk.attachment.device) for disk in disks if disk.attachment] == [
        (1, "", "/dev/vda"),
        (2, "data-0", "/dev/vdb"),
        (2, "data-1", "/dev/vdc"),
        (5, "", "/dev/vdd"),
    ]
    for path, body, code in (
        (f"/v1/cloudimages/{image_id}/file", {"bucket_url": "b:k", "file_format": "qcow2"}, "IMG.0128"),
        (f"/v1/cloudimages/{image_id}/copy", {"name": "c"}, "IMG.0130"),
        ("/v1/cloudimages/members", {"images": [image_id], "projects": [THEIRS]}, "IMG.0135"),
    ):
        if code != "IMG.0128":  # which looks into the object store
            assert await desk.refusal("POST", path, body) == code
    deleted = await desk.ask("DELETE", f"/v2/images/{image_id}", {"delete_backup": True})
    assert deleted.status_code == 204
    async with world.database.reading() as tx:
        assert await disk_rows.list_disks(tx, image_id) == []


async def test_whole_images_are_refused_by_their_codes(desk: Desk) -> None:
    world = desk.world
    server = await a_server(world)
    root, data = await disks_of(world, server.id)
    wanted: dict[str, Any] = {"name": "n", "instance_id": server.id}

    async def refusal(**changes: Any) -> str:
        return await desk.refusal("POST", WHOLE, {**wanted, **changes})

    assert await desk.refusal("POST", WHOLE, {}) == "IMG.0007"
    assert await refusal(tags=["a.b"], image_tags=[{"key": "a"}]) == "IMG.0001"
    assert await refusal(backup_id=new_uuid()) == "IMG.0001"
    assert await refusal(name=None) == "IMG.0013"
    assert await refusal(description="\n") == "IMG.0054"
    assert await refusal(tags=["."]) == "IMG.0115"
    assert await refusal(whole_image_type="VBS") == "IMG.0001"
    assert await refusal(instance_id=None) == "IMG.0019"
    assert await refusal(instance_id=None, backup_id="") == "IMG.0019"
    assert await refusal(instance_id=None, backup_id=new_uuid()) == "IMG.0020"
    assert await refusal(instance_id=None, backup_id=new_uuid(), whole_image_type="CBR") == "IMG.0180"
    assert await refusal(instance_id="") == "IMG.0012"
    assert await refusal(min_ram=4, max_ram=2) == "IMG.0055"
    assert await refusal(enterprise_project_id="x") == "IMG.0155"
    assert await refusal(instance_id=new_uuid()) == "IMG.0005"
    await world.set_server(server.id, task_state=TaskState.POWERING_ON)
    assert await refusal() == "IMG.0010"
    await world.set_server(server.id, task_state=None, vm_state=VmState.ERROR)
    assert await refusal() == "IMG.0126"
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    await change_volume(world, data, status=VolumeStatus.DETACHING)
    assert await refusal() == "IMG.0110"
    await change_volume(world, data)
    await change_volume(world, root, size_bytes=TIB + 1)
    assert await refusal() == "IMG.0111"
    await change_volume(world, root, image_metadata={"disk_format": "iso"})
    assert await refusal() == "IMG.0063"
    await change_volume(world, root, attachment=None)
    assert await refusal() == "IMG.0119"
    await change_volume(world, root)
    world.choose(image_quota=0)
    assert await refusal() == "IMG.0015"
    world.choose(image_quota=5)
    assert (await desk.ask("POST", WHOLE, wanted)).status_code == 200
    assert await refusal() == "IMG.0136"


@pytest.mark.parametrize("entries", [5, [5], [{"volume_id": 7}]], ids=str)
async def test_data_images_of_another_form_are_refused(desk: Desk, entries: Any) -> None:
    assert await desk.refusal("POST", ACTION, {"data_images": entries}) == "IMG.0001"


async def test_a_failed_capture_leaves_every_disk_as_it_was(desk: Desk) -> None:
    """The job is cancelled after the new layers were made."""
    world = desk.world
    server = await a_server(world, data_disks=2)
    before = await disks_of(world, server.id)
    job_id = (await desk.ask("POST", WHOLE, {"name": "n", "instance_id": server.id})).json()["job_id"]
    job = await world.job(job_id)
    await world.run_step(job, "make_overlay")
    assert (await desk.ask("DELETE", f"/v1/{job.project_id}/jobs/{job_id}")).status_code == 204
    await world.run_jobs()
    assert (await desk.show_job(job_id))["status"] == "FAIL"
    assert await disks_of(world, server.id) == before
    assert (await world.server(server.id)).task_state is None  # type: ignore[union-attr]
