"""The addresses and security groups of a server, and the floating addresses that lead to it.

Source: OpenStack Compute API reference, "Servers IPs", "Servers security groups", "Add (Associate) Floating Ip".
"""

from typing import Any

from litestar import get
from msgspec import Struct

from stillframe.api.compute_v2.acting import Acting, Action, Answer, accepted
from stillframe.api.compute_v2.bodies import convert
from stillframe.api.compute_v2.server_requests import Key, Text
from stillframe.api.compute_v2.server_wire import addresses_to_wire
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks import access
from stillframe.networks.model import Network, SecurityGroup, SecurityGroupRule
from stillframe.servers import nics
from stillframe.servers import service as servers

Json = dict[str, Any]


class AddFloatingIp(Struct):
    address: Key
    fixed_address: Text | None = None


class RemoveFloatingIp(Struct):
    address: Key


@get("/servers/{server_id:str}/ips")
async def list_addresses(server_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"addresses": _brief(addresses_to_wire(await servers.get_server(tx, caller, server_id)))}


@get("/servers/{server_id:str}/ips/{network_name:str}")
async def show_addresses(server_id: str, network_name: str, tx: Transaction, caller: Caller) -> Json:
    found = _brief(addresses_to_wire(await servers.get_server(tx, caller, server_id)))
    if network_name not in found:
        raise NotFoundError(f"Network {network_name[:255]} could not be found for the server.")
    return {network_name: found[network_name]}


@get("/os-tenant-networks")
async def list_networks(tx: Transaction, caller: Caller) -> Json:
    return {"networks": [_network(one) for one in await access.list_things(tx, caller, Network)]}


@get("/os-tenant-networks/{network_id:str}")
async def show_network(network_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"network": _network(await access.get_thing(tx, caller, Network, network_id))}


def _network(network: Network) -> Json:
    """Nova has never told the range of Neutron's networks."""
    return {"id": network.id, "label": network.name, "cidr": "None"}


def _brief(addresses: dict[str, list[Json]]) -> dict[str, list[Json]]:
    return {
        name: [{"version": one["version"], "addr": one["addr"]} for one in found] for name, found in addresses.items()
    }


@get("/servers/{server_id:str}/os-security-groups")
async def list_groups(server_id: str, tx: Transaction, caller: Caller) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    ids = {group_id for nic in server.nics for group_id, _ in nic.security_groups}
    found = await access.list_of_project(tx, server.project_id, SecurityGroup)
    names = {group.id: group.name for group in found}
    return {"security_groups": [_group(group, names) for group in found if group.id in ids]}


def _group(group: SecurityGroup, names: dict[str, str]) -> Json:
    """As Nova showed it when groups were its own: what comes in, and only that."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [_rule(rule, names) for rule in group.rules if rule.direction == "ingress"],
    }


def _rule(rule: SecurityGroupRule, names: dict[str, str]) -> Json:
    from_group = {"tenant_id": rule.project_id, "name": names.get(rule.remote_group_id or "")}
    return {
        "id": rule.id,
        "parent_group_id": rule.security_group_id,
        "ip_protocol": rule.protocol,
        "from_port": rule.port_range_min,
        "to_port": rule.port_range_max,
        "ip_range": {} if rule.remote_group_id else {"cidr": rule.remote_ip_prefix or "0.0.0.0/0"},
        "group": from_group if rule.remote_group_id else {},
    }


async def _add_floating_ip(acting: Acting, argument: Any) -> Answer:
    wanted = convert(argument, AddFloatingIp)
    await nics.bind_floating_ip(
        acting.tx, acting.caller, acting.server_id, wanted.address, fixed_ip=wanted.fixed_address or None
    )
    return accepted()


async def _remove_floating_ip(acting: Acting, argument: Any) -> Answer:
    address = convert(argument, RemoveFloatingIp).address
    await nics.unbind_floating_ip(acting.tx, acting.caller, acting.server_id, address)
    return accepted()


ACTIONS: dict[str, Action] = {"addFloatingIp": _add_floating_ip, "removeFloatingIp": _remove_floating_ip}

handlers = [list_addresses, show_addresses, list_networks, show_network, list_groups]
