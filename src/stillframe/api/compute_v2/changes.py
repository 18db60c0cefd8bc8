"""Actions that change what a server is, or stop it without powering it off.

Source: OpenStack Compute API reference, "Servers - run an action".
"""

from typing import Annotated, Any

import msgspec
from litestar import Response
from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.acting import Acting, Action, Answer, accepted
from stillframe.api.compute_v2.bodies import convert
from stillframe.api.compute_v2.server_requests import (
    MAX_USER_DATA_LENGTH,
    Key,
    Text,
    checked_user_data,
    last_part,
    new_password,
)
from stillframe.api.compute_v2.server_wire import server_to_wire
from stillframe.errors import GuestAgentMissingError, InvalidInputError, NotOfferedError, ServerStateError
from stillframe.kit.ids import is_uuid
from stillframe.servers import rebuilding, resizing
from stillframe.servers import service as servers
from stillframe.servers.model import Action as ServerAction
from stillframe.servers.model import VmState, require_unlocked
from stillframe.servers.rebuilding import Rebuild


class Lock(Struct):
    locked_reason: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Resize(Struct):
    flavor_ref: str | int = field(name="flavorRef")


class ChangePassword(Struct):
    admin_pass: Text = field(name="adminPass")


class RebuildWanted(Struct):
    image_ref: str = field(name="imageRef")
    name: Key | None = None
    admin_pass: Text | None = field(default=None, name="adminPass")
    metadata: dict[Key, Text] | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    key_name: Text | msgspec.UnsetType | None = msgspec.UNSET
    user_data: Annotated[str, Meta(max_length=MAX_USER_DATA_LENGTH)] | msgspec.UnsetType | None = msgspec.UNSET
    personality: list[object] | None = None


async def _lock(acting: Acting, argument: Any) -> Answer:
    reason = convert(argument or {}, Lock).locked_reason
    await servers.lock_server(acting.tx, acting.caller, acting.server_id, reason)
    return accepted()


async def _unlock(acting: Acting, _argument: Any) -> Answer:
    await servers.unlock_server(acting.tx, acting.caller, acting.server_id)
    return accepted()


def _simple(action: ServerAction) -> Action:
    async def act(acting: Acting, _argument: Any) -> Answer:
        await servers.act(acting.tx, acting.caller, acting.settings, acting.server_id, action)
        return accepted()

    return act


async def _resize(acting: Acting, argument: Any) -> Answer:
    flavor_id = last_part(str(convert(argument, Resize).flavor_ref))
    await resizing.resize_server(acting.tx, acting.caller, acting.settings, acting.server_id, flavor_id)
    return accepted()


async def _confirm_resize(acting: Acting, _argument: Any) -> Answer:
    await resizing.confirm_resize(acting.tx, acting.caller, acting.server_id)
    return Response(b"", status_code=204)


async def _revert_resize(acting: Acting, _argument: Any) -> Answer:
    await resizing.revert_resize(acting.tx, acting.caller, acting.settings, acting.server_id)
    return accepted()


async def _rebuild(acting: Acting, argument: Any) -> Answer:
    wanted = convert(argument, RebuildWanted)
    await rebuilding.rebuild_server(acting.tx, acting.caller, acting.settings, acting.server_id, _as_asked(wanted))
    server = await servers.get_server(acting.tx, acting.caller, acting.server_id)
    shown = server_to_wire(server, acting.base, acting.version) | {"adminPass": wanted.admin_pass or new_password()}
    return Response({"server": shown}, status_code=202, headers={"Location": shown["links"][0]["href"]})


def _as_asked(wanted: RebuildWanted) -> Rebuild:
    if wanted.personality:
        raise NotOfferedError("Files cannot be injected (personality); use user_data instead.")
    if wanted.name is not None and not wanted.name.strip():
        raise InvalidInputError("Invalid input for field/attribute name: it is blank", field="name")
    image_id = last_part(wanted.image_ref).lower()
    if not is_uuid(image_id):
        raise InvalidInputError("Invalid imageRef provided.", field="imageRef")
    return Rebuild(
        image_id=image_id,
        name=wanted.name or msgspec.UNSET,
        description=wanted.description,
        metadata=wanted.metadata,
        key_name=wanted.key_name,
        user_data=checked_user_data(wanted.user_data) if isinstance(wanted.user_data, str) else wanted.user_data,
    )


async def _change_password(acting: Acting, argument: Any) -> Answer:
    """A password is set by an agent in the guest, and the machines have no channel to one."""
    convert(argument, ChangePassword)
    acting.caller.require_writer()
    server = await servers.get_server(acting.tx, acting.caller, acting.server_id)
    require_unlocked(server, acting.caller)
    if server.task_state is not None or server.vm_state is not VmState.ACTIVE:
        raise ServerStateError(
            f"Cannot 'changePassword' instance {server.id} while it is in vm_state {server.vm_state}"
        )
    raise GuestAgentMissingError(
        f"Failed to set admin password on {server.id}: QEMU guest agent is not enabled. Use a key pair or user_data."
    )


CHANGES: dict[str, Action] = {
    "lock": _lock,
    "unlock": _unlock,
    "pause": _simple(ServerAction.PAUSE),
    "unpause": _simple(ServerAction.UNPAUSE),
    "suspend": _simple(ServerAction.SUSPEND),
    "resume": _simple(ServerAction.RESUME),
    "shelve": _simple(ServerAction.SHELVE),
    "unshelve": _simple(ServerAction.UNSHELVE),
    "resize": _resize,
    "confirmResize": _confirm_resize,
    "revertResize": _revert_resize,
    "rebuild": _rebuild,
    "changePassword": _change_password,
}
