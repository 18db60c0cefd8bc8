"""The disks of a server: decode, one service call, encode.

Source: OpenStack Compute API reference, "Servers with volume attachments".
"""

from typing import Any

from litestar import Request, delete, get, post, put
from msgspec import Struct, field

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.server_requests import Text
from stillframe.api.compute_v2.server_wire import attachment_to_wire, attachments_to_wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotOfferedError, VolumeNotFoundError
from stillframe.identity.model import Caller
from stillframe.servers import attachments
from stillframe.servers import service as servers

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_ANY_DEVICE = frozenset({"", "auto"})


class AttachmentWanted(Struct):
    volume_id: str = field(name="volumeId")
    device: Text | None = None
    delete_on_termination: bool = False


class AttachBody(Struct):
    attachment: AttachmentWanted = field(name="volumeAttachment")


class AttachmentChanges(Struct):
    volume_id: str = field(name="volumeId")
    delete_on_termination: bool | None = None


class AttachmentChangesBody(Struct):
    attachment: AttachmentChanges = field(name="volumeAttachment")


@get("/servers/{server_id:str}/os-volume_attachments")
async def list_attachments(server_id: str, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    return {"volumeAttachments": attachments_to_wire(server, version)}


@get("/servers/{server_id:str}/os-volume_attachments/{volume_id:str}")
async def show_attachment(
    server_id: str, volume_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    for entry in attachments_to_wire(server, version):
        if entry["volumeId"] == volume_id:
            return {"volumeAttachment": entry}
    raise VolumeNotFoundError(f"Instance {server.id} is not attached to volume {volume_id[:255]}")


@post("/servers/{server_id:str}/os-volume_attachments", status_code=200)
async def attach_volume(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings, version: Microversion
) -> Json:
    wanted = decode_body(await request.body(), AttachBody).attachment
    volume, _job = await attachments.attach_volume(
        tx,
        caller,
        settings,
        server_id,
        wanted.volume_id,
        device=None if wanted.device in _ANY_DEVICE else wanted.device,
        ends_with_server=wanted.delete_on_termination,
    )
    return {"volumeAttachment": attachment_to_wire(volume, version)}


@put("/servers/{server_id:str}/os-volume_attachments/{volume_id:str}", status_code=202)
async def update_attachment(
    request: AnyRequest, server_id: str, volume_id: str, tx: Transaction, caller: Caller
) -> None:
    """Whether the volume goes with the server. Putting another volume in its place is not offered."""
    changes = decode_body(await request.body(), AttachmentChangesBody).attachment
    if changes.volume_id != volume_id:
        raise NotOfferedError("A volume cannot be swapped for another: detach it and attach the other.")
    if changes.delete_on_termination is None:
        raise InvalidInputError("delete_on_termination must be given.", field="delete_on_termination")
    ends_with_server = changes.delete_on_termination
    await attachments.set_termination(tx, caller, server_id, volume_id, ends_with_server=ends_with_server)


@delete("/servers/{server_id:str}/os-volume_attachments/{volume_id:str}", status_code=202)
async def detach_volume(server_id: str, volume_id: str, tx: Transaction, caller: Caller, settings: Settings) -> None:
    """The volume is detached once showing the attachment answers 404."""
    await attachments.detach_volume(tx, caller, settings, server_id, volume_id)


handlers = [list_attachments, show_attachment, attach_volume, update_attachment, detach_volume]
