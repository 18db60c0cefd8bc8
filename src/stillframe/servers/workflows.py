"""What the jobs of servers do, step by step.

    server_create   disk ──► spawn
    server_start    spawn
    server_stop     power_off
    server_reboot   power_off_first ──► spawn
    server_freeze   freeze
    server_thaw     thaw
    server_delete   end_machine ──► remove

A job owns its server as long as the server's row names it. A deletion takes the row over; from then on the interrupted
job changes nothing any more, and the deletion waits for its end.
"""

import asyncio
import shutil
from typing import Any

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import (
    JobCancelledError,
    NotFoundError,
    StillframeError,
    ToolFailedError,
    UnavailableError,
)
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job, Service
from stillframe.jobs.recipes import Recipe, Step, StepFunction
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import files
from stillframe.layers import service as layers
from stillframe.qemu import machine
from stillframe.qemu.machine_spec import RunningMachine
from stillframe.servers import nics, rows
from stillframe.servers.creation import CREATE_KIND
from stillframe.servers.machines import find_machine, start_machine, stop_machine
from stillframe.servers.model import RULES, WITH_MACHINE, Action, Fault, Server, TaskState, VmState
from stillframe.servers.service import JOB_KINDS
from stillframe.volumes import service as volumes
from stillframe.volumes.model import VolumeStatus

_SETTLE_TIMEOUT_S = 90.0
_SETTLE_PAUSE_S = 0.05


async def _make_disks(resources: Resources, job: Job) -> None:
    """The layers that the request has planned get their files: each a new one above its source's, in no time."""
    await note_task(resources, job, TaskState.BLOCK_DEVICE_MAPPING)
    layer_ids = [disk["layer_id"] for disk in job.args["disks"] if disk["layer_id"]]
    for layer_id in layer_ids:
        await files.create_disk(resources, layer_id)
    async with resources.database.writing() as tx:
        server = await own_server(tx, job)
        for layer_id in layer_ids:
            await layers.activate(tx, layer_id)
        for disk in job.args["disks"]:
            await volumes.set_status(tx, disk["volume_id"], VolumeStatus.IN_USE)
        await rows.replace_server(tx, replace(server, task_state=TaskState.SPAWNING))


async def _spawn(resources: Resources, job: Job) -> None:
    server_id = job.args["server_id"]
    async with resources.database.writing() as tx:
        await own_server(tx, job)
        await jobs.report_progress(tx, job.id, "starting")
    await start_machine(resources, server_id)
    async with resources.database.writing() as tx:
        await finish(tx, job, vm_state=VmState.ACTIVE, launched_at=utcnow())


async def _power_off(resources: Resources, job: Job) -> None:
    await power_off_first(resources, job)
    async with resources.database.writing() as tx:
        await finish(tx, job, vm_state=_end_state(job))


async def power_off_first(resources: Resources, job: Job) -> None:
    """Asks the guest, unless it shall be hard, or could not answer."""
    async with resources.database.writing() as tx:
        server = await own_server(tx, job)
        await jobs.report_progress(tx, job.id, "stopping")
    is_hard = job.args["action"] == Action.HARD_REBOOT or job.args.get("hard", False)
    is_asked = server.vm_state not in {VmState.PAUSED, VmState.SUSPENDED} and not is_hard
    patience_s = resources.settings.machine_stop_timeout_s if is_asked else 0
    await stop_machine(resources, job.args["server_id"], patience_s)


async def _freeze(resources: Resources, job: Job) -> None:
    running = await _machine(resources, job)
    await machine.freeze(running)
    async with resources.database.writing() as tx:
        await finish(tx, job, vm_state=_end_state(job))


async def _thaw(resources: Resources, job: Job) -> None:
    running = await _machine(resources, job)
    await machine.thaw(running)
    async with resources.database.writing() as tx:
        await finish(tx, job, vm_state=_end_state(job))


async def _machine(resources: Resources, job: Job) -> RunningMachine:
    """Raises: ToolFailedError when it has ended meanwhile."""
    async with resources.database.reading() as tx:
        await own_server(tx, job)
    running = await find_machine(resources, job.args["server_id"])
    if running is None:
        raise ToolFailedError("The machine of the server has ended.")
    return running


def _end_state(job: Job) -> VmState:
    return RULES[Action(job.args["action"])].ends_in or VmState.ERROR


async def _end_machine(resources: Resources, job: Job) -> None:
    await _wait_for_interrupted_job(resources, job)
    await stop_machine(resources, job.args["server_id"], 0)


async def _wait_for_interrupted_job(resources: Resources, job: Job) -> None:
    """Two jobs must never work on one machine. Raises: UnavailableError when the other does not end."""
    other_id = job.args["interrupted_job_id"]
    if other_id is None or job.project_id is None:
        return
    for _ in range(int(_SETTLE_TIMEOUT_S / _SETTLE_PAUSE_S)):
        async with resources.database.reading() as tx:
            try:
                other = await jobs.get_job(tx, other_id, project_id=job.project_id, service=Service.ECS)
            except NotFoundError:
                return
        if other.state in FINAL:
            return
        await asyncio.sleep(_SETTLE_PAUSE_S)
    raise UnavailableError("Another job of the server does not end.", cause=f"job {other_id}")


async def _remove(resources: Resources, job: Job) -> None:
    """Everything of the server but the images made from it, and the volumes that shall outlive it."""
    server_id = job.args["server_id"]
    await asyncio.to_thread(shutil.rmtree, resources.layout.machine_dir(server_id), ignore_errors=True)
    async with resources.database.writing() as tx:
        server = await rows.get_server(tx, server_id)
        await volumes.detach_from_deleted_server(tx, server_id, with_volumes=job.args["with_volumes"])
        await nics.release_nics(tx, server_id, with_addresses=job.args["with_addresses"])
        await rows.delete_server(tx, server_id)
        await layers.release(tx, server.cdrom_layer_id if server else None)
        await jobs.succeed_job(tx, job.id, {"server_id": server_id})


# --- common ----------------------------------------------------------------------------------------------------------


async def own_server(tx: Transaction, job: Job) -> Server:
    """The server, locked. Raises: JobCancelledError when it is another job's by now, or gone."""
    server = await rows.get_server(tx, job.args["server_id"], lock=True)
    if server is None or server.job_id != job.id:
        raise JobCancelledError
    return server


async def note_task(resources: Resources, job: Job, task: TaskState) -> None:
    async with resources.database.writing() as tx:
        await rows.replace_server(tx, replace(await own_server(tx, job), task_state=task))


async def finish(tx: Transaction, job: Job, **changes: Any) -> None:
    server = await own_server(tx, job)
    done = {"task_state": None, "job_id": None, "fault": None, "updated_at": utcnow()}
    await rows.replace_server(tx, replace(server, **done, **changes))
    await jobs.succeed_job(tx, job.id, {"server_id": server.id})


def _step(run: StepFunction) -> StepFunction:
    """What every step has in common.

    A job that has ended is left alone: its worker may have died after the last commit and before noting the step, and a
    second run would find the server no longer its own, and end the machine. A failure is noted in the server's row,
    where callers see it once the server is in ERROR.
    """

    async def run_once(resources: Resources, job: Job) -> None:
        if job.state in FINAL:
            return
        try:
            await run(resources, job)
        except JobCancelledError:
            raise
        except StillframeError as error:
            fault = Fault(code=500, message=error.message, created_at=utcnow())
            async with resources.database.writing() as tx:
                await rows.replace_server(tx, replace(await own_server(tx, job), fault=fault))
            raise

    return run_once


async def _undo_build(resources: Resources, job: Job) -> None:
    if job.state in FINAL:
        return
    await stop_machine(resources, job.args["server_id"], 0)
    await _undo(resources, job)


async def _undo(resources: Resources, job: Job) -> None:
    """The server is what its machine is: with one as before, or ACTIVE; else stopped where that was asked for, else in
    ERROR.
    """
    is_running = await find_machine(resources, job.args["server_id"]) is not None
    async with resources.database.writing() as tx:
        try:
            server = await own_server(tx, job)
        except JobCancelledError:
            return
        without = VmState.STOPPED if job.kind == STOP_KIND else VmState.ERROR
        after = (server.vm_state if server.vm_state in WITH_MACHINE else VmState.ACTIVE) if is_running else without
        await give_up(tx, server, vm_state=after)


async def give_up(tx: Transaction, server: Server, **changes: Any) -> None:
    """The task has failed; the server says why."""
    fault = server.fault or Fault(code=500, message=StillframeError.default_message, created_at=utcnow())
    ended = {"task_state": None, "job_id": None, "fault": fault, "updated_at": utcnow()}
    await rows.replace_server(tx, replace(server, **ended, **changes))


STOP_KIND = JOB_KINDS[Action.STOP]


def recipe(kind: str, *steps: tuple[str, StepFunction], undo: StepFunction = _undo) -> Recipe:
    return Recipe(kind=kind, steps=tuple(Step(name, _step(run), attempts=4) for name, run in steps), undo=undo)


RECIPES = (
    recipe(CREATE_KIND, ("disk", _make_disks), ("spawn", _spawn), undo=_undo_build),
    recipe(JOB_KINDS[Action.START], ("spawn", _spawn), undo=_undo_build),
    recipe(STOP_KIND, ("power_off", _power_off)),
    recipe(JOB_KINDS[Action.SOFT_REBOOT], ("power_off", power_off_first), ("spawn", _spawn)),
    recipe(JOB_KINDS[Action.PAUSE], ("freeze", _freeze)),
    recipe(JOB_KINDS[Action.UNPAUSE], ("thaw", _thaw)),
    recipe(JOB_KINDS[Action.DELETE], ("end_machine", _end_machine), ("remove", _remove)),
)
