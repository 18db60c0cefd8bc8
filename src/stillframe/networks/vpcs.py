"""VPCs and their subnets: a router with its range, and a network with one subnet on it, made and ended together."""

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import routers, rows
from stillframe.networks import service as networks
from stillframe.networks.access import begin_change, get_thing, list_things, not_found
from stillframe.networks.addresses import parsed_cidr
from stillframe.networks.errors import NetworkThingInUseError
from stillframe.networks.model import ROUTER_OWNER, Network, Port, Router, Subnet
from stillframe.networks.service import NewSubnet

LONGEST_SUBNET_PREFIX = 28
_RANGES = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


class VpcNameTakenError(InvalidInputError):
    code = "vpc_name_taken"
    default_message = "The router name exists."


class SubnetOutsideVpcError(InvalidInputError):
    code = "subnet_outside_vpc"
    default_message = "Subnet is not in the range of VPC."


class SubnetOverlapsError(InvalidInputError):
    code = "subnet_overlaps"
    default_message = "The subnet already exists in the VPC or conflicts with an existing VPC subnet."


class VpcSubnet(msgspec.Struct, frozen=True, kw_only=True):
    """What VPC calls a subnet; its id is the network's."""

    network: Network
    subnet: Subnet


class NewVpcSubnet(msgspec.Struct, frozen=True, kw_only=True):
    vpc_id: str
    name: str
    description: str
    cidr: str
    gateway_ip: str
    enable_dhcp: bool
    dns_nameservers: tuple[str, ...]


async def create_vpc(tx: Transaction, caller: Caller, name: str, description: str, cidr: str) -> Router:
    """Raises: InvalidInputError, VpcNameTakenError, NetworkQuotaExceededError, ForbiddenError.

    Source: Open Telekom Cloud, VPC API reference, "Creating a VPC".
    """
    await begin_change(tx, caller)
    if name and any(router.name == name for router in await list_things(tx, caller, Router)):
        raise VpcNameTakenError
    new = Router(id="", project_id="", name=name, description=description, cidr=_vpc_range(cidr), has_gateway=True)
    return await routers.create_router(tx, caller, new)


def _vpc_range(text: str) -> str:
    if not text:
        return ""
    cidr = parsed_cidr(text)
    if cidr.prefixlen > LONGEST_SUBNET_PREFIX or not any(cidr.subnet_of(one) for one in _RANGES):
        raise InvalidInputError(
            f"The CIDR {cidr} must be within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, and at most a /28.",
            field="cidr",
        )
    return str(cidr)


async def update_vpc(
    tx: Transaction,
    caller: Caller,
    vpc_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    cidr: str | None = None,
) -> Router:
    """What is None stays. Raises: NetworkNotFoundError, VpcNameTakenError; SubnetOutsideVpcError."""
    await begin_change(tx, caller)
    vpc = await get_thing(tx, caller, Router, vpc_id)
    others = [router for router in await list_things(tx, caller, Router) if router.id != vpc.id]
    if name and any(router.name == name for router in others):
        raise VpcNameTakenError
    changes = {"name": name, "description": description, "cidr": None if cidr is None else _vpc_range(cidr)}
    changed = replace(vpc, **{key: value for key, value in changes.items() if value is not None})
    for subnet in await rows.find(tx, Subnet, router_id=vpc.id):
        if not _holds(changed, ipaddress.IPv4Network(subnet.cidr)):
            raise SubnetOutsideVpcError(f"VPC CIDR block {changed.cidr} does not contain the subnet {subnet.cidr}.")
    await rows.update(tx, changed)
    return changed


def _holds(vpc: Router, cidr: ipaddress.IPv4Network) -> bool:
    return not vpc.cidr or cidr.subnet_of(ipaddress.IPv4Network(vpc.cidr))


async def list_subnets(tx: Transaction, caller: Caller, vpc_id: str | None = None) -> list[VpcSubnet]:
    """Those that are in a VPC."""
    found = {one.id: one for one in await list_things(tx, caller, Network)}
    return [
        VpcSubnet(network=found[subnet.network_id], subnet=subnet)
        for subnet in await list_things(tx, caller, Subnet)
        if subnet.router_id is not None and vpc_id in {None, subnet.router_id}
    ]


async def get_subnet(tx: Transaction, caller: Caller, network_id: str, vpc_id: str | None = None) -> VpcSubnet:
    """Raises: NetworkNotFoundError; InvalidInputError when it is in another VPC."""
    network = await get_thing(tx, caller, Network, network_id)
    for one in await list_subnets(tx, caller):
        if one.network.id == network.id:
            if vpc_id not in {None, one.subnet.router_id}:
                raise InvalidInputError("Subnet does not belong to the VPC.", field="vpc_id")
            return one
    raise not_found(Subnet, network_id)


async def create_subnet(tx: Transaction, caller: Caller, new: NewVpcSubnet) -> VpcSubnet:
    """Raises: NetworkNotFoundError, InvalidInputError, SubnetOutsideVpcError, SubnetOverlapsError, and for quotas.

    Source: Open Telekom Cloud, VPC API reference, "Creating a Subnet".
    """
    await begin_change(tx, caller)
    vpc = await get_thing(tx, caller, Router, new.vpc_id)
    cidr = parsed_cidr(new.cidr)
    if not _holds(vpc, cidr):
        raise SubnetOutsideVpcError
    if cidr.prefixlen > LONGEST_SUBNET_PREFIX:
        raise InvalidInputError(f"The subnet mask of {cidr} cannot be greater than 28.", field="cidr")
    for other in await rows.find(tx, Subnet, router_id=vpc.id):
        if cidr.overlaps(ipaddress.IPv4Network(other.cidr)):
            raise SubnetOverlapsError
    network = await networks.create_network(
        tx, caller, Network(id="", project_id="", name=new.name, description=new.description)
    )
    subnet = await networks.create_subnet(
        tx,
        caller,
        NewSubnet(
            network_id=network.id,
            cidr=new.cidr,
            name=new.name,
            gateway_ip=new.gateway_ip,
            enable_dhcp=new.enable_dhcp,
            dns_nameservers=new.dns_nameservers,
        ),
    )
    await routers.add_interface(tx, caller, vpc.id, subnet_id=subnet.id)
    return await get_subnet(tx, caller, network.id)


async def update_subnet(
    tx: Transaction,
    caller: Caller,
    vpc_id: str,
    network_id: str,
    *,
    name: str | None = None,
    description: str | None = None,
    enable_dhcp: bool | None = None,
    dns_nameservers: Sequence[str] | None = None,
) -> VpcSubnet:
    """What is None stays. Raises: NetworkNotFoundError, InvalidInputError."""
    await begin_change(tx, caller)
    found = await get_subnet(tx, caller, network_id, vpc_id)
    told = {"name": name, "description": description}
    texts = {key: value for key, value in told.items() if value is not None}
    await networks.update_network(tx, caller, network_id, **texts)
    changes: dict[str, Any] = {} if name is None else {"name": name}
    if enable_dhcp is not None:
        changes["enable_dhcp"] = enable_dhcp
    servers = None if dns_nameservers is None else tuple(dns_nameservers)
    await networks.update_subnet(tx, caller, found.subnet.id, dns_nameservers=servers, **changes)
    return await get_subnet(tx, caller, network_id)


async def delete_subnet(tx: Transaction, caller: Caller, vpc_id: str, network_id: str) -> None:
    """Raises: NetworkNotFoundError, InvalidInputError; NetworkThingInUseError while anything has an address of it."""
    await begin_change(tx, caller)
    found = await get_subnet(tx, caller, network_id, vpc_id)
    ports = await rows.find(tx, Port, network_id=network_id)
    if any(port.device_owner != ROUTER_OWNER for port in ports):
        raise NetworkThingInUseError("The subnet cannot be deleted: it has private IP addresses that are being used.")
    await routers.remove_interface(tx, caller, vpc_id, subnet_id=found.subnet.id)
    await networks.delete_network(tx, caller, network_id)
