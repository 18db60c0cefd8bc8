"""VPC peering connections, and the routes over them.

    asked for ──► PENDING_ACCEPTANCE ──► ACTIVE        between VPCs of one project it is ACTIVE at once
                                    └──► REJECTED

A packet goes over a peering only when the VPCs of both sides have a route that says so; it goes no further than to the
subnets of the other VPC.

Source: Open Telekom Cloud, VPC API reference, "VPC Peering Connection" and "VPC Route".
"""

import ipaddress

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import ConflictError, ForbiddenError, InvalidInputError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_uuid, new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing, not_found, prepare_project
from stillframe.networks.addresses import parsed_cidr
from stillframe.networks.errors import NetworkQuotaExceededError
from stillframe.networks.model import (
    MAX_PEERINGS,
    MAX_VPC_ROUTES,
    Peering,
    PeeringStatus,
    Router,
    Subnet,
    VpcRoute,
    defaults_of,
)


async def list_peerings(tx: Transaction, caller: Caller) -> list[Peering]:
    """Those the project asked for, and those it was asked for."""
    project_id = caller.require_project()
    asked = await rows.find(tx, Peering, project_id=project_id)
    others = await rows.find(tx, Peering, peer_project_id=project_id)
    return asked + [one for one in others if one.project_id != project_id]


async def get_peering(tx: Transaction, caller: Caller, peering_id: str) -> Peering:
    """Raises: NetworkNotFoundError, also when the caller's project is on neither side."""
    project_id = caller.require_project()
    for peering in await rows.find(tx, Peering, id=peering_id) if is_uuid(peering_id) else ():
        if project_id in {peering.project_id, peering.peer_project_id}:
            return peering
    raise not_found(Peering, peering_id)


async def create_peering(
    tx: Transaction,
    caller: Caller,
    name: str,
    vpc_id: str,
    peer_vpc_id: str,
    peer_project_id: str | None,
    description: str = "",
) -> Peering:
    """Without `peer_project_id` the other VPC is the caller's too.

    Raises: NetworkNotFoundError, InvalidInputError, ConflictError, NetworkQuotaExceededError.
    """
    project_id = await begin_change(tx, caller)
    vpc = await get_thing(tx, caller, Router, vpc_id)
    peer = await _peer_vpc(tx, peer_vpc_id, peer_project_id or project_id)
    if peer.id == vpc.id:
        raise InvalidInputError("A VPC cannot be peered with itself.", field="accept_vpc_info")
    for other in await list_peerings(tx, caller):
        is_same = {other.router_id, other.peer_router_id} == {vpc.id, peer.id}
        if is_same and other.status is not PeeringStatus.REJECTED:
            raise ConflictError(f"A VPC peering connection of these VPCs exists already: {other.id}.")
    if await rows.count(tx, Peering, project_id) >= MAX_PEERINGS:
        raise NetworkQuotaExceededError(f"Quota exceeded for VPC peering connections: at most {MAX_PEERINGS}.")
    now = utcnow()
    is_own = peer.project_id == project_id
    peering = Peering(
        id=new_uuid(),
        project_id=project_id,
        name=name,
        description=description,
        router_id=vpc.id,
        peer_router_id=peer.id,
        peer_project_id=peer.project_id,
        status=PeeringStatus.ACTIVE if is_own else PeeringStatus.PENDING_ACCEPTANCE,
        created_at=now,
        updated_at=now,
    )
    await rows.insert(tx, peering)
    return peering


async def _peer_vpc(tx: Transaction, vpc_id: str, project_id: str) -> Router:
    """Who asks has to know both ids, so nobody finds out by trying what another project has.

    The VPC that a project is born with may have no row yet.
    """
    found = await rows.find(tx, Router, id=vpc_id, project_id=project_id) if is_uuid(vpc_id) else []
    if not found and vpc_id == defaults_of(project_id).router.id:
        await prepare_project(tx, project_id)
        return defaults_of(project_id).router
    if found and await rows.lock(tx, found[0]):
        return found[0]
    raise not_found(Router, vpc_id)


async def accept_peering(tx: Transaction, caller: Caller, peering_id: str) -> Peering:
    """Raises: NetworkNotFoundError, ForbiddenError for who was not asked, ConflictError when it was decided."""
    return await _decide(tx, caller, peering_id, PeeringStatus.ACTIVE)


async def reject_peering(tx: Transaction, caller: Caller, peering_id: str) -> Peering:
    """Raises: as `accept_peering`."""
    return await _decide(tx, caller, peering_id, PeeringStatus.REJECTED)


async def _decide(tx: Transaction, caller: Caller, peering_id: str, status: PeeringStatus) -> Peering:
    project_id = await begin_change(tx, caller)
    peering = await _locked(tx, caller, peering_id)
    if peering.peer_project_id != project_id:
        raise ForbiddenError("Only the project that was asked for a VPC peering connection can accept or reject it.")
    if peering.status is not PeeringStatus.PENDING_ACCEPTANCE:
        raise ConflictError(f"The VPC peering connection {peering.id} is {peering.status} and not to be decided.")
    return await _changed(tx, replace(peering, status=status))


async def rename_peering(
    tx: Transaction, caller: Caller, peering_id: str, *, name: str | None, description: str | None
) -> Peering:
    """What is None stays. Raises: NetworkNotFoundError, ForbiddenError for the side that was asked."""
    project_id = await begin_change(tx, caller)
    peering = await _locked(tx, caller, peering_id)
    if peering.project_id != project_id:
        raise ForbiddenError("Only the project that asked for a VPC peering connection can change it.")
    new_name = peering.name if name is None else name
    new_description = peering.description if description is None else description
    return await _changed(tx, replace(peering, name=new_name, description=new_description))


async def _changed(tx: Transaction, peering: Peering) -> Peering:
    changed = replace(peering, updated_at=utcnow())
    await rows.update(tx, changed)
    return changed


async def delete_peering(tx: Transaction, caller: Caller, peering_id: str) -> None:
    """By either side, with the routes of both over it. Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    peering = await _locked(tx, caller, peering_id)
    for route in await rows.find(tx, VpcRoute, peering_id=peering.id):
        await rows.delete(tx, route)
    await rows.delete(tx, peering)


async def _locked(tx: Transaction, caller: Caller, peering_id: str) -> Peering:
    """The lock of the caller's project does not keep the other side away."""
    peering = await get_peering(tx, caller, peering_id)
    if not await rows.lock(tx, peering):
        raise not_found(Peering, peering_id)
    return await get_peering(tx, caller, peering_id)


# --- routes ----------------------------------------------------------------------------------------------------------


async def create_route(tx: Transaction, caller: Caller, vpc_id: str, destination: str, peering_id: str) -> VpcRoute:
    """Raises: NetworkNotFoundError, InvalidInputError, ConflictError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    vpc = await get_thing(tx, caller, Router, vpc_id)
    peering = await _locked(tx, caller, peering_id)
    if vpc.id not in {peering.router_id, peering.peer_router_id}:
        raise InvalidInputError(f"The VPC peering connection {peering.id} is not of VPC {vpc.id}.", field="nexthop")
    if peering.status is not PeeringStatus.ACTIVE:
        raise ConflictError(f"The VPC peering connection {peering.id} is {peering.status}, not ACTIVE.")
    cidr = await _checked_destination(tx, vpc, destination)
    if await rows.count(tx, VpcRoute, project_id) >= MAX_VPC_ROUTES:
        raise NetworkQuotaExceededError(f"Quota exceeded for VPC routes: at most {MAX_VPC_ROUTES}.")
    now = utcnow()
    route = VpcRoute(
        id=new_uuid(),
        project_id=project_id,
        router_id=vpc.id,
        destination=cidr,
        peering_id=peering.id,
        created_at=now,
        updated_at=now,
    )
    await rows.insert(tx, route)
    return route


async def _checked_destination(tx: Transaction, vpc: Router, destination: str) -> str:
    cidr = parsed_cidr(destination, "destination")
    for subnet in await rows.find(tx, Subnet, router_id=vpc.id):
        if cidr.subnet_of(ipaddress.IPv4Network(subnet.cidr)):
            text = f"The destination {cidr} is in the VPC's own subnet {subnet.cidr}."
            raise InvalidInputError(text, field="destination")
    if await rows.find(tx, VpcRoute, router_id=vpc.id, destination=str(cidr)):
        raise ConflictError(f"A route of VPC {vpc.id} to {cidr} exists already.")
    return str(cidr)


async def delete_route(tx: Transaction, caller: Caller, route_id: str) -> None:
    """Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    await rows.delete(tx, await get_thing(tx, caller, VpcRoute, route_id))
