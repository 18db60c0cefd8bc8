"""Routers: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import GatewayBody, InterfaceBody, RouterBody, changes_of, decode_one, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import extra_routes, routers
from stillframe.networks import service as networks
from stillframe.networks.model import Router

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/v2.0/routers")
async def list_routers(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    zone = settings.availability_zone
    found = await networks.list_things(tx, caller, Router)
    return listed(request, "routers", [wire.router_to_wire(router, zone) for router in found])


@get("/v2.0/routers/{router_id:str}")
async def show_router(request: AnyRequest, router_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    router = await networks.get_thing(tx, caller, Router, router_id)
    return shown(request, "router", wire.router_to_wire(router, settings.availability_zone))


@post("/v2.0/routers")
async def create_router(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    body = decode_one(await request.body(), "router", RouterBody)
    if given(body.routes):
        raise InvalidInputError("A router that joins no subnet yet can have no routes.", field="routes")
    changes = _changes(body)
    router = await routers.create_router(tx, caller, Router(id="", project_id="", **changes))
    return {"router": wire.router_to_wire(router, settings.availability_zone)}


def _changes(body: RouterBody) -> Json:
    changes = changes_of(body, "name", "description", "admin_state_up")
    gateway = body.external_gateway_info
    if gateway is None:
        return {**changes, "has_gateway": False, "enable_snat": True}
    if not isinstance(gateway, GatewayBody):
        return changes
    if not gateway.network_id:
        return {**changes, "has_gateway": False, "enable_snat": True}
    if not networks.is_external(gateway.network_id):
        raise InvalidInputError(f"Bad router request: Network {gateway.network_id} is not an external network")
    enable_snat = given(gateway.enable_snat)
    return {**changes, "has_gateway": True, "enable_snat": True if enable_snat is None else enable_snat}


@put("/v2.0/routers/{router_id:str}")
async def update_router(
    request: AnyRequest, router_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    body = decode_one(await request.body(), "router", RouterBody)
    routes = () if body.routes is None else body.host_routes
    router = await routers.update_router(tx, caller, router_id, routes=routes, **_changes(body))
    return {"router": wire.router_to_wire(router, settings.availability_zone)}


@put(["/v2.0/routers/{router_id:str}/add_extraroutes", "/v2.0/routers/{router_id:str}/remove_extraroutes"])
async def change_routes(
    request: AnyRequest, router_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    routes = decode_one(await request.body(), "router", RouterBody).host_routes
    if routes is None:
        raise InvalidInputError("Which routes? Their list is missing.", field="routes")
    change = (
        extra_routes.add_routes if request.scope["path"].endswith("/add_extraroutes") else extra_routes.remove_routes
    )
    router = await change(tx, caller, router_id, routes)
    return {"router": wire.router_to_wire(router, settings.availability_zone)}


@delete("/v2.0/routers/{router_id:str}")
async def delete_router(router_id: str, tx: Transaction, caller: Caller) -> None:
    await routers.delete_router(tx, caller, router_id)


@put("/v2.0/routers/{router_id:str}/add_router_interface")
async def add_interface(request: AnyRequest, router_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), InterfaceBody)
    port = await routers.add_interface(tx, caller, router_id, subnet_id=body.subnet_id, port_id=body.port_id)
    return wire.interface_to_wire(router_id, port)


@put("/v2.0/routers/{router_id:str}/remove_router_interface")
async def remove_interface(request: AnyRequest, router_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), InterfaceBody)
    port = await routers.remove_interface(tx, caller, router_id, subnet_id=body.subnet_id, port_id=body.port_id)
    return wire.interface_to_wire(router_id, port)


handlers = [
    list_routers,
    show_router,
    create_router,
    update_router,
    change_routes,
    delete_router,
    add_interface,
    remove_interface,
]
