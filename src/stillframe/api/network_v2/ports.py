"""Ports: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import PortBody, changes_of, decode_one, decode_some, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import ports
from stillframe.networks import service as networks
from stillframe.networks.model import Port
from stillframe.networks.ports import NewPort

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/v2.0/ports")
async def list_ports(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    return listed(request, "ports", [wire.port_to_wire(port) for port in await networks.list_things(tx, caller, Port)])


@get("/v2.0/ports/{port_id:str}")
async def show_port(request: AnyRequest, port_id: str, tx: Transaction, caller: Caller) -> Json:
    return shown(request, "port", wire.port_to_wire(await networks.get_thing(tx, caller, Port, port_id)))


@post("/v2.0/ports")
async def create_ports(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    bodies, is_bulk = decode_some(await request.body(), "port", "ports", PortBody)
    made = [wire.port_to_wire(await ports.create_port(tx, caller, _new_port(body))) for body in bodies]
    return {"ports": made} if is_bulk else {"port": made[0]}


def _new_port(body: PortBody) -> NewPort:
    network_id = given(body.network_id)
    if not network_id:
        raise InvalidInputError("A port needs network_id.", field="network_id")
    return NewPort(
        network_id=network_id,
        mac_address=given(body.mac_address),
        fixed_ips=body.wanted_ips,
        security_group_ids=body.groups,
        allowed_address_pairs=body.pairs or (),
        port_security_enabled=given(body.port_security_enabled),
        tags=tuple(given(body.tags) or ()),
        **changes_of(body, "name", "description", "admin_state_up", "device_id", "device_owner"),
    )


@put("/v2.0/ports/{port_id:str}")
async def update_port(request: AnyRequest, port_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_one(await request.body(), "port", PortBody)
    port = await ports.update_port(
        tx,
        caller,
        port_id,
        fixed_ips=body.wanted_ips,
        security_group_ids=body.groups,
        allowed_address_pairs=body.pairs,
        mac=given(body.mac_address),
        **changes_of(
            body, "name", "description", "admin_state_up", "device_id", "device_owner", "port_security_enabled"
        ),
    )
    return {"port": wire.port_to_wire(port)}


@delete("/v2.0/ports/{port_id:str}")
async def delete_port(port_id: str, tx: Transaction, caller: Caller) -> None:
    await ports.delete_port(tx, caller, port_id)


handlers = [list_ports, show_port, create_ports, update_port, delete_port]
