"""Giving a server another flavor, and making that final or taking it back.

    server_resize          power_off ──► start with the new flavor ──► resized
    server_revert_resize   power_off ──► start with the old flavor ──► as it was

A server that was stopped stays so. The row has the flavor that counts from the request on, and the other one beside
it, so quotas and the host's memory are exact at every moment. No flavor brings a disk, so no disk changes.

Source: OpenStack Compute API reference, "Resize Server", "Confirm Resized Server", "Revert Resized Server".
"""

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobCancelledError
from stillframe.flavors import service as flavors
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.jobs.model import FINAL, Job
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.servers import rows
from stillframe.servers.birth_disks import require_memory
from stillframe.servers.creation import as_invalid_input, require_room_to_grow
from stillframe.servers.hosts import require_host_memory
from stillframe.servers.machines import find_machine, start_machine, stop_machine
from stillframe.servers.model import WITH_MACHINE, Action, ResizedFrom, Server, TaskState, VmState
from stillframe.servers.service import JOB_KINDS, begin, lock_for_action
from stillframe.servers.workflows import finish, give_up, note_task, own_server, power_off_first, recipe
from stillframe.volumes import service as volumes


async def resize_server(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, flavor_id: str, *, confirmed: bool = False
) -> Job:
    """A server that runs is shut down for it, and started again. `confirmed` beforehand, it is final at its end.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError; InvalidInputError for a flavor
    that is not there, too small or the same; ServerQuotaExceededError, HostMemoryError.
    """
    server = await lock_for_action(tx, caller, server_id, Action.RESIZE)
    with as_invalid_input():
        flavor = await flavors.get_flavor(tx, flavor_id)
    if flavor.id == server.flavor.id:
        raise InvalidInputError("When resizing, instances must change flavor!", field="flavorRef")
    root = await volumes.get_root_volume(tx, server.id)
    require_memory((root.image_metadata if root else None) or {}, flavor)
    changed = await _exchange(tx, settings, server, flavor, before=server.vm_state)
    return await begin(tx, caller, settings, changed, Action.RESIZE, {"confirmed": confirmed})


async def confirm_resize(tx: Transaction, caller: Caller, server_id: str) -> None:
    """Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError."""
    server = await lock_for_action(tx, caller, server_id, Action.CONFIRM_RESIZE)
    before = _before(server)
    await rows.replace_server(tx, replace(server, vm_state=before.vm_state, resized_from=None, updated_at=utcnow()))


async def revert_resize(tx: Transaction, caller: Caller, settings: Settings, server_id: str) -> Job:
    """Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError; ServerQuotaExceededError and
    HostMemoryError when others have taken the room meanwhile.
    """
    server = await lock_for_action(tx, caller, server_id, Action.REVERT_RESIZE)
    before = _before(server)
    changed = await _exchange(tx, settings, server, before.flavor, before=before.vm_state)
    return await begin(tx, caller, settings, changed, Action.REVERT_RESIZE)


async def _exchange(tx: Transaction, settings: Settings, server: Server, flavor: Flavor, before: VmState) -> Server:
    await require_room_to_grow(tx, settings, server.project_id, server.flavor, flavor)
    more_mib = flavor.ram_mib - server.flavor.ram_mib
    if server.should_run and more_mib > 0:
        await require_host_memory(tx, settings, more_mib)
    return replace(server, flavor=flavor, resized_from=ResizedFrom(flavor=server.flavor, vm_state=before))


def _before(server: Server) -> ResizedFrom:
    return server.resized_from or ResizedFrom(flavor=server.flavor, vm_state=VmState.STOPPED)


# --- what the jobs do ------------------------------------------------------------------------------------------------


async def _start_resized(resources: Resources, job: Job) -> None:
    await note_task(resources, job, TaskState.RESIZE_FINISH)
    before = await _start_if_it_ran(resources, job)
    async with resources.database.writing() as tx:
        if job.args["confirmed"]:
            await finish(tx, job, vm_state=before.vm_state, resized_from=None)
        else:
            await finish(tx, job, vm_state=VmState.RESIZED)


async def _start_reverted(resources: Resources, job: Job) -> None:
    before = await _start_if_it_ran(resources, job)
    async with resources.database.writing() as tx:
        await finish(tx, job, vm_state=before.vm_state, resized_from=None)


async def _start_if_it_ran(resources: Resources, job: Job) -> ResizedFrom:
    async with resources.database.reading() as tx:
        before = _before(await own_server(tx, job))
    if before.vm_state in WITH_MACHINE:
        await start_machine(resources, job.args["server_id"])
    return before


async def _undo_resize(resources: Resources, job: Job) -> None:
    """The server has its old flavor again, and runs only if its old machine was never stopped."""
    if job.state in FINAL:
        return
    async with resources.database.reading() as tx:
        try:
            task = (await own_server(tx, job)).task_state
        except JobCancelledError:
            return
    if task is TaskState.RESIZE_FINISH:
        await stop_machine(resources, job.args["server_id"], 0)
    runs = await find_machine(resources, job.args["server_id"]) is not None
    async with resources.database.writing() as tx:
        server = await own_server(tx, job)
        before = _before(server)
        as_before = runs or before.vm_state is VmState.STOPPED
        after = before.vm_state if as_before else VmState.ERROR
        await give_up(tx, server, vm_state=after, flavor=before.flavor, resized_from=None)


async def _undo_revert(resources: Resources, job: Job) -> None:
    """The server is stopped for good; it can be started again with its old flavor."""
    if job.state in FINAL:
        return
    await stop_machine(resources, job.args["server_id"], 0)
    async with resources.database.writing() as tx:
        try:
            await give_up(tx, await own_server(tx, job), vm_state=VmState.ERROR, resized_from=None)
        except JobCancelledError:
            return


RECIPES = (
    recipe(JOB_KINDS[Action.RESIZE], ("power_off", power_off_first), ("start", _start_resized), undo=_undo_resize),
    recipe(
        JOB_KINDS[Action.REVERT_RESIZE], ("power_off", power_off_first), ("start", _start_reverted), undo=_undo_revert
    ),
)
