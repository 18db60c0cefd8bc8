"""What a caller can do with networks and subnets. Ports, routers, groups and floating addresses are beside it."""

import ipaddress
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing, list_things, require_quota
from stillframe.networks.addresses import (
    checked_pools,
    default_pools,
    host_address,
    parsed_address,
    parsed_cidr,
    subnet_cidr,
)
from stillframe.networks.errors import NetworkThingInUseError
from stillframe.networks.model import EXTERNAL_NETWORK_ID, HostRoute, Network, Pool, Port, Subnet, Thing

__all__ = ["get_thing", "list_things"]

MAX_NAME_SERVERS = 5
MAX_HOST_ROUTES = 20
MAX_POOLS = 20


class NewSubnet(msgspec.Struct, frozen=True, kw_only=True):
    """`gateway_ip` "" takes the first address, None means that there is no gateway; `pools` None takes all."""

    network_id: str
    cidr: str
    name: str = ""
    description: str = ""
    gateway_ip: str | None = ""
    enable_dhcp: bool = True
    pools: tuple[Pool, ...] | None = None
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()


async def create_network(tx: Transaction, caller: Caller, wanted: Network) -> Network:
    """Its id, owner and times are set here. Raises: ForbiddenError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    await require_quota(tx, project_id, Network)
    now = utcnow()
    network = replace(wanted, id=new_uuid(), project_id=project_id, created_at=now, updated_at=now)
    await rows.insert(tx, network)
    return network


async def update_network(tx: Transaction, caller: Caller, network_id: str, **changes: object) -> Network:
    """Raises: NetworkNotFoundError, ForbiddenError."""
    await begin_change(tx, caller)
    network = replace(await get_thing(tx, caller, Network, network_id), **changes, updated_at=utcnow())
    await rows.update(tx, network)
    return network


async def delete_network(tx: Transaction, caller: Caller, network_id: str) -> None:
    """With its subnets. Raises: NetworkNotFoundError; NetworkThingInUseError while a port is on it."""
    await begin_change(tx, caller)
    network = await get_thing(tx, caller, Network, network_id)
    if await rows.find(tx, Port, network_id=network.id):
        raise NetworkThingInUseError(
            f"Unable to complete operation on network {network.id}. "
            "There are one or more ports still in use on the network."
        )
    for subnet in await rows.find(tx, Subnet, network_id=network.id):
        await rows.delete(tx, subnet)
    await rows.delete(tx, network)


async def create_subnet(tx: Transaction, caller: Caller, new: NewSubnet) -> Subnet:
    """Raises: NetworkNotFoundError, InvalidInputError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    network = await get_thing(tx, caller, Network, new.network_id)
    cidr = subnet_cidr(new.cidr)
    for other in await rows.find(tx, Subnet, network_id=network.id):
        if cidr.overlaps(ipaddress.IPv4Network(other.cidr)):
            raise InvalidInputError(
                f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet.",
                field="cidr",
            )
    await require_quota(tx, project_id, Subnet)
    gateway_ip = str(cidr.network_address + 1) if new.gateway_ip == "" else new.gateway_ip
    gateway_ip = None if gateway_ip is None else host_address(gateway_ip, cidr, "gateway_ip")
    now = utcnow()
    subnet = Subnet(
        id=new_uuid(),
        project_id=project_id,
        name=new.name,
        description=new.description,
        network_id=network.id,
        cidr=str(cidr),
        gateway_ip=gateway_ip,
        enable_dhcp=new.enable_dhcp,
        pools=_pools(new.pools, cidr, gateway_ip),
        dns_nameservers=_name_servers(new.dns_nameservers),
        host_routes=_host_routes(new.host_routes),
        created_at=now,
        updated_at=now,
    )
    await rows.insert(tx, subnet)
    return subnet


def _pools(wanted: Sequence[Pool] | None, cidr: ipaddress.IPv4Network, gateway_ip: str | None) -> tuple[Pool, ...]:
    if wanted is None:
        return default_pools(cidr, gateway_ip)
    if len(wanted) > MAX_POOLS:
        raise InvalidInputError(f"A subnet has at most {MAX_POOLS} allocation pools.", field="allocation_pools")
    return checked_pools(wanted, cidr, gateway_ip)


def _name_servers(wanted: Sequence[str]) -> tuple[str, ...]:
    if len(wanted) > MAX_NAME_SERVERS:
        raise InvalidInputError(f"A subnet has at most {MAX_NAME_SERVERS} name servers.", field="dns_nameservers")
    return tuple(str(parsed_address(text, "dns_nameservers")) for text in wanted)


def _host_routes(wanted: Sequence[HostRoute]) -> tuple[HostRoute, ...]:
    if len(wanted) > MAX_HOST_ROUTES:
        raise InvalidInputError(f"A subnet has at most {MAX_HOST_ROUTES} host routes.", field="host_routes")
    return tuple(
        HostRoute(str(parsed_cidr(one.destination, "host_routes")), str(parsed_address(one.nexthop, "host_routes")))
        for one in wanted
    )


async def update_subnet(
    tx: Transaction,
    caller: Caller,
    subnet_id: str,
    *,
    gateway_ip: str | None = "",
    pools: tuple[Pool, ...] | None = None,
    dns_nameservers: tuple[str, ...] | None = None,
    host_routes: tuple[HostRoute, ...] | None = None,
    **changes: object,
) -> Subnet:
    """What is left out stays. Raises: NetworkNotFoundError, InvalidInputError; NetworkThingInUseError for a gateway."""
    await begin_change(tx, caller)
    subnet = await get_thing(tx, caller, Subnet, subnet_id)
    cidr = ipaddress.IPv4Network(subnet.cidr)
    if gateway_ip != "":
        changes["gateway_ip"] = await _new_gateway(tx, subnet, gateway_ip)
    if dns_nameservers is not None:
        changes["dns_nameservers"] = _name_servers(dns_nameservers)
    if host_routes is not None:
        changes["host_routes"] = _host_routes(host_routes)
    changed = replace(subnet, **changes, updated_at=utcnow())
    if pools is not None:
        changed = replace(changed, pools=_pools(pools, cidr, changed.gateway_ip))
    await rows.update(tx, changed)
    return changed


async def _new_gateway(tx: Transaction, subnet: Subnet, wanted: str | None) -> str | None:
    """Any free address outside the pools, since those are given away."""
    if wanted == subnet.gateway_ip:
        return wanted
    if subnet.router_id is not None:
        raise NetworkThingInUseError(f"Gateway ip {subnet.gateway_ip} cannot be updated: a router has it.")
    if wanted is None:
        return None
    cidr = ipaddress.IPv4Network(subnet.cidr)
    address = host_address(wanted, cidr, "gateway_ip")
    if address in await rows.addresses_in_use(tx, subnet.id):
        raise NetworkThingInUseError(f"Gateway ip {address} is in use by a port.")
    checked_pools(subnet.pools, cidr, address)
    return address


async def delete_subnet(tx: Transaction, caller: Caller, subnet_id: str) -> None:
    """Raises: NetworkNotFoundError; NetworkThingInUseError while a port has an address of it."""
    await begin_change(tx, caller)
    subnet = await get_thing(tx, caller, Subnet, subnet_id)
    if await rows.addresses_in_use(tx, subnet.id):
        raise NetworkThingInUseError(
            f"Unable to complete operation on subnet {subnet.id}: "
            "One or more ports have an IP allocation from this subnet."
        )
    await rows.delete(tx, subnet)


async def set_tags(
    tx: Transaction, caller: Caller, kind: type[Thing], thing_id: str, tags: Sequence[str]
) -> tuple[str, ...]:
    """Replaces all of them. Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    thing = await get_thing(tx, caller, kind, thing_id)
    kept = tuple(dict.fromkeys(tags))
    await rows.update(tx, replace(thing, tags=kept))
    return kept


def is_external(network_id: str) -> bool:
    return network_id == EXTERNAL_NETWORK_ID
