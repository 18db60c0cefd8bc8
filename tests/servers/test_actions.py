"""Starting, stopping, rebooting, deleting, capturing: who wins, who is refused, and what a job leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stillframe.errors import (
    ConflictError,
    ForbiddenError,
    HostMemoryError,
    InvalidInputError,
    ServerBusyError,
    ServerHasNoSystemDiskError,
    ServerNotCapturableError,
    ServerNotFoundError,
    ServerNotStoppedError,
    ServerStateError,
    SystemDiskTooLargeError,
    SystemDiskUnavailableError,
)
from stillframe.jobs import service as jobs
from stillframe.jobs.model import JobState, Lane, NewJob, Service
from stillframe.kit.ids import new_uuid
from stillframe.kit.units import GIB, TIB
from stillframe.layers import rows as layer_rows
from stillframe.layers import service as layers
from stillframe.layers.model import LayerState
from stillframe.servers import rows as server_rows
from stillframe.servers import service as servers
from stillframe.servers.listing import ServerQuery
from stillframe.servers.model import RootDisk, Server, ServerStatus, TaskState, VmState
from stillframe.volumes import rows as volume_rows
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeStatus
from tests.servers.world import OURS, THEIRS, World, add_image, caller


async def a_server(world: World, vm_state: VmState = VmState.STOPPED, **wanted: Any) -> Server:
    """One that is done with its creation, as far as rows go."""
    server = await world.create(**wanted)
    async with world.database.writing() as tx:
        volume = await volumes.get_root_volume(tx, server.id)
        assert volume is not None
        assert volume.layer_id is not None
        await layers.activate(tx, volume.layer_id)
        await volumes.set_status(tx, volume.id, VolumeStatus.IN_USE)
        for job in await world.queued_jobs():
            await jobs.succeed_job(tx, job.id, {})
    return await world.set_server(server.id, vm_state=vm_state, task_state=None, job_id=None)


async def root_volume(world: World, server_id: str) -> Volume:
    async with world.database.reading() as tx:
        volume = await volumes.get_root_volume(tx, server_id)
    assert volume is not None
    return volume


def start(world: World, server_id: str) -> Awaitable[Any]:
    return act(world, servers.start_server, server_id)


async def act(world: World, action: Callable[..., Awaitable[Any]], server_id: str, **more: Any) -> Any:
    async with world.database.writing() as tx:
        return await action(tx, caller(), world.settings, server_id, **more)


async def capture(world: World, server_id: str, project_id: str = OURS, *, allow_running: bool = False) -> Any:
    async with world.database.writing() as tx:
        return await servers.lock_for_capture(tx, project_id, server_id, allow_running=allow_running)


async def test_of_many_starts_at_once_one_wins(world: World) -> None:
    server = await a_server(world)
    outcomes = await asyncio.gather(*(start(world, server.id) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, ServerBusyError) for outcome in outcomes) == 5
    assert [job.kind for job in await world.queued_jobs()] == ["server_start"]


async def test_a_start_counts_the_memory_of_the_host(world: World) -> None:
    server = await a_server(world)
    world.choose(host_memory_reserve_mib=64 * 1024 - 255)
    for action, more in ((servers.start_server, {}), (servers.reboot_server, {"hard": True})):
        with pytest.raises(HostMemoryError):
            await act(world, action, server.id, **more)
    assert (await world.server(server.id) or server).task_state is None


async def test_what_a_machine_takes_beside_its_memory_counts_too(world: World) -> None:
    server = await a_server(world)
    world.choose(host_memory_reserve_mib=64 * 1024 - 300, machine_overhead_mib=45)
    with pytest.raises(HostMemoryError):
        await act(world, servers.start_server, server.id)
    world.choose(machine_overhead_mib=44)
    await act(world, servers.start_server, server.id)


@pytest.mark.parametrize(
    ("vm_state", "action", "more"),
    [
        (VmState.ACTIVE, servers.start_server, {}),
        (VmState.ERROR, servers.start_server, {}),
        (VmState.STOPPED, servers.stop_server, {}),
        (VmState.STOPPED, servers.reboot_server, {"hard": False}),
        (VmState.ERROR, servers.reboot_server, {"hard": False}),
    ],
)
async def test_the_wrong_state_refuses_an_action_and_changes_nothing(
    world: World, vm_state: VmState, action: Callable[..., Awaitable[Any]], more: dict[str, Any]
) -> None:
    server = await a_server(world, vm_state)
    with pytest.raises(ServerStateError):
        await act(world, action, server.id, **more)
    assert await world.server(server.id) == server
    assert await world.queued_jobs() == []


async def test_another_projects_server_is_not_there(world: World) -> None:
    theirs = await a_server(world, who=caller(THEIRS))
    for action in (servers.start_server, servers.stop_server, servers.delete_server):
        with pytest.raises(ServerNotFoundError):
            await act(world, action, theirs.id)
    with pytest.raises(ServerNotFoundError):
        await capture(world, theirs.id)
    async with world.database.reading() as tx:
        assert await servers.list_servers(tx, caller(), ServerQuery()) == []
        with pytest.raises(ForbiddenError):
            await servers.list_servers(tx, caller(), ServerQuery(every_project=True))
        with pytest.raises(InvalidInputError):
            await servers.list_servers(tx, caller(), ServerQuery(marker=theirs.id))
        everything = await servers.list_servers(tx, caller(OURS, "admin"), ServerQuery(every_project=True))
    assert [server.id for server in everything] == [theirs.id]


async def test_a_reader_changes_nothing(world: World) -> None:
    server = await a_server(world)
    reader = caller(OURS, "readonly")
    async with world.database.writing() as tx:
        for action in (servers.start_server, servers.stop_server, servers.delete_server):
            with pytest.raises(ForbiddenError):
                await action(tx, reader, world.settings, server.id)
        with pytest.raises(ForbiddenError):
            await servers.set_metadata(tx, reader, server.id, {})
        with pytest.raises(ForbiddenError):
            await servers.update_server(tx, reader, server.id, name="x")
        assert (await servers.get_server(tx, reader, server.id)).id == server.id


# --- captures --------------------------------------------------------------------------------------------------------


async def test_a_capture_locks_the_server_and_knows_its_disk(world: World) -> None:
    server = await a_server(world)
    volume = await root_volume(world, server.id)
    source = await capture(world, server.id)
    assert source.volume == volume
    assert source.image_id == world.image.id
    locked = await world.server(server.id)
    assert locked is not None
    assert (locked.status, locked.task_state) == (ServerStatus.SHUTOFF, TaskState.IMAGE_SNAPSHOT)


async def test_of_two_captures_at_once_one_wins(world: World) -> None:
    server = await a_server(world)
    outcomes = await asyncio.gather(*(capture(world, server.id) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(outcome, ServerBusyError) for outcome in outcomes) == 3


async def test_nothing_else_happens_to_a_server_during_a_capture(world: World) -> None:
    server = await a_server(world)
    await capture(world, server.id)
    for action, more in (
        (servers.start_server, {}),
        (servers.stop_server, {}),
        (servers.reboot_server, {"hard": True}),
        (servers.delete_server, {}),
    ):
        with pytest.raises(ServerBusyError):
            await act(world, action, server.id, **more)
    async with world.database.writing() as tx:
        await servers.unlock_after_capture(tx, server.id)
        await servers.unlock_after_capture(tx, server.id)
    await act(world, servers.delete_server, server.id)


async def test_unlocking_takes_no_other_task_away(world: World) -> None:
    server = await a_server(world)
    await start(world, server.id)
    async with world.database.writing() as tx:
        await servers.unlock_after_capture(tx, server.id)
        await servers.unlock_after_capture(tx, new_uuid())
    assert (await world.server(server.id) or server).task_state is TaskState.POWERING_ON


async def test_a_running_server_is_captured_only_where_that_is_allowed(world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    with pytest.raises(ServerNotStoppedError):
        await capture(world, server.id)
    await capture(world, server.id, allow_running=True)
    assert (await world.server(server.id) or server).status is ServerStatus.ACTIVE


async def test_the_checks_of_a_capture_come_in_their_order(world: World) -> None:
    """Each fault is mended in turn, and the next one shows."""
    iso = await add_image(world.resources, disk_format="iso")
    server = await a_server(world, VmState.ERROR, image_id=iso.id)
    await world.set_server(server.id, task_state=TaskState.POWERING_OFF)
    volume = await root_volume(world, server.id)
    assert volume.attachment is not None

    async def change(**fields: Any) -> None:
        async with world.database.writing() as tx:
            now = await volume_rows.get_volume(tx, volume.id)
            assert now is not None
            values = {name: getattr(now, name) for name in now.__struct_fields__} | fields
            await volume_rows.replace_volume(tx, Volume(**values))

    async def refusal() -> type[BaseException]:
        with pytest.raises(ConflictError) as caught:
            await capture(world, server.id)
        return caught.type

    assert await refusal() is ServerNotCapturableError
    data_disk = {name: getattr(volume.attachment, name) for name in volume.attachment.__struct_fields__}
    await change(
        size_bytes=TIB + 1,
        status=VolumeStatus.ERROR,
        image_metadata=None,
        attachment=type(volume.attachment)(**data_disk | {"boot_index": None}),
    )
    assert await refusal() is ServerBusyError
    await world.set_server(server.id, task_state=None)
    assert await refusal() is ServerNotStoppedError
    await world.set_server(server.id, vm_state=VmState.STOPPED)
    assert await refusal() is ServerHasNoSystemDiskError
    await change(attachment=volume.attachment)
    assert await refusal() is SystemDiskUnavailableError
    await change(status=VolumeStatus.IN_USE)
    assert await refusal() is SystemDiskTooLargeError
    await change(size_bytes=TIB)
    assert (await capture(world, server.id)).volume.size_bytes == TIB


async def test_an_unfinished_capture_of_the_server_counts_as_a_task(world: World) -> None:
    server = await a_server(world)
    async with world.database.writing() as tx:
        job = await jobs.submit_job(
            tx, NewJob(kind="image_capture", service=Service.IMS, lane=Lane.SEAL, subject_id=server.id)
        )
    with pytest.raises(ServerBusyError):
        await capture(world, server.id)
    async with world.database.writing() as tx:
        await jobs.succeed_job(tx, job.id, {})
    await capture(world, server.id)


async def test_a_disk_changes_its_layer_once_and_can_be_told_twice(world: World) -> None:
    server = await a_server(world)
    volume = await root_volume(world, server.id)
    old, new = volume.layer_id or "", new_uuid()
    async with world.database.writing() as tx:
        await layers.plan_overlay(tx, new, world.image.layer_id or "", GIB)
        for _ in range(2):
            await volumes.retarget_layer(tx, volume.id, old, new)
        with pytest.raises(ConflictError):
            await volumes.retarget_layer(tx, volume.id, old, world.image.layer_id or "")
    assert (await root_volume(world, server.id)).layer_id == new


# --- jobs ------------------------------------------------------------------------------------------------------------


async def test_a_machine_that_cannot_be_started_leaves_a_server_in_error_that_says_why(world: World) -> None:
    """The image of this world has no bytes, so no machine can have its disk."""
    server = await world.create()
    await world.run_jobs()
    broken = await world.server(server.id)
    assert broken is not None
    assert (broken.status, broken.task_state, broken.job_id) == (ServerStatus.ERROR, None, None)
    assert broken.fault is not None
    assert broken.fault.message
    assert (await world.job(server.job_id or "")).state is JobState.FAILED


async def test_a_deleted_server_leaves_nothing_behind(world: World) -> None:
    server = await a_server(world)
    volume = await root_volume(world, server.id)
    await act(world, servers.delete_server, server.id)
    await act(world, servers.delete_server, server.id)
    assert (await world.server(server.id) or server).task_state is TaskState.DELETING
    await world.run_jobs()
    async with world.database.reading() as tx:
        assert await server_rows.get_server(tx, server.id) is None
        assert await volume_rows.get_volume(tx, volume.id) is None
        layer = await layer_rows.get_layer(tx, volume.layer_id or "")
        assert layer is not None
        assert layer.state is LayerState.DOOMED
    assert not world.resources.layout.machine_dir(server.id).exists()


async def test_a_volume_that_shall_outlive_its_server_does_and_can_be_deleted_then(world: World) -> None:
    server = await a_server(world, root_disk=RootDisk(delete_on_termination=False))
    volume = await root_volume(world, server.id)
    async with world.database.writing() as tx:
        with pytest.raises(ConflictError):
            await volumes.delete_volume(tx, caller(), volume.id)
    await act(world, servers.delete_server, server.id)
    await world.run_jobs()
    async with world.database.writing() as tx:
        left = await volumes.get_volume(tx, caller(), volume.id)
        assert (left.status, left.attachment) == (VolumeStatus.AVAILABLE, None)
        await volumes.delete_volume(tx, caller(), volume.id)
        layer = await layer_rows.get_layer(tx, volume.layer_id or "")
        assert layer is not None
        assert layer.state is LayerState.DOOMED


@pytest.mark.parametrize("steps_done", [0, 1])
async def test_a_server_can_be_deleted_in_the_middle_of_its_creation(world: World, steps_done: int) -> None:
    server = await world.create()
    creation = await world.job(server.job_id or "")
    volume = await root_volume(world, server.id)
    for name in ("disk",)[:steps_done]:
        await world.run_step(creation, name)
    await act(world, servers.delete_server, server.id)
    assert (await world.job(creation.id)).state is JobState.CANCELLING
    await world.run_jobs()
    assert await world.server(server.id) is None
    assert (await world.job(creation.id)).state is JobState.CANCELLED
    async with world.database.reading() as tx:
        layer = await layer_rows.get_layer(tx, volume.layer_id or "")
    assert layer is not None
    assert layer.state is LayerState.DOOMED


async def test_a_job_whose_server_was_taken_over_changes_nothing(world: World) -> None:
    server = await a_server(world)
    job = await start(world, server.id)
    await world.set_server(server.id, job_id="another", task_state=TaskState.DELETING)
    before = await world.server(server.id)
    await world.carry_out(job)
    assert await world.server(server.id) == before
    assert (await world.job(job.id)).state is JobState.CANCELLED


async def test_every_step_can_be_repeated(world: World) -> None:
    """A worker may die right after a step and before noting it."""
    server = await world.create()
    creation = await world.job(server.job_id or "")
    for _ in range(3):
        await world.run_step(creation, "disk")
    volume = await root_volume(world, server.id)
    assert volume.status is VolumeStatus.IN_USE
    stopped = await a_server(world, VmState.ACTIVE)
    job = await act(world, servers.stop_server, stopped.id)
    for _ in range(3):
        await world.run_step(job, "power_off")
    assert (await world.server(stopped.id) or stopped).status is ServerStatus.SHUTOFF
    assert (await world.job(job.id)).state is JobState.SUCCEEDED
    await act(world, servers.delete_server, stopped.id)
    deletion = next(job for job in await world.queued_jobs() if job.kind == "server_delete")
    for name in ("end_machine", "end_machine", "remove", "remove"):
        await world.run_step(deletion, name)
    assert await world.server(stopped.id) is None


async def test_a_job_that_has_ended_is_not_carried_out_again(world: World) -> None:
    """Its repetition would end a machine that is somebody's by now."""
    server = await a_server(world, VmState.ACTIVE)
    job = await act(world, servers.stop_server, server.id)
    await world.carry_out(job)
    running = await world.set_server(server.id, vm_state=VmState.ACTIVE)
    await world.carry_out(job)
    assert await world.server(server.id) == running
