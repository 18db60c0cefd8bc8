"""Volumes, snapshots and attachments by clients nobody here wrote, unmodified, against the running system.

On SQLite only: what differs between the databases is tested through the door.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import openstack
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkevs import v2 as evs

from tests.clients.command_line import CommandLine
from tests.clients.otc import OtcConnection
from tests.conftest import BACKENDS
from tests.system import System

pytestmark = [pytest.mark.client, pytest.mark.parametrize("system", BACKENDS[:1], indirect=True)]
T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 90.0) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.1)
    return found


@pytest.fixture
def command(system: System) -> CommandLine:
    return CommandLine(system)


def is_available(command: CommandLine, kind: str, name: str) -> None:
    until(lambda: command.read(f"{kind} show {name}")["status"] == "available")


def test_the_command_makes_changes_and_deletes_volumes_and_snapshots(command: CommandLine) -> None:
    made = command.read("volume create --size 1 --type SSD --description d --property a=b --property e=f osc-v")
    assert (made["size"], made["type"], made["bootable"], made["properties"]) == (1, "SSD", False, {"a": "b", "e": "f"})
    is_available(command, "volume", "osc-v")
    command.run("volume set --name osc-w --description other --property c=d osc-v")
    command.run("volume set --size 2 osc-w")
    is_available(command, "volume", "osc-w")
    command.run("volume set --bootable osc-w")
    command.run("volume unset --property a osc-w")
    shown = command.read("volume show osc-w")
    assert (shown["size"], shown["bootable"], shown["description"]) == (2, True, "other")
    assert shown["properties"] == {"c": "d", "e": "f"}
    assert [one["Name"] for one in command.read("volume list --long --property c=d")] == ["osc-w"]

    assert command.read("volume snapshot create --volume osc-w --property x=y osc-s")["size"] == 2
    is_available(command, "volume snapshot", "osc-s")
    command.run("volume snapshot set --name osc-t --description t --property z=1 osc-s")
    command.run("volume snapshot unset --property x osc-t")
    (listed,) = command.read("volume snapshot list --long --volume osc-w --status available")
    assert (listed["Name"], listed["Description"], listed["Properties"]) == ("osc-t", "t", {"z": "1"})

    command.run("volume create --snapshot osc-t osc-from-snapshot")
    command.run("volume create --source osc-w --size 3 osc-clone")
    for name, size in (("osc-from-snapshot", 2), ("osc-clone", 3)):
        is_available(command, "volume", name)
        assert command.read(f"volume show {name}")["size"] == size
    assert "1 of 1 volumes failed" in command.refused("volume delete osc-w")  # it has a snapshot
    command.run("volume snapshot delete osc-t")
    command.run("volume delete osc-w osc-from-snapshot osc-clone")
    assert "No Volume found for osc-w" in command.refused("volume show osc-w")


def test_the_command_makes_an_image_of_a_volume_of_an_image(command: CommandLine) -> None:
    command.read("volume create --size 1 --image stillframe-tiny osc-boot")
    made = command.read("volume show osc-boot")
    assert made["volume_image_metadata"]["image_name"] == "stillframe-tiny"
    is_available(command, "volume", "osc-boot")
    assert command.read("image create --volume osc-boot osc-uploaded")["image_name"] == "osc-uploaded"
    until(lambda: command.read("image show osc-uploaded")["status"] == "active")
    is_available(command, "volume", "osc-boot")
    command.run("image delete osc-uploaded")
    command.run("volume delete --purge osc-boot")


def test_the_command_tells_of_types_zones_and_quotas(command: CommandLine) -> None:
    assert {"SATA", "SAS", "SSD"} <= {one["Name"] for one in command.read("volume type list --long")}
    assert command.read("volume type show SSD")["is_public"] is True
    assert command.read("availability zone list --volume")[0]["Zone Status"] == "available"
    quotas = {one["Resource"]: one["Limit"] for one in command.read("quota show --volume")}
    assert quotas["volumes"] > 0
    assert "Volume type nosuch could not be found" in command.refused("volume create --size 1 --type nosuch v")
    for what in ("volume backup", "volume message", "volume qos", "volume group", "volume attachment"):
        command.run(f"{what} list")
    command.run("volume summary")


def test_openstacksdk_attaches_snapshots_and_grows(system: System, marked_server: str) -> None:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    connection: Any = OtcConnection(config=config.get_one("stillframe"))
    storage, compute = connection.block_storage, connection.compute

    def settled(resource: Any, status: str = "available") -> Any:
        return storage.wait_for_status(resource, status, interval=0.2, wait=90)

    volume = settled(storage.create_volume(size=1, name="sdk-v"))
    attached = compute.create_volume_attachment(marked_server, volume_id=volume.id, delete_on_termination=False)
    assert attached.device == "/dev/vdb"
    (attachment,) = settled(volume, "in-use").attachments
    assert (attachment["server_id"], attachment["device"]) == (marked_server, "/dev/vdb")
    compute.update_volume_attachment(marked_server, volume.id, delete_on_termination=True)
    assert compute.get_volume_attachment(marked_server, volume.id).delete_on_termination is True
    assert {found.volume_id for found in compute.volume_attachments(marked_server)} > {volume.id}
    assert volume.id in {found.volume_id for found in storage.attachments()}
    compute.delete_volume_attachment(marked_server, volume.id)
    settled(volume)

    storage.extend_volume(volume, 2)
    assert settled(storage.get_volume(volume)).size == 2
    snapshot = settled(storage.create_snapshot(volume_id=volume.id, name="sdk-s"))
    copy = settled(storage.create_volume(name="sdk-copy", snapshot_id=snapshot.id, size=2))
    assert (snapshot.size, copy.snapshot_id) == (2, snapshot.id)
    storage.delete_snapshot(snapshot)
    storage.wait_for_delete(snapshot, interval=0.2, wait=90)
    for one in (volume, copy):
        connection.delete_volume(one.id, wait=True, timeout=90)
    assert storage.get_limits().absolute.max_total_volumes > 0
    assert storage.get_quota_set(system.project_id(), usage=True).volumes > 0


@pytest.fixture
def evs_client(system: System) -> evs.EvsClient:
    account = system.cloud()
    credentials = BasicCredentials(account["ak"], account["sk"], system.project_id())
    return evs.EvsClient.new_builder().with_credentials(credentials).with_endpoint(system.url("volume")).build()


def evs_job(client: evs.EvsClient, job_id: str) -> Any:
    def finished() -> Any:
        job = client.show_job(evs.ShowJobRequest(job_id=job_id))
        return job if job.status in {"SUCCESS", "FAIL"} else None

    job = until(finished)
    assert job.status == "SUCCESS", job
    return job


def test_huaweicloudsdkevs_drives_volumes_by_jobs(evs_client: evs.EvsClient) -> None:
    wanted = evs.CreateVolumeOption(name="h", size=10, volume_type="SSD", availability_zone="eu-de-01", tags={"a": "b"})
    made = evs_client.create_volume(evs.CreateVolumeRequest(body=evs.CreateVolumeRequestBody(volume=wanted)))
    entities = evs_job(evs_client, made.job_id).entities
    assert [entities.volume_id] == made.volume_ids
    assert (entities.name, entities.size, entities.volume_type) == ("h", 10, "SSD")
    (listed,) = evs_client.list_volumes(evs.ListVolumesRequest(id=entities.volume_id)).volumes
    assert (listed.status, listed.tags, listed.shareable) == ("available", {"a": "b"}, "false")
    change = evs.UpdateVolumeRequestBody(volume=evs.UpdateVolumeOption(name="i", description="x"))
    renamed = evs_client.update_volume(evs.UpdateVolumeRequest(volume_id=entities.volume_id, body=change))
    assert (renamed.id, renamed.name) == (entities.volume_id, "i")
    size = evs.ResizeVolumeRequestBody(os_extend=evs.OsExtend(new_size=11))
    resized = evs_client.resize_volume(evs.ResizeVolumeRequest(volume_id=entities.volume_id, body=size))
    evs_job(evs_client, resized.job_id)
    assert evs_client.show_volume(evs.ShowVolumeRequest(volume_id=entities.volume_id)).volume.size == 11

    taken = evs.CreateSnapshotRequestBody(evs.CreateSnapshotOption(volume_id=entities.volume_id, name="hs"))
    snapshot_id = evs_client.create_snapshot(evs.CreateSnapshotRequest(body=taken)).snapshot.id
    show = evs.ShowSnapshotRequest(snapshot_id=snapshot_id)
    until(lambda: evs_client.show_snapshot(show).snapshot.status == "available")
    listing = evs_client.list_snapshots(evs.ListSnapshotsRequest(volume_id=entities.volume_id))
    assert (listing.count, [one.name for one in listing.snapshots]) == (1, ["hs"])
    evs_client.delete_snapshot(evs.DeleteSnapshotRequest(snapshot_id=snapshot_id))

    gone = evs_client.delete_volume(evs.DeleteVolumeRequest(volume_id=entities.volume_id))
    evs_job(evs_client, gone.job_id)
    with pytest.raises(ClientRequestException) as refused:
        evs_client.show_volume(evs.ShowVolumeRequest(volume_id=entities.volume_id))
    assert (refused.value.status_code, refused.value.error_code) == (404, "EVS.1002")
