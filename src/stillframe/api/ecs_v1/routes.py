"""Servers, what is done to them, flavors, limits and jobs: decode, one service call, encode.

Source: Open Telekom Cloud, ECS API reference, "Lifecycle Management", "Batch Operations", "Flavor Management",
"Querying Tenant Quotas", "Querying Job Execution Status".
"""

from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post, put
from msgspec import Meta, Struct

from stillframe.api.compute_v2 import wire as nova
from stillframe.api.compute_v2.bodies import convert, decode_object
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import query_pairs
from stillframe.api.ecs_v1 import wire
from stillframe.api.ecs_v1.orders_wire import OrderBody, checked_name, decode, order_of
from stillframe.api.ecs_v1.queries import server_query
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobNotFoundError, NotFoundError, RequestBodyEmptyError
from stillframe.flavors import service as flavors
from stillframe.identity.model import Caller
from stillframe.servers import creation, orders
from stillframe.servers import service as servers
from stillframe.servers.orders import BatchKind

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_SERVERS = "/v1/{project_id:str}/cloudservers"
_SERVER = f"{_SERVERS}/{{server_id:str}}"

_ACTIONS = {"os-start": BatchKind.START, "os-stop": BatchKind.STOP, "reboot": BatchKind.REBOOT}


class ServerRef(Struct):
    id: str


class DeleteBody(Struct):
    servers: list[ServerRef]
    delete_publicip: bool | None = None
    delete_volume: bool | None = None


class ActionWanted(Struct):
    servers: list[ServerRef]
    type: Literal["SOFT", "HARD"] = "SOFT"


class Changes(Struct):
    name: str | None = None
    description: Annotated[str, Meta(max_length=85)] | None = None


class ChangesBody(Struct):
    server: Changes


class RenameBody(Struct):
    name: str
    servers: list[ServerRef]
    dry_run: bool | None = None


@post([_SERVERS, "/v1.1/{project_id:str}/cloudservers"], status_code=200)
async def create_servers(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Response[Any]:
    """With `dry_run` only the checks: 202 without a body says that they hold."""
    body = decode(await request.body(), OrderBody)
    order = order_of(body.server)
    if body.dry_run:
        await orders.rehearse_creation(tx, caller, settings, order)
        return Response(b"", status_code=202)
    made, job = await orders.create_servers(tx, caller, settings, order)
    return Response({"job_id": job.id, "serverIds": [server.id for server in made]}, status_code=200)


@get(f"{_SERVERS}/detail")
async def list_servers(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    query = server_query(query_pairs(request))
    if query is None:
        return {"servers": [], "count": 0}
    found = await servers.list_servers(tx, caller, query)
    base = base_url(request)
    return {
        "servers": [wire.server_to_wire(server, base) for server in found],
        "count": await servers.count_servers(tx, caller, query),
    }


@get(_SERVER)
async def show_server(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"server": wire.server_to_wire(await servers.get_server(tx, caller, server_id), base_url(request))}


@put(_SERVER)
async def update_server(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode(await request.body(), ChangesBody).server
    changes = {"name": None if body.name is None else checked_name(body.name), "description": body.description}
    given = {name: value for name, value in changes.items() if value is not None}
    server = await servers.update_server(tx, caller, server_id, **given)
    shown = wire.server_to_wire(server, base_url(request))
    # Here, and nowhere else, the reference has a text in this place.
    return {"server": shown | {"image": shown["image"]["id"] if shown["image"] else ""}}


@put(f"{_SERVERS}/server-name")
async def rename_servers(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    body = decode(await request.body(), RenameBody)
    renamed = await orders.rename_servers(
        tx, caller, [server.id for server in body.servers], checked_name(body.name), only_check=bool(body.dry_run)
    )
    return {"response": [{"id": server_id} for server_id in renamed]}


@post(f"{_SERVERS}/delete", status_code=200)
async def delete_servers(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    body = decode(await request.body(), DeleteBody)
    job = await orders.delete_servers(
        tx,
        caller,
        settings,
        [server.id for server in body.servers],
        with_volumes=bool(body.delete_volume),
        with_addresses=bool(body.delete_publicip),
    )
    return {"job_id": job.id}


@post(f"{_SERVERS}/action", status_code=200)
async def act_on_servers(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    raw = await request.body()
    if not raw.strip():
        raise RequestBodyEmptyError("The request body cannot be left blank.")
    body = decode_object(raw)
    name, argument = next(iter(body.items()), ("", None))
    if len(body) != 1 or name not in _ACTIONS:
        raise InvalidInputError(f"There must be exactly one action: {', '.join(_ACTIONS)}.", field="action")
    wanted = convert(argument, ActionWanted)
    server_ids = [server.id for server in wanted.servers]
    hard = wanted.type == "HARD"
    job = await orders.act_on_servers(tx, caller, settings, _ACTIONS[name], server_ids, hard=hard)
    return {"job_id": job.id}


@get(f"{_SERVERS}/flavors")
async def list_flavors(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    given = dict(query_pairs(request))
    if given.get("availability_zone") not in {None, "", settings.availability_zone}:
        return {"flavors": []}
    base, project_id = base_url(request), caller.require_project()
    found = await flavors.list_flavors(tx, is_public=True)
    return {
        "flavors": [
            wire.flavor_to_wire(flavor, base, project_id)
            for flavor in found
            if given.get("flavor_id") in {None, "", flavor.id}
        ]
    }


@get(f"{_SERVERS}/limits")
async def show_limits(tx: Transaction, caller: Caller, settings: Settings) -> Json:
    usage = await creation.get_usage(tx, settings, caller.require_project())
    return {"absolute": nova.limits_to_wire(usage)["limits"]["absolute"]}


@get("/v1/{project_id:str}/jobs/{job_id:str}")
async def show_job(job_id: str, tx: Transaction, caller: Caller) -> Json:
    try:
        job, parts = await orders.get_job(tx, caller, job_id)
    except NotFoundError as error:
        raise JobNotFoundError("Failed to query system tasks.", cause=error) from None
    return wire.job_to_wire(job, parts)


handlers = [
    create_servers,
    list_servers,
    show_server,
    update_server,
    rename_servers,
    delete_servers,
    act_on_servers,
    list_flavors,
    show_limits,
    show_job,
]
