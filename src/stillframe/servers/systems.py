"""Another system, or another flavor, as the ECS API has it: by a job that leaves nothing to confirm.

Source: Open Telekom Cloud, ECS API reference, "Changing an ECS OS", "Reinstalling an ECS OS", "Modifying the
Specifications of an ECS".
"""

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, ServerStateError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Service
from stillframe.servers.model import VmState
from stillframe.servers.rebuilding import Rebuild, rebuild_server
from stillframe.servers.resizing import resize_server
from stillframe.servers.service import lock_own_server


async def change_system(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_id: str,
    *,
    image_id: str | None,
    key_name: str | None,
    user_data: str | None,
    may_stop: bool,
) -> Job:
    """`image_id` None takes the image the server was made from; what else is None stays as it was.

    Raises: as `rebuild_server`; ServerStateError for a server that runs and may not be stopped.
    """
    await _require_stopped(tx, caller, server_id, may_stop=may_stop)
    server = await lock_own_server(tx, caller, server_id)
    if not (image_id or server.image_id):
        raise InvalidInputError("The image that the ECS was made from is not known.", field="imageRef")
    changed = Rebuild(
        image_id=image_id or server.image_id,
        key_name=key_name or msgspec.UNSET,
        user_data=user_data or msgspec.UNSET,
    )
    rebuilt = await rebuild_server(tx, caller, settings, server_id, changed)
    return await jobs.find_job(tx, rebuilt.job_id or "", Service.ECS)


async def change_flavor(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, flavor_id: str, *, may_stop: bool
) -> Job:
    """Raises: as `resize_server`; ServerStateError for a server that runs and may not be stopped."""
    await _require_stopped(tx, caller, server_id, may_stop=may_stop)
    return await resize_server(tx, caller, settings, server_id, flavor_id, confirmed=True)


async def rehearse_flavor(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, flavor_id: str, *, may_stop: bool
) -> None:
    """Every check of `change_flavor`, and nothing is left of it. Raises: as that does."""
    async with tx.rehearsal():
        await change_flavor(tx, caller, settings, server_id, flavor_id, may_stop=may_stop)


async def _require_stopped(tx: Transaction, caller: Caller, server_id: str, *, may_stop: bool) -> None:
    server = await lock_own_server(tx, caller, server_id)
    if server.vm_state is not VmState.STOPPED and not may_stop:
        raise ServerStateError(f"Stop ECS {server.id} first, or ask for the mode withStopServer.")
