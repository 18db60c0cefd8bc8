"""The disks, cards, metadata and recovery of a server: decode, one service call, encode.

Source: Open Telekom Cloud, ECS API reference, "Disk Management", "NIC Management", "Metadata Management", "Querying
Automatic Recovery of an ECS".
"""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from msgspec import Meta, Struct, field

from stillframe.api.compute_v2.consoles import ConsoleBody, console_kind, console_url
from stillframe.api.compute_v2.server_requests import Key, Text
from stillframe.api.ecs_v1 import wire
from stillframe.api.ecs_v1.errors import AutoRecoveryError, DiskNotAttachedError
from stillframe.api.ecs_v1.orders_wire import decode
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks.ports import WantedNic
from stillframe.servers import attachments, orders, remote_consoles
from stillframe.servers import service as servers
from stillframe.volumes.model import Volume

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_SERVER = "/v1/{project_id:str}/cloudservers/{server_id:str}"
_ANY_DEVICE = frozenset({"", "auto"})


class AttachmentWanted(Struct):
    volume_id: str = field(name="volumeId")
    device: Text | None = None


class AttachBody(Struct):
    attachment: AttachmentWanted = field(name="volumeAttachment")
    dry_run: bool | None = None


class DiskChanges(Struct):
    delete_on_termination: bool


class DiskChangesBody(Struct):
    disk: DiskChanges = field(name="block_device")


class GroupRef(Struct):
    id: Text


class NicWanted(Struct):
    subnet_id: Text
    ip_address: Text | None = None
    security_groups: list[GroupRef] | None = None


class NicsBody(Struct):
    nics: Annotated[list[NicWanted], Meta(min_length=1, max_length=12)]


class NicRef(Struct):
    id: Text


class NicsDeleteBody(Struct):
    nics: Annotated[list[NicRef], Meta(min_length=1, max_length=12)]


class MetadataBody(Struct):
    metadata: dict[Key, Text]


class RecoveryBody(Struct):
    support_auto_recovery: str | bool


@post(f"{_SERVER}/attachvolume", status_code=200)
async def attach_volume(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Response[Any]:
    """With `dry_run` only the checks: 202 without a body says that they hold."""
    body = decode(await request.body(), AttachBody)
    wanted = body.attachment
    device = None if wanted.device in _ANY_DEVICE else wanted.device
    if body.dry_run:
        await attachments.check_attachment(tx, caller, server_id, wanted.volume_id, device=device)
        return Response(b"", status_code=202)
    _volume, job = await attachments.attach_volume(tx, caller, settings, server_id, wanted.volume_id, device=device)
    return Response({"job_id": job.id}, status_code=200)


@delete(f"{_SERVER}/detachvolume/{{volume_id:str}}", status_code=200)
async def detach_volume(server_id: str, volume_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return {"job_id": (await attachments.detach_volume(tx, caller, settings, server_id, volume_id)).id}


@get(f"{_SERVER}/block_device")
async def list_disks(server_id: str, tx: Transaction, caller: Caller) -> Json:
    return wire.disks_to_wire(await servers.get_server(tx, caller, server_id))


@get(f"{_SERVER}/block_device/{{volume_id:str}}")
async def show_disk(server_id: str, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"volumeAttachment": wire.disk_to_wire(await _disk(tx, caller, server_id, volume_id))}


@put(f"{_SERVER}/block_device/{{volume_id:str}}", status_code=200)
async def update_disk(request: AnyRequest, server_id: str, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    ends_with_server = decode(await request.body(), DiskChangesBody).disk.delete_on_termination
    await attachments.set_termination(tx, caller, server_id, volume_id, ends_with_server=ends_with_server)
    return {"block_device": wire.disk_to_wire(await _disk(tx, caller, server_id, volume_id))}


async def _disk(tx: Transaction, caller: Caller, server_id: str, volume_id: str) -> Volume:
    server = await servers.get_server(tx, caller, server_id)
    for volume in server.volumes:
        if volume.id == volume_id:
            return volume
    raise DiskNotAttachedError(f"EVS disk {volume_id[:64]} is not attached to ECS {server.id}.")


@get(f"{_SERVER}/os-volume_attachments")
async def list_attachments(server_id: str, tx: Transaction, caller: Caller) -> Json:
    shown = wire.disks_to_wire(await servers.get_server(tx, caller, server_id))["volumeAttachments"]
    names = ("id", "volumeId", "serverId", "device")
    return {"volumeAttachments": [{name: disk[name] for name in names} for disk in shown]}


@get([f"{_SERVER}/nics", f"{_SERVER}/os-interface"])
async def list_nics(server_id: str, tx: Transaction, caller: Caller) -> Json:
    return wire.nics_to_wire(await servers.get_server(tx, caller, server_id))


@get(f"{_SERVER}/os-interface_extension")
async def count_free_nics(server_id: str, tx: Transaction, caller: Caller) -> Json:
    shown = wire.nics_to_wire(await servers.get_server(tx, caller, server_id))
    return {"attachableQuantity": shown["attachableQuantity"]}


@post(f"{_SERVER}/nics", status_code=200)
async def attach_nics(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    wanted = [
        (
            WantedNic(network_id=nic.subnet_id.lower(), fixed_ip=nic.ip_address or None),
            tuple(group.id for group in nic.security_groups or ()),
        )
        for nic in decode(await request.body(), NicsBody).nics
    ]
    return {"job_id": (await orders.attach_nics(tx, caller, settings, server_id, wanted)).id}


@post(f"{_SERVER}/nics/delete", status_code=200)
async def detach_nics(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    port_ids = [nic.id for nic in decode(await request.body(), NicsDeleteBody).nics]
    return {"job_id": (await orders.detach_nics(tx, caller, settings, server_id, port_ids)).id}


@post(f"{_SERVER}/metadata", status_code=200)
async def merge_metadata(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode(await request.body(), MetadataBody)
    return {"metadata": await servers.merge_metadata(tx, caller, server_id, body.metadata)}


@delete(f"{_SERVER}/metadata/{{key:str}}", status_code=204)
async def delete_metadata_item(server_id: str, key: str, tx: Transaction, caller: Caller) -> None:
    if not await servers.remove_metadata_item(tx, caller, server_id, key):
        raise InvalidInputError(f"The ECS has no metadata item {key[:255]}.", field="key")


@get(f"{_SERVER}/os-server-password")
async def show_password(server_id: str, tx: Transaction, caller: Caller) -> Json:
    """Always empty: no guest has ever told us one."""
    await servers.get_server(tx, caller, server_id)
    return {"password": ""}


@post(f"{_SERVER}/remote_console", status_code=200)
async def create_console(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode(await request.body(), ConsoleBody).remote_console
    kind = console_kind(wanted.protocol, wanted.type)
    token = await remote_consoles.create_token(tx, caller, settings, server_id, kind)
    return {
        "remote_console": {
            "protocol": wanted.protocol,
            "type": wanted.type,
            "url": console_url(settings, token),
        }
    }


@get(f"{_SERVER}/autorecovery")
async def show_recovery(server_id: str, tx: Transaction, caller: Caller) -> Json:
    await servers.get_server(tx, caller, server_id)
    return {"support_auto_recovery": "false"}


@put(f"{_SERVER}/autorecovery", status_code=204)
async def update_recovery(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    """There is one host, so no server can be moved to another when it fails."""
    wanted = decode(await request.body(), RecoveryBody).support_auto_recovery
    await servers.get_server(tx, caller, server_id)
    if str(wanted).lower() not in {"true", "false"}:
        raise InvalidInputError("support_auto_recovery must be true or false.", field="support_auto_recovery")
    if str(wanted).lower() == "true":
        raise AutoRecoveryError


handlers = [
    attach_volume,
    detach_volume,
    list_disks,
    show_disk,
    update_disk,
    list_attachments,
    list_nics,
    count_free_nics,
    attach_nics,
    detach_nics,
    merge_metadata,
    delete_metadata_item,
    show_password,
    create_console,
    show_recovery,
    update_recovery,
]
