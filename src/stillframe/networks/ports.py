"""Ports: cards of servers, and what else has an address on a network."""

import ipaddress
from collections.abc import Callable, Collection, Sequence

import msgspec
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import ConflictError, ForbiddenError, InvalidInputError, NetworkNotFoundError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing, list_of_project, list_things, require_quota
from stillframe.networks.addresses import free_address, host_address, parsed_cidr, parsed_mac
from stillframe.networks.errors import AddressInUseError, NetworkThingInUseError, NoAddressLeftError
from stillframe.networks.model import (
    DEFAULT_NAME,
    ROUTER_OWNER,
    AddressPair,
    FixedIp,
    FloatingIp,
    Network,
    Nic,
    Port,
    SecurityGroup,
    Subnet,
    gateway_mac,
    mac_address,
)

MAX_FIXED_IPS = 5
MAX_ADDRESS_PAIRS = 10
MAX_GROUPS = 20


class WantedIp(msgspec.Struct, frozen=True, kw_only=True):
    """Either may be missing; what is chosen then fits the other."""

    subnet_id: str | None = None
    ip_address: str | None = None


class NewPort(msgspec.Struct, frozen=True, kw_only=True):
    """What is None is chosen: an address of each network's first subnet, the default security group, a new card."""

    network_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    mac_address: str | None = None
    fixed_ips: tuple[WantedIp, ...] | None = None
    security_group_ids: tuple[str, ...] | None = None
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    port_security_enabled: bool | None = None
    device_id: str = ""
    device_owner: str = ""
    tags: tuple[str, ...] = ()


async def create_port(tx: Transaction, caller: Caller, new: NewPort) -> Port:
    """Raises: NetworkNotFoundError, InvalidInputError, AddressInUseError, NoAddressLeftError, ForbiddenError,
    NetworkQuotaExceededError.
    """
    project_id = await begin_change(tx, caller)
    _require_own_device_owner(new.device_owner)
    network = await get_thing(tx, caller, Network, new.network_id)
    await require_quota(tx, project_id, Port)
    is_secure = network.port_security_enabled if new.port_security_enabled is None else new.port_security_enabled
    port_id, now = new_uuid(), utcnow()
    mac = parsed_mac(new.mac_address) if new.mac_address else mac_address(port_id)
    await _require_free_mac(tx, network.id, mac)
    port = Port(
        id=port_id,
        project_id=project_id,
        name=new.name,
        description=new.description,
        network_id=network.id,
        mac_address=mac,
        admin_state_up=new.admin_state_up,
        device_id=new.device_id,
        device_owner=new.device_owner,
        port_security_enabled=is_secure,
        fixed_ips=await _chosen_ips(tx, network.id, new.fixed_ips),
        security_group_ids=await _chosen_groups(tx, caller, new.security_group_ids, is_secure=is_secure),
        tags=new.tags,
        created_at=now,
        updated_at=now,
    )
    port = replace(port, allowed_address_pairs=_checked_pairs(new.allowed_address_pairs, port))
    await rows.insert(tx, port)
    return port


def _require_own_device_owner(device_owner: str) -> None:
    if device_owner.startswith("network:"):
        raise ForbiddenError("Ports of the network itself (device_owner network:...) are made by the service only.")


async def _chosen_ips(
    tx: Transaction, network_id: str, wanted: Sequence[WantedIp] | None, keep: Collection[FixedIp] = ()
) -> tuple[FixedIp, ...]:
    """`keep` are addresses the port has, and may have again."""
    subnets = await rows.find(tx, Subnet, network_id=network_id)
    if wanted is None:
        return (await _first_free(tx, subnets, network_id),) if subnets else ()
    if len(wanted) > MAX_FIXED_IPS:
        raise InvalidInputError(f"A port has at most {MAX_FIXED_IPS} addresses.", field="fixed_ips")
    chosen: list[FixedIp] = []
    for one in wanted:
        subnet = _subnet_for(subnets, one, network_id)
        taken = await rows.addresses_in_use(tx, subnet.id) - {ip.ip_address for ip in keep if ip.subnet_id == subnet.id}
        taken |= {ip.ip_address for ip in chosen if ip.subnet_id == subnet.id}
        if subnet.gateway_ip:
            taken.add(subnet.gateway_ip)
        if one.ip_address is None:
            chosen.append(_free_in(subnet, taken, network_id))
            continue
        address = host_address(one.ip_address, ipaddress.IPv4Network(subnet.cidr), "fixed_ips")
        if address in taken:
            raise AddressInUseError(f"IP address {address} already allocated in subnet {subnet.id}")
        chosen.append(FixedIp(subnet_id=subnet.id, ip_address=address))
    return tuple(chosen)


async def _first_free(tx: Transaction, subnets: Sequence[Subnet], network_id: str) -> FixedIp:
    for subnet in subnets:
        address = free_address(subnet.pools, await rows.addresses_in_use(tx, subnet.id))
        if address:
            return FixedIp(subnet_id=subnet.id, ip_address=address)
    raise NoAddressLeftError(f"No more IP addresses available on network {network_id}.")


def _free_in(subnet: Subnet, taken: Collection[str], network_id: str) -> FixedIp:
    address = free_address(subnet.pools, taken)
    if address is None:
        raise NoAddressLeftError(f"No more IP addresses available on network {network_id}.")
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def _subnet_for(subnets: Sequence[Subnet], wanted: WantedIp, network_id: str) -> Subnet:
    for subnet in subnets:
        if wanted.subnet_id is not None and subnet.id != wanted.subnet_id:
            continue
        if wanted.ip_address is None or wanted.subnet_id is not None:
            return subnet
        if _is_in(wanted.ip_address, subnet.cidr):
            return subnet
    if wanted.subnet_id is not None:
        raise InvalidInputError(
            f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet "
            f"{wanted.subnet_id[:64]}.",
            field="fixed_ips",
        )
    raise InvalidInputError(
        f"IP address {str(wanted.ip_address)[:64]} is not a valid IP for any of the subnets on the specified network.",
        field="fixed_ips",
    )


def _is_in(address: str, cidr: str) -> bool:
    try:
        return ipaddress.IPv4Address(address.strip()) in ipaddress.IPv4Network(cidr)
    except ValueError:
        return False


async def _chosen_groups(
    tx: Transaction, caller: Caller, wanted: Sequence[str] | None, *, is_secure: bool
) -> tuple[str, ...]:
    if not is_secure:
        if wanted:
            raise ConflictError(
                "Port security must be enabled and port must have an IP address to use security groups."
            )
        return ()
    if wanted is None:
        groups = await list_things(tx, caller, SecurityGroup)
        return tuple(group.id for group in groups if group.name == DEFAULT_NAME)
    if len(wanted) > MAX_GROUPS:
        raise InvalidInputError(f"A port is in at most {MAX_GROUPS} security groups.", field="security_groups")
    return tuple(dict.fromkeys([(await get_thing(tx, caller, SecurityGroup, one)).id for one in wanted]))


def _checked_pairs(pairs: Sequence[AddressPair], port: Port) -> tuple[AddressPair, ...]:
    """Without a card's address a pair is for the port's own."""
    if not pairs:
        return ()
    if not port.port_security_enabled:
        raise ConflictError("Port Security must be enabled in order to have allowed address pairs on a port.")
    if len(pairs) > MAX_ADDRESS_PAIRS:
        raise InvalidInputError(f"A port has at most {MAX_ADDRESS_PAIRS} address pairs.", field="allowed_address_pairs")
    checked = []
    for pair in pairs:
        cidr = parsed_cidr(pair.ip_address, "allowed_address_pairs")
        address = str(cidr.network_address) if cidr.prefixlen == 32 else str(cidr)
        mac = parsed_mac(pair.mac_address) if pair.mac_address else port.mac_address
        checked.append(AddressPair(ip_address=address, mac_address=mac))
    if len(set(checked)) != len(checked):
        raise InvalidInputError("Request contains duplicate address pairs.", field="allowed_address_pairs")
    return tuple(checked)


async def _require_free_mac(tx: Transaction, network_id: str, mac: str) -> None:
    """Neither a port's nor the gateway's. Raises: AddressInUseError."""
    if mac == gateway_mac(network_id) or await rows.find(tx, Port, network_id=network_id, mac_address=mac):
        raise AddressInUseError(
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use."
        )


async def update_port(
    tx: Transaction,
    caller: Caller,
    port_id: str,
    *,
    fixed_ips: tuple[WantedIp, ...] | None = None,
    security_group_ids: tuple[str, ...] | None = None,
    allowed_address_pairs: tuple[AddressPair, ...] | None = None,
    mac: str | None = None,
    **changes: object,
) -> Port:
    """What is left out stays. Raises: as `create_port`; NetworkThingInUseError for what its server stands on."""
    await begin_change(tx, caller)
    old = await get_thing(tx, caller, Port, port_id)
    _require_changeable(old, mac, changes)
    changed = replace(old, **changes)
    if changed.port_security_enabled and not old.port_security_enabled and security_group_ids is None:
        changed = replace(changed, security_group_ids=await _chosen_groups(tx, caller, None, is_secure=True))
    if fixed_ips is not None:
        changed = replace(changed, fixed_ips=await _chosen_ips(tx, old.network_id, fixed_ips, keep=old.fixed_ips))
        await _unbind_lost_addresses(tx, changed)
    if security_group_ids is not None:
        groups = await _chosen_groups(tx, caller, security_group_ids, is_secure=changed.port_security_enabled)
        changed = replace(changed, security_group_ids=groups)
    elif not changed.port_security_enabled and changed.security_group_ids:
        raise ConflictError("Port has security group associated. Cannot disable port security until it is removed.")
    if mac is not None and parsed_mac(mac) != old.mac_address:
        changed = replace(changed, mac_address=parsed_mac(mac))
        await _require_free_mac(tx, old.network_id, changed.mac_address)
    pairs = changed.allowed_address_pairs if allowed_address_pairs is None else allowed_address_pairs
    changed = replace(changed, allowed_address_pairs=_checked_pairs(pairs, changed), updated_at=utcnow())
    await rows.update(tx, changed)
    return changed


def _require_changeable(port: Port, mac: str | None, changes: dict[str, object]) -> None:
    if port.device_owner == ROUTER_OWNER:
        raise ConflictError(f"Port {port.id} belongs to a router and cannot be changed directly.")
    _require_own_device_owner(str(changes.get("device_owner", "")))
    if port.device_index is None:
        return
    if mac is not None and mac != port.mac_address:
        raise NetworkThingInUseError(f"Port {port.id} is bound to a server, so its mac address cannot be changed.")
    for name in ("device_id", "device_owner"):
        if changes.get(name, getattr(port, name)) != getattr(port, name):
            raise NetworkThingInUseError(f"Port {port.id} is bound to server {port.device_id}; detach it there.")


async def _unbind_lost_addresses(tx: Transaction, port: Port) -> None:
    """A floating address whose fixed one is gone leads nowhere."""
    kept = {ip.ip_address for ip in port.fixed_ips}
    for floating in await rows.find(tx, FloatingIp, port_id=port.id):
        if floating.fixed_ip not in kept:
            await rows.update(tx, replace(floating, port_id=None, fixed_ip=None, router_id=None, updated_at=utcnow()))


async def delete_port(tx: Transaction, caller: Caller, port_id: str) -> None:
    """A server loses its card with it. Raises: NetworkNotFoundError; ConflictError for a router's."""
    await begin_change(tx, caller)
    port = await get_thing(tx, caller, Port, port_id)
    if port.device_owner == ROUTER_OWNER:
        raise ConflictError(
            f"Port {port.id} cannot be deleted directly via the port API: has device owner {ROUTER_OWNER}."
        )
    await remove_port(tx, port)


async def remove_port(tx: Transaction, port: Port) -> None:
    await _unbind_lost_addresses(tx, replace(port, fixed_ips=()))
    await rows.delete(tx, port)


# --- cards of servers ------------------------------------------------------------------------------------------------


class WantedNic(msgspec.Struct, frozen=True, kw_only=True):
    """A card a server shall have: a port that is there, or a new one on a network, with an address of choice or any."""

    port_id: str | None = None
    network_id: str | None = None
    fixed_ip: str | None = None
    security_group_ids: tuple[str, ...] | None = None


async def attach_nic(
    tx: Transaction, caller: Caller, server_id: str, zone: str, wanted: WantedNic, device_index: int
) -> Port:
    """A new port goes with its server, one that was there stays. Nothing named means the project's only network.

    Raises: NetworkNotFoundError, NetworkThingInUseError for a port of another server, and as `create_port`.
    """
    owner = f"compute:{zone}"
    bound = {"device_id": server_id, "device_owner": owner, "device_index": device_index}
    if wanted.port_id is not None:
        await begin_change(tx, caller)
        port = await get_thing(tx, caller, Port, wanted.port_id)
        if port.device_id:
            raise NetworkThingInUseError(f"Port {port.id} is still in use.")
        port = replace(port, **bound, updated_at=utcnow())
    else:
        fixed_ips = (WantedIp(ip_address=wanted.fixed_ip),) if wanted.fixed_ip else None
        network_id = wanted.network_id or await the_network_meant(tx, caller)
        groups = wanted.security_group_ids
        new = NewPort(network_id=network_id, fixed_ips=fixed_ips, security_group_ids=groups)
        port = replace(await create_port(tx, caller, new), **bound, ends_with_server=True)
        if not port.fixed_ips:
            raise InvalidInputError(f"Network {network_id} requires a subnet in order to boot instances on.")
    await rows.update(tx, port)
    return port


async def the_network_meant(tx: Transaction, caller: Caller) -> str:
    """Where a caller names none. Raises: ConflictError when there are several, NetworkNotFoundError without any."""
    project_id = caller.require_project()
    subnets = await list_of_project(tx, project_id, Subnet)
    found = list(dict.fromkeys(subnet.network_id for subnet in subnets))
    if not found:
        raise NetworkNotFoundError("The project has no network with a subnet.")
    if len(found) > 1:
        default = (await _named_default(tx, project_id)) & set(found)
        if len(default) != 1:
            raise ConflictError("Multiple possible networks found, use a Network ID to be more specific.")
        return default.pop()
    return found[0]


async def _named_default(tx: Transaction, project_id: str) -> set[str]:
    return {one.id for one in await list_of_project(tx, project_id, Network) if one.name == DEFAULT_NAME}


async def list_nics(tx: Transaction, server_ids: Collection[str]) -> dict[str, tuple[Nic, ...]]:
    """The cards of some servers, each server's in their order."""
    ports = [port for port in await rows.find(tx, Port, device_id=server_ids) if port.device_index is not None]
    networks = {one.id: one.name for one in await rows.find(tx, Network, id={port.network_id for port in ports})}
    groups = {
        one.id: one.name
        for one in await rows.find(tx, SecurityGroup, id={group for port in ports for group in port.security_group_ids})
    }
    routers = {
        one.id: one.router_id
        for one in await rows.find(tx, Subnet, id={ip.subnet_id for port in ports for ip in port.fixed_ips})
    }
    floating = await rows.find(tx, FloatingIp, port_id=[port.id for port in ports])
    found: dict[str, tuple[Nic, ...]] = dict.fromkeys(server_ids, ())
    for port in sorted(ports, key=lambda port: port.device_index or 0):
        found[port.device_id] += (
            Nic(
                port=port,
                network_name=networks[port.network_id],
                floating_addresses=tuple(one.address for one in floating if one.port_id == port.id),
                router_id=next((routers[ip.subnet_id] for ip in port.fixed_ips), None),
                security_groups=tuple((group_id, groups[group_id]) for group_id in port.security_group_ids),
            ),
        )
    return found


async def servers_with_address(tx: Transaction, project_id: str, fits: Callable[[str], bool]) -> set[str]:
    """The servers of a project that have a card with such an address."""
    return {
        port.device_id
        for port in await list_of_project(tx, project_id, Port)
        if port.device_index is not None and any(fits(ip.ip_address) for ip in port.fixed_ips)
    }


async def find_nic(tx: Transaction, server_id: str, port_id: str) -> Port | None:
    """None when the server has no such card, or none any more."""
    found = await rows.find(tx, Port, id=port_id, device_id=server_id)
    return found[0] if found and found[0].device_index is not None else None


async def release_nic(tx: Transaction, port: Port) -> None:
    """Off its server; gone, if it was made for it. Safe to repeat."""
    tx.wake_worker_on_commit()
    if port.ends_with_server:
        await remove_port(tx, port)
    else:
        free = replace(port, device_id="", device_owner="", device_index=None, updated_at=utcnow())
        await rows.update(tx, free)


async def remove_floating_ips(tx: Transaction, port: Port) -> None:
    """Those that lead to it. Safe to repeat."""
    for floating in await rows.find(tx, FloatingIp, port_id=port.id):
        await rows.delete(tx, floating)


async def resolve_groups(tx: Transaction, caller: Caller, names: Sequence[str]) -> tuple[str, ...]:
    """Ids of groups given by id or by name. Raises: NetworkNotFoundError; ConflictError for an unclear name."""
    groups = await list_things(tx, caller, SecurityGroup)
    found = []
    for name in names:
        matching = [group.id for group in groups if group.id == name] or [g.id for g in groups if g.name == name]
        if not matching:
            raise NetworkNotFoundError(f"Security group {name[:255]} not found for project {caller.project_id}.")
        if len(matching) > 1:
            raise ConflictError(
                f"Multiple security groups found matching '{name[:255]}'. Use an ID to be more specific."
            )
        found.append(matching[0])
    return tuple(dict.fromkeys(found))


async def set_groups(tx: Transaction, port: Port, group_ids: Sequence[str]) -> Port:
    tx.wake_worker_on_commit()
    changed = replace(port, security_group_ids=tuple(group_ids), updated_at=utcnow())
    await rows.update(tx, changed)
    return changed
