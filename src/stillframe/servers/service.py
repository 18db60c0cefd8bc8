"""What a caller can do with a server that exists, and what captures and jobs do to its row.

Making a server is in creation.py, key pairs are in keypairs.py.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    ServerBusyError,
    ServerHasNoSystemDiskError,
    ServerNotCapturableError,
    ServerNotFoundError,
    ServerNotStoppedError,
    SystemDiskRefusedError,
    SystemDiskTooLargeError,
    SystemDiskUnavailableError,
)
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_uuid, new_hex_id
from stillframe.kit.units import TIB
from stillframe.networks import ports
from stillframe.servers import listing, rows, tag_rows
from stillframe.servers.hosts import require_host_memory
from stillframe.servers.listing import ServerQuery
from stillframe.servers.model import (
    RULES,
    WITH_MACHINE,
    Action,
    CaptureSource,
    Locker,
    Server,
    TaskState,
    VmState,
    require_legal,
    require_unlocked,
)
from stillframe.volumes import service as volumes
from stillframe.volumes.model import USABLE

MAX_METADATA_ITEMS = 128
CAPTURE_KINDS = ("image_capture", "image_capture_data", "image_capture_volume", "image_capture_whole")
JOB_KINDS: dict[Action, str] = {
    Action.START: "server_start",
    Action.STOP: "server_stop",
    Action.SOFT_REBOOT: "server_reboot",
    Action.HARD_REBOOT: "server_reboot",
    Action.PAUSE: "server_freeze",
    Action.SUSPEND: "server_freeze",
    Action.UNPAUSE: "server_thaw",
    Action.RESUME: "server_thaw",
    Action.SHELVE: "server_stop",
    Action.UNSHELVE: "server_start",
    Action.REBUILD: "server_rebuild",
    Action.RESIZE: "server_resize",
    Action.REVERT_RESIZE: "server_revert_resize",
    Action.DELETE: "server_delete",
}


async def get_server(tx: Transaction, caller: Caller, server_id: str) -> Server:
    """With its volumes; `server_id` may be any text. Raises: ServerNotFoundError, also for another project's server."""
    caller.require_project()
    server = await rows.get_server(tx, server_id) if is_uuid(server_id) else None
    if server is None or not _is_seen_by(caller, server):
        raise _not_found(server_id)
    return (await _with_parts(tx, [server]))[0]


async def list_servers(tx: Transaction, caller: Caller, query: ServerQuery) -> list[Server]:
    """One page, each with its volumes.

    Raises: ForbiddenError; InvalidInputError when the marker is no server that the caller sees.
    """
    if query.every_project and not caller.is_platform_admin:
        raise ForbiddenError("Only an administrator of the platform can list the servers of every project.")
    try:
        after = await get_server(tx, caller, query.marker) if query.marker is not None else None
    except ServerNotFoundError:
        raise InvalidInputError(f"marker [{str(query.marker)[:255]}] not found", field="marker") from None
    project_id = caller.require_project()
    query = await _with_addresses_found(tx, project_id, query)
    return await _with_parts(tx, await listing.list_servers(tx, project_id, query, after))


async def count_servers(tx: Transaction, caller: Caller, query: ServerQuery) -> int:
    """On all pages, of the caller's project."""
    project_id = caller.require_project()
    return await listing.count_servers(tx, project_id, await _with_addresses_found(tx, project_id, query))


async def _with_addresses_found(tx: Transaction, project_id: str, query: ServerQuery) -> ServerQuery:
    if query.address_pattern is None:
        return query
    ids = await ports.servers_with_address(tx, project_id, _address_test(query.address_pattern))
    return replace(query, server_ids=frozenset(ids))


async def start_server(tx: Transaction, caller: Caller, settings: Settings, server_id: str) -> Job:
    """Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError, HostMemoryError."""
    return await act(tx, caller, settings, server_id, Action.START)


async def stop_server(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, *, hard: bool = False
) -> Job:
    """The guest is asked to power off, and stopped by force after a while, or at once.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError.
    """
    return await act(tx, caller, settings, server_id, Action.STOP, args={"hard": hard})


async def reboot_server(tx: Transaction, caller: Caller, settings: Settings, server_id: str, *, hard: bool) -> Job:
    """Soft asks the guest to power off first, hard does not.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError, HostMemoryError.
    """
    return await act(tx, caller, settings, server_id, Action.HARD_REBOOT if hard else Action.SOFT_REBOOT)


async def delete_server(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_id: str,
    *,
    with_volumes: bool = False,
    with_addresses: bool = False,
) -> Job:
    """Ends whatever else is being done to it, but for a capture. Asking twice is harmless, and changes nothing.

    All its volumes go with it where that is asked for, but for those with snapshots, and so do the floating addresses
    of its cards.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError during a capture.
    """
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    require_unlocked(server, caller)
    if server.task_state is TaskState.DELETING and server.job_id is not None:
        return await jobs.find_job(tx, server.job_id, Service.ECS)
    require_legal(server, Action.DELETE)
    if server.job_id is not None:
        with contextlib.suppress(ConflictError):  # it has just ended
            await jobs.cancel_job(tx, server.job_id, project_id=server.project_id, service=Service.ECS)
    args = {
        "interrupted_job_id": server.job_id,
        "with_volumes": with_volumes,
        "with_addresses": with_addresses,
    }
    return await begin(tx, caller, settings, server, Action.DELETE, args)


async def lock_server(tx: Transaction, caller: Caller, server_id: str, reason: str | None = None) -> None:
    """Until it is unlocked, it is left as it is. Locking twice is harmless. Raises: ServerNotFoundError."""
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    is_owner = server.project_id == caller.project_id
    # The owner's lock is not weakened into one that an administrator set, nor the other way round.
    locker = server.locked_by or (Locker.OWNER if is_owner else Locker.ADMIN)
    await rows.replace_server(tx, replace(server, locked_by=locker, locked_reason=reason))


async def unlock_server(tx: Transaction, caller: Caller, server_id: str) -> None:
    """Raises: ServerNotFoundError; ForbiddenError when an administrator of the platform has locked it."""
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    if server.locked_by is Locker.ADMIN and not caller.is_platform_admin:
        raise ForbiddenError("An administrator has locked the server, and only one can unlock it.")
    await rows.replace_server(tx, replace(server, locked_by=None, locked_reason=None))


async def update_server(tx: Transaction, caller: Caller, server_id: str, **changes: str | None) -> Server:
    """Of name and description, what is given. Raises: ServerNotFoundError."""
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    await rows.replace_server(tx, replace(server, **changes, updated_at=utcnow()))
    return await get_server(tx, caller, server_id)


async def set_metadata(tx: Transaction, caller: Caller, server_id: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Replaces all of it. Raises: ServerNotFoundError, ServerLockedError, ForbiddenError for too many items."""
    caller.require_writer()
    if len(metadata) > MAX_METADATA_ITEMS:
        raise ForbiddenError(f"Maximum number of metadata items exceeds {MAX_METADATA_ITEMS}")
    server = await lock_own_server(tx, caller, server_id)
    require_unlocked(server, caller)
    await rows.replace_server(tx, replace(server, metadata=dict(metadata), updated_at=utcnow()))
    return dict(metadata)


async def merge_metadata(
    tx: Transaction, caller: Caller, server_id: str, metadata: Mapping[str, str]
) -> dict[str, str]:
    """Adds to it, or changes it. Raises: as `set_metadata`."""
    server = await lock_own_server(tx, caller, server_id)
    return await set_metadata(tx, caller, server_id, {**server.metadata, **metadata})


async def remove_metadata_item(tx: Transaction, caller: Caller, server_id: str, key: str) -> bool:
    """False when there is no such item. Raises: ServerNotFoundError."""
    server = await lock_own_server(tx, caller, server_id)
    rest = {name: value for name, value in server.metadata.items() if name != key}
    if len(rest) == len(server.metadata):
        return False
    await set_metadata(tx, caller, server_id, rest)
    return True


# --- captures --------------------------------------------------------------------------------------------------------


async def lock_for_capture(
    tx: Transaction, project_id: str, server_id: str, *, allow_running: bool = False
) -> CaptureSource:
    """Gives the server the task `image_snapshot`, so that nothing else happens to it until `unlock_after_capture`.

    Of two captures at once one gets ServerBusyError: the row is locked while it is looked at.

    Raises, in this order: ServerNotFoundError, ServerNotCapturableError, ServerBusyError, ServerNotStoppedError,
    ServerHasNoSystemDiskError, SystemDiskUnavailableError, SystemDiskTooLargeError, SystemDiskRefusedError.
    """
    server = await rows.get_server(tx, server_id, lock=True) if is_uuid(server_id) else None
    if server is None or server.project_id != project_id:
        raise ServerNotFoundError
    root = await volumes.get_root_volume(tx, server.id)
    image_metadata = (root.image_metadata if root else None) or {}
    if image_metadata.get("disk_format") == "iso":
        raise ServerNotCapturableError
    if server.task_state is not None or await jobs.has_live_job(tx, server.id, *CAPTURE_KINDS):
        raise ServerBusyError
    legal = RULES[Action.CAPTURE].legal_in | (WITH_MACHINE if allow_running else set())
    if server.vm_state not in legal:
        raise ServerNotStoppedError
    if root is None:
        raise ServerHasNoSystemDiskError
    if root.status not in USABLE:
        raise SystemDiskUnavailableError
    if root.size_bytes > TIB:
        raise SystemDiskTooLargeError
    if root.layer_id is None or root.project_id != project_id:
        raise SystemDiskRefusedError
    await rows.replace_server(tx, replace(server, task_state=RULES[Action.CAPTURE].task))
    return CaptureSource(
        server_id=server.id,
        server_name=server.name,
        flavor=server.flavor,
        image_id=server.image_id,
        volume=root,
        is_running=server.vm_state in WITH_MACHINE,
    )


async def unlock_after_capture(tx: Transaction, server_id: str) -> None:
    """Nothing happens when the server is not being captured. Safe to repeat."""
    server = await rows.get_server(tx, server_id, lock=True)
    if server is not None and server.task_state is TaskState.IMAGE_SNAPSHOT:
        await rows.replace_server(tx, replace(server, task_state=None))


# --- common ----------------------------------------------------------------------------------------------------------


def _not_found(server_id: str) -> ServerNotFoundError:
    return ServerNotFoundError(f"Instance {server_id[:255]} could not be found.")


def _is_seen_by(caller: Caller, server: Server) -> bool:
    return server.project_id == caller.project_id or caller.is_platform_admin


def _address_test(pattern: str) -> Callable[[str], bool]:
    starts, ends = pattern.startswith("^"), pattern.endswith("$")
    part = pattern.strip("^$").replace("\\", "")
    return lambda address: (
        part in address and (not starts or address.startswith(part)) and (not ends or address.endswith(part))
    )


async def _with_parts(tx: Transaction, servers: list[Server]) -> list[Server]:
    """With their disks, network cards and tags."""
    ids = [server.id for server in servers]
    attached, nics = await volumes.list_attached(tx, ids), await ports.list_nics(tx, ids)
    tags = await tag_rows.list_tags(tx, ids)
    return [
        replace(server, volumes=attached[server.id], nics=nics[server.id], tags=tags[server.id]) for server in servers
    ]


async def lock_own_server(tx: Transaction, caller: Caller, server_id: str) -> Server:
    """Without its volumes, unchanged until the transaction ends. Raises: ServerNotFoundError."""
    caller.require_project()
    server = await rows.get_server(tx, server_id, lock=True) if is_uuid(server_id) else None
    if server is None or not _is_seen_by(caller, server):
        raise _not_found(server_id)
    return server


async def act(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_id: str,
    action: Action,
    args: Mapping[str, Any] | None = None,
) -> Job:
    """For actions that need no more than the server.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError, HostMemoryError.
    """
    server = await lock_for_action(tx, caller, server_id, action)
    gets_machine = server.vm_state not in WITH_MACHINE and RULES[action].ends_in is VmState.ACTIVE
    if gets_machine:
        await require_host_memory(tx, settings, server.flavor.ram_mib)
    return await begin(tx, caller, settings, server, action, args)


async def lock_for_action(tx: Transaction, caller: Caller, server_id: str, action: Action) -> Server:
    """A server to which the caller may do that now, unchanged until the transaction ends.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError.
    """
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    require_unlocked(server, caller)
    require_legal(server, action)
    return server


async def begin(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server: Server,
    action: Action,
    args: Mapping[str, Any] | None = None,
) -> Job:
    """Notes the task and submits the job that carries it out."""
    job_id = new_hex_id()
    task = RULES[action].task
    await rows.replace_server(tx, replace(server, task_state=task, job_id=job_id, updated_at=utcnow()))
    return await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=JOB_KINDS[action],
            service=Service.ECS,
            lane=Lane.MACHINE,
            subject_id=server.id,
            project_id=server.project_id,
            user_id=caller.user_id,
            args={"server_id": server.id, "action": str(action), **(args or {})},
            timeout_s=settings.job_timeout_s,
        ),
    )
