"""Floating addresses: addresses of the host's own loopback range from which connections are led to a server's card.

They are as public as the host makes them: programs on it reach servers by them, nobody else does.
"""

import ipaddress
import secrets

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ConflictError, InvalidInputError, NetworkNotFoundError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing, require_quota
from stillframe.networks.errors import AddressInUseError, NoAddressLeftError
from stillframe.networks.model import FloatingIp, Port, Router, Subnet

_TRIES = 1000


async def create_floating_ip(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    wanted: FloatingIp,
    *,
    port_id: str | None = None,
    fixed_ip: str | None = None,
) -> FloatingIp:
    """`wanted.address` empty takes any. Its id, owner and times are set here.

    Raises: NetworkNotFoundError, InvalidInputError, AddressInUseError, NoAddressLeftError, ConflictError,
    NotOfferedError, NetworkQuotaExceededError.
    """
    project_id = await begin_change(tx, caller)
    await require_quota(tx, project_id, FloatingIp)
    address = await _free_address(tx, ipaddress.IPv4Network(settings.floating_range), wanted.address)
    now = utcnow()
    made = replace(wanted, id=new_uuid(), project_id=project_id, address=address, created_at=now, updated_at=now)
    if port_id is not None:
        made = await _bound(tx, caller, made, port_id, fixed_ip)
    await rows.insert(tx, made)
    return made


async def _free_address(tx: Transaction, pool: ipaddress.IPv4Network, wanted: str) -> str:
    taken = await rows.floating_addresses(tx)
    if wanted:
        try:
            is_ours = ipaddress.IPv4Address(wanted) in list(pool.hosts())
        except ValueError:
            is_ours = False
        if not is_ours:
            raise InvalidInputError(f"The address {wanted[:64]} is not of the external network {pool}.")
        if wanted in taken:
            raise AddressInUseError(f"IP address {wanted} already allocated.")
        return wanted
    first, count = int(pool.network_address) + 1, pool.num_addresses - 2
    for _ in range(_TRIES):
        address = str(ipaddress.IPv4Address(first + secrets.randbelow(count)))
        if address not in taken:
            return address
    raise NoAddressLeftError("No more IP addresses available on the external network.")


async def update_floating_ip(
    tx: Transaction,
    caller: Caller,
    floating_ip_id: str,
    *,
    port_id: str | None = "",
    fixed_ip: str | None = None,
    **changes: object,
) -> FloatingIp:
    """`port_id` None takes it off its card, "" leaves it where it is. Raises: as `create_floating_ip`."""
    await begin_change(tx, caller)
    found = replace(await get_thing(tx, caller, FloatingIp, floating_ip_id), **changes, updated_at=utcnow())
    if port_id is None:
        found = replace(found, port_id=None, fixed_ip=None, router_id=None)
    elif port_id:
        found = await _bound(tx, caller, found, port_id, fixed_ip)
    await rows.update(tx, found)
    return found


async def _bound(
    tx: Transaction, caller: Caller, floating: FloatingIp, port_id: str, fixed_ip: str | None
) -> FloatingIp:
    port = await get_thing(tx, caller, Port, port_id)
    if not port.fixed_ips:
        raise InvalidInputError(f"Port {port.id} does not have a fixed IPv4 address.")
    first = port.fixed_ips[0]
    if fixed_ip not in {None, "", first.ip_address}:
        if not any(ip.ip_address == fixed_ip for ip in port.fixed_ips):
            raise InvalidInputError(f"Port {port.id} does not have fixed ip {str(fixed_ip)[:64]}.")
        raise NotOfferedError("A floating address leads to the first address of a port only.")
    for other in await rows.find(tx, FloatingIp, port_id=port.id):
        if other.id != floating.id:
            raise ConflictError(
                f"Cannot associate floating IP {floating.address} with port {port.id} using fixed IP "
                f"{first.ip_address}, as that fixed IP already has a floating IP on the external network."
            )
    subnet = await get_thing(tx, caller, Subnet, first.subnet_id)
    router = await get_thing(tx, caller, Router, subnet.router_id) if subnet.router_id else None
    if router is None or not router.has_gateway:
        raise NetworkNotFoundError(
            f"External network is not reachable from subnet {subnet.id}. Therefore, cannot associate Port {port.id} "
            "with a Floating IP."
        )
    return replace(floating, port_id=port.id, fixed_ip=first.ip_address, router_id=router.id)


async def delete_floating_ip(tx: Transaction, caller: Caller, floating_ip_id: str) -> None:
    """Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    await rows.delete(tx, await get_thing(tx, caller, FloatingIp, floating_ip_id))
