"""Floating addresses: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put
from msgspec import UNSET

from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import FloatingIpBody, changes_of, decode_one, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import floating_ips
from stillframe.networks import service as networks
from stillframe.networks.model import FloatingIp

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/v2.0/floatingips")
async def list_floating_ips(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, FloatingIp)
    return listed(request, "floatingips", [wire.floating_ip_to_wire(one) for one in found])


@get("/v2.0/floatingips/{floating_ip_id:str}")
async def show_floating_ip(request: AnyRequest, floating_ip_id: str, tx: Transaction, caller: Caller) -> Json:
    found = await networks.get_thing(tx, caller, FloatingIp, floating_ip_id)
    return shown(request, "floatingip", wire.floating_ip_to_wire(found))


@post("/v2.0/floatingips")
async def create_floating_ip(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    body = decode_one(await request.body(), "floatingip", FloatingIpBody)
    network_id = given(body.floating_network_id)
    if not network_id:
        raise InvalidInputError("A floating IP needs floating_network_id.", field="floating_network_id")
    if not networks.is_external(network_id):
        raise InvalidInputError(f"Bad floatingip request: Network {network_id} is not a valid external network")
    made = await floating_ips.create_floating_ip(
        tx,
        caller,
        settings,
        FloatingIp(
            id="",
            project_id="",
            address=given(body.floating_ip_address) or "",
            description=given(body.description) or "",
        ),
        port_id=given(body.port_id) or None,
        fixed_ip=given(body.fixed_ip_address) or None,
    )
    return {"floatingip": wire.floating_ip_to_wire(made)}


@put("/v2.0/floatingips/{floating_ip_id:str}")
async def update_floating_ip(request: AnyRequest, floating_ip_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_one(await request.body(), "floatingip", FloatingIpBody)
    changed = await floating_ips.update_floating_ip(
        tx,
        caller,
        floating_ip_id,
        port_id="" if body.port_id is UNSET else body.port_id or None,
        fixed_ip=given(body.fixed_ip_address) or None,
        **changes_of(body, "description"),
    )
    return {"floatingip": wire.floating_ip_to_wire(changed)}


@delete("/v2.0/floatingips/{floating_ip_id:str}")
async def delete_floating_ip(floating_ip_id: str, tx: Transaction, caller: Caller) -> None:
    await floating_ips.delete_floating_ip(tx, caller, floating_ip_id)


handlers = [list_floating_ips, show_floating_ip, create_floating_ip, update_floating_ip, delete_floating_ip]
