"""VPCs, their subnets, security groups and tags: decode, one service call, encode."""

from typing import Any

from litestar import Request, Router, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from stillframe.api import enterprise_projects
from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.queries import parsed_count, query_pairs
from stillframe.api.network_v2.errors import exception_handlers as as_neutron_does
from stillframe.api.vpc_v1 import peerings, publicips, wire
from stillframe.api.vpc_v1.errors import exception_handlers
from stillframe.api.vpc_v1.not_offered import not_offered
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, ProjectMismatchError
from stillframe.identity.model import Caller
from stillframe.networks import peerings as peering_service
from stillframe.networks import quotas, routers, security_groups, vpcs
from stillframe.networks import service as networks
from stillframe.networks.model import MAX_PEERINGS, FloatingIp, Network, SecurityGroup, Thing
from stillframe.networks.model import Router as Vpc

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_MAX_PAGE = 2000


async def require_own_project(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Raises: ProjectMismatchError, ForbiddenError for a token of no project."""
    caller: Caller = connection.scope["state"]["caller"]
    if connection.path_params.get("project_id", caller.project_id) != caller.require_project():
        raise ProjectMismatchError("Inconsistent tenant IDs.")


def _page(request: AnyRequest, found: list[Json]) -> list[Json]:
    """After `marker`, at most `limit`. Raises: InvalidInputError."""
    given = dict(query_pairs(request))
    if given.get("marker"):
        ids = [one["id"] for one in found]
        if given["marker"] not in ids:
            raise InvalidInputError("The marker is no id of the list.", field="marker")
        found = found[ids.index(given["marker"]) + 1 :]
    return found[: min(_MAX_PAGE, parsed_count("limit", given["limit"]) if given.get("limit") else _MAX_PAGE)]


# --- VPCs ------------------------------------------------------------------------------------------------------------


@get("/v1/{project_id:str}/vpcs")
async def list_vpcs(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = [wire.vpc_to_wire(vpc) for vpc in await networks.list_things(tx, caller, Vpc)]
    asked = dict(query_pairs(request))
    if not enterprise_projects.holds_everything(asked.get("enterprise_project_id")):
        return {"vpcs": []}
    return {"vpcs": _page(request, [vpc for vpc in found if asked.get("id") in {None, "", vpc["id"]}])}


@post("/v1/{project_id:str}/vpcs", status_code=200)
async def create_vpc(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    fields = wire.checked_vpc(decode_body(await request.body(), wire.VpcBody).vpc)
    vpc = await vpcs.create_vpc(tx, caller, fields.name or "", fields.description or "", fields.cidr or "")
    return {"vpc": wire.vpc_to_wire(vpc)}


@get("/v1/{project_id:str}/vpcs/{vpc_id:str}")
async def show_vpc(vpc_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"vpc": wire.vpc_to_wire(await networks.get_thing(tx, caller, Vpc, vpc_id))}


@put("/v1/{project_id:str}/vpcs/{vpc_id:str}")
async def update_vpc(request: AnyRequest, vpc_id: str, tx: Transaction, caller: Caller) -> Json:
    fields = wire.checked_vpc(decode_body(await request.body(), wire.VpcBody).vpc)
    vpc = await vpcs.update_vpc(
        tx, caller, vpc_id, name=fields.name, description=fields.description, cidr=fields.cidr or None
    )
    return {"vpc": wire.vpc_to_wire(vpc)}


@delete("/v1/{project_id:str}/vpcs/{vpc_id:str}")
async def delete_vpc(vpc_id: str, tx: Transaction, caller: Caller) -> None:
    await routers.delete_router(tx, caller, vpc_id)


@get("/v3/{project_id:str}/vpc/vpcs")
async def list_vpcs_v3(tx: Transaction, caller: Caller) -> Json:
    subnets = await vpcs.list_subnets(tx, caller)
    return {
        "vpcs": [
            wire.vpc_v3_to_wire(vpc, sum(one.subnet.router_id == vpc.id for one in subnets))
            for vpc in await networks.list_things(tx, caller, Vpc)
        ]
    }


@get("/v3/{project_id:str}/vpc/vpcs/{vpc_id:str}")
async def show_vpc_v3(vpc_id: str, tx: Transaction, caller: Caller) -> Json:
    vpc = await networks.get_thing(tx, caller, Vpc, vpc_id)
    return {"vpc": wire.vpc_v3_to_wire(vpc, len(await vpcs.list_subnets(tx, caller, vpc_id)))}


# --- subnets ---------------------------------------------------------------------------------------------------------


@get("/v1/{project_id:str}/subnets")
async def list_subnets(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    vpc_id = dict(query_pairs(request)).get("vpc_id") or None
    found = await vpcs.list_subnets(tx, caller, vpc_id)
    return {"subnets": _page(request, [wire.subnet_to_wire(one, settings.availability_zone) for one in found])}


@post("/v1/{project_id:str}/subnets", status_code=200)
async def create_subnet(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    new = wire.new_subnet(decode_body(await request.body(), wire.SubnetBody).subnet)
    return {"subnet": wire.subnet_to_wire(await vpcs.create_subnet(tx, caller, new), settings.availability_zone)}


@get("/v1/{project_id:str}/subnets/{subnet_id:str}")
async def show_subnet(subnet_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    found = await vpcs.get_subnet(tx, caller, subnet_id)
    return {"subnet": wire.subnet_to_wire(found, settings.availability_zone)}


@put("/v1/{project_id:str}/vpcs/{vpc_id:str}/subnets/{subnet_id:str}")
async def update_subnet(
    request: AnyRequest, vpc_id: str, subnet_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    changes = wire.changed_subnet(decode_body(await request.body(), wire.SubnetBody).subnet)
    found = await vpcs.update_subnet(tx, caller, vpc_id, subnet_id, **changes)
    return {"subnet": wire.subnet_to_wire(found, settings.availability_zone)}


@delete("/v1/{project_id:str}/vpcs/{vpc_id:str}/subnets/{subnet_id:str}")
async def delete_subnet(vpc_id: str, subnet_id: str, tx: Transaction, caller: Caller) -> None:
    await vpcs.delete_subnet(tx, caller, vpc_id, subnet_id)


# --- security groups -------------------------------------------------------------------------------------------------


@get("/v1/{project_id:str}/security-groups")
async def list_groups(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, SecurityGroup)
    return {"security_groups": _page(request, [wire.group_to_wire(group) for group in found])}


@post("/v1/{project_id:str}/security-groups", status_code=200)
async def create_group(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    fields = decode_body(await request.body(), wire.GroupBody).security_group
    name = wire.checked_name(fields.name, required=True) or ""
    group = await security_groups.create_group(tx, caller, SecurityGroup(id="", project_id="", name=name))
    return {"security_group": wire.group_to_wire(group)}


@get("/v1/{project_id:str}/security-groups/{group_id:str}")
async def show_group(group_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"security_group": wire.group_to_wire(await networks.get_thing(tx, caller, SecurityGroup, group_id))}


@delete("/v1/{project_id:str}/security-groups/{group_id:str}")
async def delete_group(group_id: str, tx: Transaction, caller: Caller) -> None:
    await security_groups.delete_group(tx, caller, group_id)


# --- quotas ----------------------------------------------------------------------------------------------------------


@get("/v1/{project_id:str}/quotas")
async def list_quotas(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> Json:
    """Of all kinds, or of the one named by `type`."""
    wanted = dict(query_pairs(request)).get("type")
    usage = await quotas.get_usage(tx, caller, project_id)
    usage["peering"] = (len(await peering_service.list_peerings(tx, caller)), MAX_PEERINGS)
    shown = [one for one in wire.quotas_to_wire(usage) if wanted in {None, "", one["type"]}]
    return {"quotas": {"resources": shown}}


# --- tags ------------------------------------------------------------------------------------------------------------

_TAGGED: dict[str, type[Thing]] = {"vpcs": Vpc, "subnets": Network, "publicips": FloatingIp}
_TAGS = [f"/v2.0/{{project_id:str}}/{collection}/{{thing_id:str}}/tags" for collection in _TAGGED]


def _kind(request: AnyRequest) -> type[Thing]:
    return _TAGGED[request.scope["path"].split("/")[3]]


@get(_TAGS)
async def list_tags(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"tags": wire.tags_to_wire((await networks.get_thing(tx, caller, _kind(request), thing_id)).tags)}


@post(_TAGS, status_code=204)
async def add_tag(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> None:
    tag = decode_body(await request.body(), wire.TagBody).tag
    await _change_tags(request, tx, caller, thing_id, wire.TagsAction(action="create", tags=[tag]))


@post([f"{path}/action" for path in _TAGS], status_code=204)
async def change_tags(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> None:
    await _change_tags(request, tx, caller, thing_id, decode_body(await request.body(), wire.TagsAction))


@delete([f"{path}/{{key:str}}" for path in _TAGS])
async def remove_tag(request: AnyRequest, thing_id: str, key: str, tx: Transaction, caller: Caller) -> None:
    thing = await networks.get_thing(tx, caller, _kind(request), thing_id)
    kept = [tag for tag in thing.tags if tag.partition("=")[0] != key]
    if len(kept) == len(thing.tags):
        raise NotFoundError(f"There is no tag {key[:36]}.")
    await networks.set_tags(tx, caller, _kind(request), thing_id, kept)


async def _change_tags(
    request: AnyRequest, tx: Transaction, caller: Caller, thing_id: str, body: wire.TagsAction
) -> None:
    thing = await networks.get_thing(tx, caller, _kind(request), thing_id)
    await networks.set_tags(tx, caller, _kind(request), thing_id, wire.with_tags(thing.tags, body))


_offered = [
    list_vpcs,
    create_vpc,
    show_vpc,
    update_vpc,
    delete_vpc,
    list_vpcs_v3,
    show_vpc_v3,
    list_subnets,
    create_subnet,
    show_subnet,
    update_subnet,
    delete_subnet,
    list_groups,
    create_group,
    show_group,
    delete_group,
    list_quotas,
    list_tags,
    add_tag,
    change_tags,
    remove_tag,
]

handlers = [
    Router(
        path="/",
        route_handlers=[*_offered, *publicips.handlers, *not_offered],
        guards=[require_own_project],
        exception_handlers=exception_handlers,
    ),
    Router(
        path="/", route_handlers=peerings.handlers, guards=[require_own_project], exception_handlers=as_neutron_does
    ),
]
