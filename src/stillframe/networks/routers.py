"""Routers: what VPC calls a VPC."""

import ipaddress
from collections.abc import Sequence

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import ConflictError, InvalidInputError, NetworkNotFoundError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import extra_routes, ports, rows
from stillframe.networks.access import begin_change, get_thing, require_quota
from stillframe.networks.errors import AddressInUseError, NetworkThingInUseError
from stillframe.networks.model import (
    ROUTER_OWNER,
    FixedIp,
    FloatingIp,
    HostRoute,
    Peering,
    Port,
    Router,
    Subnet,
    router_port,
)


async def create_router(tx: Transaction, caller: Caller, wanted: Router) -> Router:
    """Its id, owner and times are set here. Raises: ForbiddenError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    await require_quota(tx, project_id, Router)
    now = utcnow()
    router = replace(wanted, id=new_uuid(), project_id=project_id, created_at=now, updated_at=now)
    await rows.insert(tx, router)
    return router


async def update_router(
    tx: Transaction, caller: Caller, router_id: str, *, routes: Sequence[HostRoute] | None = None, **changes: object
) -> Router:
    """`routes` replaces all of them.

    Raises: NetworkNotFoundError, InvalidInputError; NetworkThingInUseError when floating addresses need its gateway.
    """
    await begin_change(tx, caller)
    router = await get_thing(tx, caller, Router, router_id)
    if routes is not None:
        changes["routes"] = await extra_routes.checked_routes(tx, router, routes)
    changed = replace(router, **changes, updated_at=utcnow())
    if router.has_gateway and not changed.has_gateway and await _floating_ips(tx, router):
        raise NetworkThingInUseError(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            "is required by one or more floating IPs."
        )
    await rows.update(tx, changed)
    return changed


async def _floating_ips(tx: Transaction, router: Router) -> list[FloatingIp]:
    return await rows.find(tx, FloatingIp, router_id=router.id)


async def delete_router(tx: Transaction, caller: Caller, router_id: str) -> None:
    """Raises: NetworkNotFoundError; NetworkThingInUseError while a subnet or a peering hangs on it."""
    await begin_change(tx, caller)
    router = await get_thing(tx, caller, Router, router_id)
    await rows.lock(tx, router)  # another project may be asking for a peering with it
    subnets, floating = await rows.find(tx, Subnet, router_id=router.id), await _floating_ips(tx, router)
    if subnets or floating:
        raise NetworkThingInUseError(f"Router {router.id} still has ports")
    if await rows.find(tx, Peering, router_id=router.id) or await rows.find(tx, Peering, peer_router_id=router.id):
        raise NetworkThingInUseError(f"Router {router.id} still has VPC peering connections")
    await rows.delete(tx, router)


async def add_interface(
    tx: Transaction, caller: Caller, router_id: str, *, subnet_id: str | None = None, port_id: str | None = None
) -> Port:
    """The router gets the subnet's gateway address, or a port's that is there.

    Raises: NetworkNotFoundError, InvalidInputError, NetworkThingInUseError; ConflictError when subnets overlap.
    """
    project_id = await begin_change(tx, caller)
    router = await get_thing(tx, caller, Router, router_id)
    if (subnet_id is None) == (port_id is None):
        raise InvalidInputError("Bad router request: Either subnet_id or port_id must be specified")
    taken = await _free_port(tx, caller, port_id) if port_id is not None else None
    subnet = await get_thing(tx, caller, Subnet, taken.fixed_ips[0].subnet_id if taken else str(subnet_id))
    await _require_room(tx, router, subnet)
    if taken is not None:
        port = replace(
            taken,
            device_id=router.id,
            device_owner=ROUTER_OWNER,
            port_security_enabled=False,
            security_group_ids=(),
            allowed_address_pairs=(),
        )
        await rows.update(tx, port)
    else:
        port = await _new_port(tx, router, subnet, project_id)
    await rows.update(tx, replace(subnet, router_id=router.id, updated_at=utcnow()))
    return port


async def _free_port(tx: Transaction, caller: Caller, port_id: str) -> Port:
    port = await get_thing(tx, caller, Port, port_id)
    if port.device_id:
        raise NetworkThingInUseError(f"Port {port.id} is still in use by {port.device_id}.")
    if len(port.fixed_ips) != 1:
        raise InvalidInputError("Bad router request: the port must have exactly one address")
    return port


async def _new_port(tx: Transaction, router: Router, subnet: Subnet, project_id: str) -> Port:
    if subnet.gateway_ip is None:
        raise InvalidInputError("Bad router request: Subnet for router interface must have a gateway IP")
    if subnet.gateway_ip in await rows.addresses_in_use(tx, subnet.id):
        raise AddressInUseError(f"IP address {subnet.gateway_ip} already allocated in subnet {subnet.id}")
    address = FixedIp(subnet_id=subnet.id, ip_address=subnet.gateway_ip)
    now = utcnow()
    port = replace(router_port(router.id, project_id, subnet.network_id, address), created_at=now, updated_at=now)
    await rows.insert(tx, port)
    return port


async def _require_room(tx: Transaction, router: Router, subnet: Subnet) -> None:
    if subnet.router_id is not None:
        raise InvalidInputError(f"Bad router request: Router already has a port on subnet {subnet.id}")
    cidr = ipaddress.IPv4Network(subnet.cidr)
    for other in await rows.find(tx, Subnet, router_id=router.id):
        if cidr.overlaps(ipaddress.IPv4Network(other.cidr)):
            raise InvalidInputError(
                f"Bad router request: Cidr {cidr} of subnet {subnet.id} overlaps with cidr {other.cidr} "
                f"of subnet {other.id}"
            )


async def remove_interface(
    tx: Transaction, caller: Caller, router_id: str, *, subnet_id: str | None = None, port_id: str | None = None
) -> Port:
    """Raises: NetworkNotFoundError, InvalidInputError, ConflictError while floating addresses lead there."""
    await begin_change(tx, caller)
    router = await get_thing(tx, caller, Router, router_id)
    if subnet_id is None and port_id is None:
        raise InvalidInputError("Bad router request: Either subnet_id or port_id must be specified")
    for port in await rows.find(tx, Port, device_id=router.id):
        fits = port_id in {None, port.id} and subnet_id in {None, port.fixed_ips[0].subnet_id}
        if port.device_owner == ROUTER_OWNER and fits:
            await _unplug(tx, caller, router, port)
            return port
    raise NetworkNotFoundError(
        f"Router {router.id} does not have an interface with id {(port_id or subnet_id or '')[:64]}"
    )


async def _unplug(tx: Transaction, caller: Caller, router: Router, port: Port) -> None:
    subnet = await get_thing(tx, caller, Subnet, port.fixed_ips[0].subnet_id)
    cidr = ipaddress.IPv4Network(subnet.cidr)
    if extra_routes.need(router.routes, subnet.cidr):
        raise NetworkThingInUseError(
            f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, "
            "as it is required by one or more routes."
        )
    for floating in await _floating_ips(tx, router):
        if floating.fixed_ip is not None and ipaddress.IPv4Address(floating.fixed_ip) in cidr:
            raise ConflictError(
                f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, "
                "as it is required by one or more floating IPs."
            )
    await rows.update(tx, replace(subnet, router_id=None, updated_at=utcnow()))
    await ports.remove_port(tx, port)
