"""Servers and their parts: decode, one service call, encode. What is done to them is in actions.py."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.queries import next_page, query_pairs, server_query
from stillframe.api.compute_v2.server_requests import (
    CreateServerBody,
    Key,
    NameRef,
    Text,
    admin_password,
    is_yes,
    new_server,
    require_no_group,
    wanted_counts,
)
from stillframe.api.compute_v2.server_wire import (
    brief_server,
    links,
    server_to_wire,
)
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks.model import DEFAULT_NAME
from stillframe.servers import creation
from stillframe.servers import service as servers
from stillframe.servers.model import Server

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


class MetadataBody(Struct):
    metadata: dict[Key, Text]


class MetadataItemBody(Struct):
    meta: dict[Key, Text]


class ServerChanges(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    description: Text | None = None


class ServerChangesBody(Struct):
    server: ServerChanges


@post(["/servers", "/os-volumes_boot"], status_code=202)
async def create_server(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Response[Json]:
    body = decode_body(await request.body(), CreateServerBody)
    require_no_group(body.hints, body.old_hints)
    wanted = body.server
    by_reservation = is_yes(wanted.return_reservation_id, "return_reservation_id", default=False)
    least, most = wanted_counts(wanted)
    server, *_ = await creation.create_servers(tx, caller, settings, new_server(wanted), least, most)
    if by_reservation:
        return Response({"reservation_id": server.reservation_id}, status_code=202)
    base = base_url(request)
    shown = {
        "id": server.id,
        "links": links(base, server.project_id, f"servers/{server.id}"),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": group.name} for group in wanted.security_groups or [NameRef(DEFAULT_NAME)]],
        "adminPass": admin_password(wanted),
    }
    location = f"{base}/v2.1/{server.project_id}/servers/{server.id}"
    return Response({"server": shown}, status_code=202, headers={"Location": location})


@get("/servers")
async def list_servers(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found, more = await _page(request, tx, caller)
    base = base_url(request)
    return {"servers": [brief_server(server, base) for server in found], **more}


@get("/servers/detail")
async def list_servers_detailed(request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    found, more = await _page(request, tx, caller)
    base = base_url(request)
    return {"servers": [server_to_wire(server, base, version) for server in found], **more}


async def _page(request: AnyRequest, tx: Transaction, caller: Caller) -> tuple[list[Server], Json]:
    pairs = query_pairs(request)
    query = server_query(pairs)
    if query is None:
        return [], {}
    found = await servers.list_servers(tx, caller, query)
    if not found or len(found) != query.limit:
        return found, {}
    path = f"{base_url(request)}{request.scope['path']}"
    return found, {"servers_links": next_page(path, pairs, found[-1].id)}


@get("/servers/{server_id:str}")
async def show_server(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    return {"server": server_to_wire(server, base_url(request), version)}


@put("/servers/{server_id:str}", status_code=200)
async def update_server(
    request: AnyRequest, server_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    body = decode_body(await request.body(), ServerChangesBody).server
    if body.name is not None and not body.name.strip():
        raise InvalidInputError("Invalid input for field/attribute name: it is blank", field="name")
    changes = {name: value for name in ("name", "description") if (value := getattr(body, name)) is not None}
    server = await servers.update_server(tx, caller, server_id, **changes)
    return {"server": server_to_wire(server, base_url(request), version)}


@delete("/servers/{server_id:str}", status_code=204)
async def delete_server(server_id: str, tx: Transaction, caller: Caller, settings: Settings) -> None:
    """The server is gone once showing it answers 404."""
    await servers.delete_server(tx, caller, settings, server_id)


@get("/servers/{server_id:str}/metadata")
async def list_metadata(server_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"metadata": (await servers.get_server(tx, caller, server_id)).metadata}


@put("/servers/{server_id:str}/metadata", status_code=200)
async def replace_metadata(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), MetadataBody)
    return {"metadata": await servers.set_metadata(tx, caller, server_id, body.metadata)}


@post("/servers/{server_id:str}/metadata", status_code=200)
async def merge_metadata(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), MetadataBody)
    return {"metadata": await servers.merge_metadata(tx, caller, server_id, body.metadata)}


@get("/servers/{server_id:str}/metadata/{key:str}")
async def show_metadata_item(server_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    metadata = (await servers.get_server(tx, caller, server_id)).metadata
    if key not in metadata:
        raise _no_metadata_item()
    return {"meta": {key: metadata[key]}}


@put("/servers/{server_id:str}/metadata/{key:str}", status_code=200)
async def set_metadata_item(request: AnyRequest, server_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), MetadataItemBody)
    if list(body.meta) != [key]:
        raise InvalidInputError("Request body and URI mismatch")
    await servers.merge_metadata(tx, caller, server_id, body.meta)
    return {"meta": body.meta}


@delete("/servers/{server_id:str}/metadata/{key:str}", status_code=204)
async def delete_metadata_item(server_id: str, key: str, tx: Transaction, caller: Caller) -> None:
    if not await servers.remove_metadata_item(tx, caller, server_id, key):
        raise _no_metadata_item()


def _no_metadata_item() -> NotFoundError:
    return NotFoundError("Metadata item was not found")


@get("/servers/{server_id:str}/os-server-password")
async def show_password(server_id: str, tx: Transaction, caller: Caller) -> Json:
    """Always empty: no guest has ever told us one."""
    await servers.get_server(tx, caller, server_id)
    return {"password": ""}


@delete("/servers/{server_id:str}/os-server-password", status_code=204)
async def forget_password(server_id: str, tx: Transaction, caller: Caller) -> None:
    """There is none to forget."""
    caller.require_writer()
    await servers.get_server(tx, caller, server_id)


handlers = [
    create_server,
    list_servers,
    list_servers_detailed,
    show_server,
    update_server,
    delete_server,
    list_metadata,
    replace_metadata,
    merge_metadata,
    show_metadata_item,
    set_metadata_item,
    delete_metadata_item,
    show_password,
    forget_password,
]
