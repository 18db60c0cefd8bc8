"""Attachments as objects of their own: since 3.27 what Nova and Cinder agree on; here the whole of attaching.

Source: OpenStack Block Storage API v3 reference, "Attachments".
"""

from typing import Any

from litestar import Request, delete, get, post
from msgspec import Struct

from stillframe.api.compute_v2.bodies import decode_body, decode_object
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.queries import is_true, parsed_limit, query_pairs
from stillframe.api.volume_v3.wire import attachment_to_wire, parsed_offset
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.servers import attachments
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeQuery

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_SINCE = Microversion(3, 27)


class AttachmentWanted(Struct):
    volume_uuid: str
    instance_uuid: str | None = None
    mode: str | None = None


class CreateAttachmentBody(Struct):
    attachment: AttachmentWanted


@get("/attachments")
async def list_attachments(request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    found = await _attached(request, tx, caller, version)
    return {"attachments": [attachment_to_wire(volume, detailed=False) for volume in found]}


@get("/attachments/detail")
async def list_attachments_detailed(
    request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    return {"attachments": [attachment_to_wire(volume) for volume in await _attached(request, tx, caller, version)]}


@get("/attachments/{attachment_id:str}")
async def show_attachment(attachment_id: str, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    return {"attachment": attachment_to_wire(await _find(tx, caller, attachment_id, version))}


@post("/attachments", status_code=200)
async def create_attachment(
    request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings, version: Microversion
) -> Json:
    _require_version(version)
    wanted = decode_body(await request.body(), CreateAttachmentBody).attachment
    if not wanted.instance_uuid:
        raise NotOfferedError("Volumes are attached to servers only: give instance_uuid.")
    if wanted.mode not in {None, "null", "rw"}:
        raise NotOfferedError("Volumes are attached for reading and writing (mode rw).")
    volume, _job = await attachments.attach_volume(tx, caller, settings, wanted.instance_uuid, wanted.volume_uuid)
    return {"attachment": attachment_to_wire(volume)}


@delete("/attachments/{attachment_id:str}", status_code=200)
async def delete_attachment(
    attachment_id: str, tx: Transaction, caller: Caller, settings: Settings, version: Microversion
) -> Json:
    volume = await _find(tx, caller, attachment_id, version)
    if volume.attachment:
        await attachments.detach_volume(tx, caller, settings, volume.attachment.server_id, volume.id)
    return {"attachments": []}


@post("/attachments/{attachment_id:str}/action", status_code=204)
async def complete_attachment(
    request: AnyRequest, attachment_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> None:
    """os-complete: it is complete by itself."""
    if list(decode_object(await request.body())) != ["os-complete"]:
        raise InvalidInputError("There is no such action.")
    await _find(tx, caller, attachment_id, version)


async def _attached(request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion) -> list[Volume]:
    _require_version(version)
    given = dict(query_pairs(request))
    query = VolumeQuery(
        server_id=given.get("instance_id") or given.get("instance_uuid"),
        ids=(given["volume_id"],) if "volume_id" in given else None,
        attached=True,
        every_project=is_true(given.get("all_tenants")),
        limit=parsed_limit(given.get("limit")),
        offset=parsed_offset(given.get("offset")),
    )
    return await volumes.list_volumes(tx, caller, query)


async def _find(tx: Transaction, caller: Caller, attachment_id: str, version: Microversion) -> Volume:
    _require_version(version)
    query = VolumeQuery(attachment_id=attachment_id, limit=1)
    for volume in await volumes.list_volumes(tx, caller, query):
        return volume
    raise NotFoundError(f"Volume attachment could not be found with filter: attachment_id = {attachment_id[:255]}.")


def _require_version(version: Microversion) -> None:
    if version < _SINCE:
        raise NotFoundError("The resource could not be found.")


handlers = [
    list_attachments,
    list_attachments_detailed,
    show_attachment,
    create_attachment,
    delete_attachment,
    complete_attachment,
]
