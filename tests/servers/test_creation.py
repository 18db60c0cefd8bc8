"""Making a server: the checks, the quotas to the last unit, and what is left when a check refuses."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from stillframe.errors import (
    ForbiddenError,
    HostMemoryError,
    InvalidInputError,
    ServerQuotaExceededError,
    StillframeError,
    UnavailableError,
    VolumeQuotaExceededError,
)
from stillframe.images.model import ImageKind, ImageStatus, Visibility
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import GIB
from stillframe.layers import service as layers
from stillframe.layers.model import LayerState
from stillframe.networks.ports import WantedNic
from stillframe.servers import creation, hosts, keypairs
from stillframe.servers import rows as server_rows
from stillframe.servers.model import RootDisk, ServerStatus, TaskState
from stillframe.volumes import service as volumes
from stillframe.volumes.model import VolumeStatus
from tests.servers.world import OURS, THEIRS, World, add_image, caller


async def count(world: World, table: sa.Table) -> int:
    async with world.database.reading() as tx:
        return int(await tx.scalar(sa.select(sa.func.count()).select_from(table)))


async def test_a_new_server_builds_and_has_a_disk_above_its_image(world: World) -> None:
    server = await world.create()
    assert (server.status, server.task_state) == (ServerStatus.BUILD, TaskState.SCHEDULING)
    async with world.database.reading() as tx:
        volume = await volumes.get_root_volume(tx, server.id)
        assert volume is not None
        assert volume.layer_id is not None
        layer = await layers.get_layer(tx, volume.layer_id)
    assert (volume.status, volume.size_bytes, volume.bootable) == (VolumeStatus.CREATING, GIB, True)
    assert (layer.state, layer.parent_id) == (LayerState.CREATING, world.image.layer_id)
    assert volume.image_metadata is not None
    assert volume.image_metadata["image_id"] == world.image.id
    assert volume.image_metadata["__os_version"] == "Other Linux(64 bit)"
    assert [job.kind for job in await world.queued_jobs()] == ["server_create"]


REFUSALS: dict[str, dict[str, Any]] = {
    "unknown flavor": {"flavor_id": "s9.huge"},
    "flavor that no database can look up": {"flavor_id": "s3.\x00tiny"},
    "unknown image": {"image_id": new_uuid()},
    "unknown network": {"nics": (WantedNic(network_id=new_uuid()),)},
    "unknown security group": {"security_groups": ("web",)},
    "unknown key": {"key_name": "nobody's"},
    "unknown zone": {"availability_zone": "mars-01"},
    "disk smaller than the image": {"root_disk": RootDisk(size_gib=0)},
    "disk larger than any system disk": {"root_disk": RootDisk(size_gib=1025)},
    "unknown volume type": {"root_disk": RootDisk(volume_type="floppy")},
}


@pytest.mark.parametrize("wanted", REFUSALS.values(), ids=REFUSALS)
async def test_what_a_request_names_and_is_not_there_makes_it_invalid(world: World, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        await world.create(**wanted)
    assert await count(world, server_rows.servers) == 0
    assert await world.queued_jobs() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"status": ImageStatus.QUEUED},
        {"status": ImageStatus.DEACTIVATED},
        {"kind": ImageKind.DATA},
        {"disk_format": "vmdk"},
        {"min_ram_mib": 257},
        {"visibility": Visibility.PRIVATE, "project_id": THEIRS},
    ],
    ids=str,
)
async def test_an_image_that_does_not_fit_or_is_not_seen_makes_it_invalid(world: World, fields: dict[str, Any]) -> None:
    image = await add_image(world.resources, **fields)
    with pytest.raises(InvalidInputError):
        await world.create(image_id=image.id)


async def test_the_disk_is_as_large_as_asked_for_and_never_smaller_than_the_image_needs(world: World) -> None:
    image = await add_image(world.resources, min_disk_gib=1, virtual_size_bytes=2 * GIB + 1)
    with pytest.raises(InvalidInputError):
        await world.create(image_id=image.id, root_disk=RootDisk(size_gib=2))
    small = await world.create(image_id=image.id)
    large = await world.create(image_id=image.id, root_disk=RootDisk(size_gib=7))
    async with world.database.reading() as tx:
        sizes = [await volumes.get_root_volume(tx, server.id) for server in (small, large)]
    assert [volume and volume.size_gib for volume in sizes] == [3, 7]


async def test_a_reader_makes_nothing(world: World) -> None:
    with pytest.raises(ForbiddenError):
        await world.create(caller(OURS, "readonly"))


QUOTAS: list[tuple[dict[str, Any], type[StillframeError]]] = [
    ({"server_quota": 3}, ServerQuotaExceededError),
    ({"cores_quota": 3}, ServerQuotaExceededError),
    ({"ram_quota_mib": 3 * 256 + 255}, ServerQuotaExceededError),
    ({"volume_quota": 3}, VolumeQuotaExceededError),
    ({"volume_quota_gib": 3}, VolumeQuotaExceededError),
    ({"host_memory_reserve_mib": 64 * 1024 - 3 * 256 - 255}, HostMemoryError),
]


@pytest.mark.parametrize(("quota", "error"), QUOTAS, ids=str)
async def test_of_many_at_once_exactly_as_many_succeed_as_the_quota_allows(
    world: World, quota: dict[str, Any], error: type[StillframeError]
) -> None:
    world.choose(**quota)
    outcomes = await asyncio.gather(*(world.create() for _ in range(8)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refused) == 5
    assert all(type(outcome) is error for outcome in refused), refused
    assert await count(world, server_rows.servers) == 3


async def test_the_memory_of_the_host_is_counted_over_all_projects_and_only_for_machines(world: World) -> None:
    world.choose(host_memory_reserve_mib=64 * 1024 - 256)
    stopped = await world.create(caller(THEIRS))
    with pytest.raises(HostMemoryError, match="0 MiB are left"):
        await world.create()
    await world.set_server(stopped.id, vm_state="stopped", task_state=None)
    await world.create()


async def test_no_server_is_made_before_a_worker_has_said_what_its_host_has(world: World) -> None:
    async with world.database.writing() as tx:
        await tx.execute(sa.delete(server_rows.hosts))
    with pytest.raises(UnavailableError):
        await world.create()
    async with world.database.writing() as tx:
        await hosts.register_host(tx, 2048)
        await hosts.register_host(tx, 4096)
        assert await server_rows.lock_host_memory(tx, hosts.LOCAL_HOST) == 4096


async def test_a_server_keeps_the_key_it_was_made_with(world: World) -> None:
    async with world.database.writing() as tx:
        made = await keypairs.generate_keypair(tx, caller(), "laptop")
    server = await world.create(key_name="laptop")
    async with world.database.writing() as tx:
        await keypairs.delete_keypair(tx, caller(), "laptop")
    kept = await world.server(server.id)
    assert kept is not None
    assert kept.public_key == made.keypair.public_key


async def test_the_usage_counts_what_is_there(world: World) -> None:
    await world.create()
    await world.create(flavor_id="s3.large.2")
    async with world.database.reading() as tx:
        usage = await creation.get_usage(tx, world.settings, OURS)
        theirs = await creation.get_usage(tx, world.settings, THEIRS)
    assert (usage.servers, usage.cores, usage.ram_mib) == (2, 3, 256 + 4096)
    assert theirs.servers == 0
