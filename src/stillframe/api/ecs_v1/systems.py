"""Another system or flavor for a server: decode, one service call, encode.

Source: Open Telekom Cloud, ECS API reference, "Changing an ECS OS (Using an Image with Cloud-Init Installed)",
"Reinstalling an ECS OS (Using an Image with Cloud-Init Installed)", "Modifying the Specifications of an ECS".
"""

from typing import Any

from litestar import Request, Response, get, post
from msgspec import Struct, field

from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import query_pairs
from stillframe.api.compute_v2.server_requests import Text, checked_user_data
from stillframe.api.ecs_v1 import wire
from stillframe.api.ecs_v1.orders_wire import check_password, decode, image_id_of
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotOfferedError
from stillframe.flavors import service as flavors
from stillframe.identity.model import Caller
from stillframe.servers import service as servers
from stillframe.servers import systems

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_STOPPING = "withStopServer"
_PATHS = [f"/{version}/{{project_id:str}}/cloudservers/{{server_id:str}}" for version in ("v1", "v2")]
_RESIZE = [f"/{version}/{{project_id:str}}/cloudservers/{{server_id:str}}/resize" for version in ("v1", "v1.1")]


class SystemMetadata(Struct):
    user_data: str | None = None
    encrypted: str | None = field(name="__system__encrypted", default=None)


class SystemWanted(Struct):
    image_id: str | None = field(name="imageid", default=None)
    key_name: Text | None = field(name="keyname", default=None)
    admin_pass: Text | None = field(name="adminpass", default=None)
    metadata: SystemMetadata | None = None
    mode: Text | None = None


class NewSystem(SystemWanted, kw_only=True):
    image_id: str = field(name="imageid")


class ChangeBody(Struct):
    wanted: NewSystem = field(name="os-change")


class ReinstallBody(Struct):
    wanted: SystemWanted = field(name="os-reinstall")


class FlavorWanted(Struct):
    flavor_ref: Text = field(name="flavorRef")
    mode: Text | None = None


class ResizeBody(Struct):
    resize: FlavorWanted
    dry_run: bool | None = None


@post([f"{path}/changeos" for path in _PATHS], status_code=200)
async def change_system(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode(await request.body(), ChangeBody).wanted
    return await _change(tx, caller, settings, server_id, wanted, image_id_of(wanted.image_id))


@post([f"{path}/reinstallos" for path in _PATHS], status_code=200)
async def reinstall_system(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode(await request.body(), ReinstallBody).wanted
    return await _change(tx, caller, settings, server_id, wanted, None)


async def _change(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, wanted: SystemWanted, image_id: str | None
) -> Json:
    metadata = wanted.metadata or SystemMetadata()
    if metadata.encrypted == "1":
        raise NotOfferedError("Volumes cannot be encrypted in this deployment.")
    check_password(wanted.admin_pass)
    job = await systems.change_system(
        tx,
        caller,
        settings,
        server_id,
        image_id=image_id,
        key_name=wanted.key_name or None,
        user_data=checked_user_data(metadata.user_data),
        may_stop=wanted.mode == _STOPPING,
    )
    return {"job_id": job.id}


@post(_RESIZE, status_code=200)
async def change_flavor(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Response[Any]:
    body = decode(await request.body(), ResizeBody)
    arguments = (tx, caller, settings, server_id, body.resize.flavor_ref)
    may_stop = body.resize.mode == _STOPPING
    if body.dry_run:
        await systems.rehearse_flavor(*arguments, may_stop=may_stop)
        return Response(b"", status_code=202)
    job = await systems.change_flavor(*arguments, may_stop=may_stop)
    return Response({"job_id": job.id}, status_code=200)


@get("/v1/{project_id:str}/cloudservers/resize_flavors")
async def list_other_flavors(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    """Any but the one the server has."""
    given = dict(query_pairs(request))
    own = given.get("source_flavor_id") or given.get("source_flavor_name")
    if server_id := given.get("instance_uuid"):
        own = (await servers.get_server(tx, caller, server_id)).flavor.id
    base, project_id = base_url(request), caller.require_project()
    found = await flavors.list_flavors(tx, is_public=True)
    return {"flavors": [wire.flavor_to_wire(flavor, base, project_id) for flavor in found if flavor.id != own]}


handlers = [change_system, reinstall_system, change_flavor, list_other_flavors]
