"""Networks and subnets: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put
from msgspec import UNSET

from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import NetworkBody, SubnetBody, changes_of, decode_one, decode_some, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.networks import service as networks
from stillframe.networks.model import Network, Subnet
from stillframe.networks.service import NewSubnet

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/v2.0/networks")
async def list_networks(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    subnets = await networks.list_things(tx, caller, Subnet)
    found = [
        _network(network, subnets, settings.availability_zone)
        for network in await networks.list_things(tx, caller, Network)
    ]
    return listed(request, "networks", [*found, wire.external_network(settings.availability_zone)])


def _network(network: Network, subnets: list[Subnet], zone: str) -> Json:
    return wire.network_to_wire(network, [one.id for one in subnets if one.network_id == network.id], zone)


@get("/v2.0/networks/{network_id:str}")
async def show_network(
    request: AnyRequest, network_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    if networks.is_external(network_id):
        return shown(request, "network", wire.external_network(settings.availability_zone))
    network = await networks.get_thing(tx, caller, Network, network_id)
    subnets = await networks.list_things(tx, caller, Subnet)
    return shown(request, "network", _network(network, subnets, settings.availability_zone))


@post("/v2.0/networks")
async def create_networks(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    bodies, is_bulk = decode_some(await request.body(), "network", "networks", NetworkBody)
    made = [
        wire.network_to_wire(
            await networks.create_network(tx, caller, Network(id="", project_id="", **_network_changes(body))),
            [],
            settings.availability_zone,
        )
        for body in bodies
    ]
    return {"networks": made} if is_bulk else {"network": made[0]}


def _network_changes(body: NetworkBody) -> Json:
    if given(body.mtu) not in {None, 1500}:
        raise NotOfferedError("Every network has an MTU of 1500.")
    return changes_of(body, "name", "description", "admin_state_up", "port_security_enabled")


@put("/v2.0/networks/{network_id:str}")
async def update_network(
    request: AnyRequest, network_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    _require_not_external(network_id)
    changes = _network_changes(decode_one(await request.body(), "network", NetworkBody))
    network = await networks.update_network(tx, caller, network_id, **changes)
    return {"network": _network(network, await networks.list_things(tx, caller, Subnet), settings.availability_zone)}


@delete("/v2.0/networks/{network_id:str}")
async def delete_network(network_id: str, tx: Transaction, caller: Caller) -> None:
    _require_not_external(network_id)
    await networks.delete_network(tx, caller, network_id)


def _require_not_external(network_id: str) -> None:
    if networks.is_external(network_id):
        raise ForbiddenError("The external network can be used, but not changed.")


@get("/v2.0/subnets")
async def list_subnets(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    return listed(
        request, "subnets", [wire.subnet_to_wire(one) for one in await networks.list_things(tx, caller, Subnet)]
    )


@get("/v2.0/subnets/{subnet_id:str}")
async def show_subnet(request: AnyRequest, subnet_id: str, tx: Transaction, caller: Caller) -> Json:
    return shown(request, "subnet", wire.subnet_to_wire(await networks.get_thing(tx, caller, Subnet, subnet_id)))


@post("/v2.0/subnets")
async def create_subnets(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    bodies, is_bulk = decode_some(await request.body(), "subnet", "subnets", SubnetBody)
    made = [wire.subnet_to_wire(await networks.create_subnet(tx, caller, _new_subnet(body))) for body in bodies]
    return {"subnets": made} if is_bulk else {"subnet": made[0]}


def _new_subnet(body: SubnetBody) -> NewSubnet:
    network_id, cidr = given(body.network_id), given(body.cidr)
    if not network_id or not cidr:
        raise InvalidInputError("A subnet needs network_id and cidr.", field="network_id" if cidr else "cidr")
    _require_version_4(body)
    _require_not_external(network_id)
    return NewSubnet(
        network_id=network_id,
        cidr=cidr,
        gateway_ip="" if body.gateway_ip is UNSET else body.gateway_ip,
        pools=body.pools,
        dns_nameservers=body.name_servers or (),
        host_routes=body.routes or (),
        **changes_of(body, "name", "description", "enable_dhcp"),
    )


def _require_version_4(body: SubnetBody) -> None:
    if str(given(body.ip_version) or 4) != "4":
        raise NotOfferedError("Networks carry IPv4 only (ip_version 4).")


@put("/v2.0/subnets/{subnet_id:str}")
async def update_subnet(request: AnyRequest, subnet_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_one(await request.body(), "subnet", SubnetBody)
    subnet = await networks.update_subnet(
        tx,
        caller,
        subnet_id,
        gateway_ip="" if body.gateway_ip is UNSET else body.gateway_ip,
        pools=body.pools,
        dns_nameservers=body.name_servers,
        host_routes=body.routes,
        **changes_of(body, "name", "description", "enable_dhcp"),
    )
    return {"subnet": wire.subnet_to_wire(subnet)}


@delete("/v2.0/subnets/{subnet_id:str}")
async def delete_subnet(subnet_id: str, tx: Transaction, caller: Caller) -> None:
    await networks.delete_subnet(tx, caller, subnet_id)


handlers = [
    list_networks,
    show_network,
    create_networks,
    update_network,
    delete_network,
    list_subnets,
    show_subnet,
    create_subnets,
    update_subnet,
    delete_subnet,
]
