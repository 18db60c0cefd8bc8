"""VPC peering connections and the routes over them, which answer as Neutron does: decode, one service call, encode.

Source: Open Telekom Cloud, VPC API reference, "VPC Peering Connection" and "VPC Route".
"""

from typing import Annotated, Any

from litestar import Request, delete, get, post, put
from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.queries import query_pairs
from stillframe.api.network_v2.bodies import Text
from stillframe.api.network_v2.lists import listed
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.kit.clock import iso_seconds_z
from stillframe.networks import peerings
from stillframe.networks import service as networks
from stillframe.networks.model import Peering, VpcRoute

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]
_Name = Annotated[str, Meta(max_length=64)]


class VpcInfo(Struct):
    vpc_id: Text
    tenant_id: Text | None = None


class NewPeering(Struct):
    name: _Name
    request_vpc_info: VpcInfo
    accept_vpc_info: VpcInfo
    description: Text | None = None


class NewPeeringBody(Struct):
    peering: NewPeering


class ChangedPeering(Struct):
    name: _Name | None = None
    description: Text | None = None


class ChangedPeeringBody(Struct):
    peering: ChangedPeering


class NewRoute(Struct):
    type: Text
    nexthop: Text
    destination: Text
    vpc_id: Text


class NewRouteBody(Struct):
    route: NewRoute


def peering_to_wire(peering: Peering) -> Json:
    return {
        "id": peering.id,
        "name": peering.name,
        "description": peering.description,
        "request_vpc_info": {"vpc_id": peering.router_id, "tenant_id": peering.project_id},
        "accept_vpc_info": {"vpc_id": peering.peer_router_id, "tenant_id": peering.peer_project_id},
        "status": peering.status,
        "created_at": iso_seconds_z(peering.created_at),
        "updated_at": iso_seconds_z(peering.updated_at),
    }


def route_to_wire(route: VpcRoute) -> Json:
    return {
        "id": route.id,
        "type": "peering",
        "nexthop": route.peering_id,
        "destination": route.destination,
        "vpc_id": route.router_id,
        "tenant_id": route.project_id,
    }


@get("/v2.0/vpc/peerings")
async def list_peerings(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    """`vpc_id` and `tenant_id` fit either side."""
    wanted = dict(query_pairs(request))
    found = [
        peering_to_wire(one)
        for one in await peerings.list_peerings(tx, caller)
        if wanted.get("vpc_id") in {None, "", one.router_id, one.peer_router_id}
        and wanted.get("tenant_id") in {None, "", one.project_id, one.peer_project_id}
    ]
    return listed(request, "peerings", found)


@post("/v2.0/vpc/peerings")
async def create_peering(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), NewPeeringBody).peering
    own, peer = wanted.request_vpc_info, wanted.accept_vpc_info
    if own.tenant_id not in {None, "", caller.project_id}:
        raise InvalidInputError("request_vpc_info is the VPC of the project that asks.", field="request_vpc_info")
    peer_project_id, description = peer.tenant_id or None, wanted.description or ""
    made = await peerings.create_peering(tx, caller, wanted.name, own.vpc_id, peer.vpc_id, peer_project_id, description)
    return {"peering": peering_to_wire(made)}


@get("/v2.0/vpc/peerings/{peering_id:str}")
async def show_peering(peering_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"peering": peering_to_wire(await peerings.get_peering(tx, caller, peering_id))}


@put("/v2.0/vpc/peerings/{peering_id:str}")
async def update_peering(request: AnyRequest, peering_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), ChangedPeeringBody).peering
    changed = await peerings.rename_peering(tx, caller, peering_id, name=wanted.name, description=wanted.description)
    return {"peering": peering_to_wire(changed)}


@put("/v2.0/vpc/peerings/{peering_id:str}/accept")
async def accept_peering(peering_id: str, tx: Transaction, caller: Caller) -> Json:
    """What was decided is told without an envelope."""
    return peering_to_wire(await peerings.accept_peering(tx, caller, peering_id))


@put("/v2.0/vpc/peerings/{peering_id:str}/reject")
async def reject_peering(peering_id: str, tx: Transaction, caller: Caller) -> Json:
    return peering_to_wire(await peerings.reject_peering(tx, caller, peering_id))


@delete("/v2.0/vpc/peerings/{peering_id:str}")
async def delete_peering(peering_id: str, tx: Transaction, caller: Caller) -> None:
    await peerings.delete_peering(tx, caller, peering_id)


@get("/v2.0/vpc/routes")
async def list_routes(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    return listed(request, "routes", [route_to_wire(one) for one in await networks.list_things(tx, caller, VpcRoute)])


@post("/v2.0/vpc/routes")
async def create_route(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), NewRouteBody).route
    if wanted.type != "peering":
        raise NotOfferedError("Routes of a VPC lead over a VPC peering connection (type peering).")
    made = await peerings.create_route(tx, caller, wanted.vpc_id, wanted.destination, wanted.nexthop)
    return {"route": route_to_wire(made)}


@get("/v2.0/vpc/routes/{route_id:str}")
async def show_route(route_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"route": route_to_wire(await networks.get_thing(tx, caller, VpcRoute, route_id))}


@delete("/v2.0/vpc/routes/{route_id:str}")
async def delete_route(route_id: str, tx: Transaction, caller: Caller) -> None:
    await peerings.delete_route(tx, caller, route_id)


handlers = [
    list_peerings,
    create_peering,
    show_peering,
    update_peering,
    accept_peering,
    reject_peering,
    delete_peering,
    list_routes,
    create_route,
    show_route,
    delete_route,
]
