"""From rows to the plan of the switch: what every card of every machine may do, spelled out."""

import ipaddress
from collections.abc import Iterable, Mapping

import msgspec

from stillframe.db import Transaction
from stillframe.networks import rows
from stillframe.networks.model import (
    METADATA_ADDRESS,
    AddressGroup,
    FloatingIp,
    Network,
    Peering,
    PeeringStatus,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    VpcRoute,
    gateway_mac,
)
from stillframe.networks.outside import HOST_MAC, NAME_SERVER, RANGE, Forward, InnerAddresses, forwards
from stillframe.networks.security_groups import protocol_number
from stillframe.qemu.machine_spec import nic_socket
from stillframe.switch.plan import (
    Lease,
    NetworkPlan,
    Pair,
    Plan,
    PortPlan,
    RoutePlan,
    RouterPlan,
    Rule,
    SubnetPlan,
    UplinkPlan,
)

ALWAYS_CLOSED = (RANGE, "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
"""What the stack would take for the host itself, and what is nobody's address."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker knows of the way out: where it is, who may begin to use it, what it must not lead to."""

    socket: str
    inner: InnerAddresses
    is_open: bool
    closed: tuple[str, ...]


async def build_plan(tx: Transaction, host_names: Mapping[str, str], outside: Outside) -> tuple[Plan, list[Forward]]:
    """Of the servers that have a machine, or get one; `host_names` are by their ids. And what leads to them."""
    found = await rows.find(tx, Port, device_id=list(host_names))
    networks = {one.id: one for one in await rows.find(tx, Network, id={port.network_id for port in found})}
    ports = [port for port in found if _is_live(port, networks[port.network_id])]
    subnets = await rows.find(tx, Subnet, network_id=set(networks))
    routers = await _working_routers(tx, subnets)
    subnets = await _with_those_behind(tx, subnets, routers)
    groups = await rows.find(tx, SecurityGroup, id={group for port in ports for group in port.security_group_ids})
    rules = _rules_of_groups(groups, ports, await _ranges_of_address_groups(tx, groups))
    by_id = {subnet.id: subnet for subnet in subnets}
    floating_ips = await rows.find(tx, FloatingIp, port_id=[port.id for port in ports])
    leaving = _leaving(ports, by_id, routers) if outside.is_open else set()
    inner = outside.inner.of(leaving | {str(floating.port_id) for floating in floating_ips})
    plan = Plan(
        networks=tuple(
            _network_plan(network_id, subnets, routers)
            for network_id in dict.fromkeys([*networks, *(subnet.network_id for subnet in subnets)])
        ),
        routers=await _router_plans(tx, routers),
        ports=tuple(
            PortPlan(
                id=port.id,
                server_id=port.device_id,
                socket=f"{port.device_id}/{nic_socket(port.id)}",
                network_id=port.network_id,
                mac=port.mac_address,
                addresses=tuple(ip.ip_address for ip in port.fixed_ips),
                pairs=tuple(Pair(cidr=pair.ip_address, mac=pair.mac_address) for pair in port.allowed_address_pairs),
                is_guarded=port.port_security_enabled,
                rules=tuple(rule for group_id in port.security_group_ids for rule in rules[group_id]),
                lease=_lease(port, by_id, host_names[port.device_id], has_way_out=port.id in leaving),
                inner=inner.get(port.id),
                may_leave=port.id in leaving,
            )
            for port in ports
        ),
        uplink=_uplink(outside) if inner else None,
    )
    return plan, forwards(floating_ips, {port.id: port for port in ports}, rules, inner)


def _uplink(outside: Outside) -> UplinkPlan:
    return UplinkPlan(
        socket=outside.socket, mac=HOST_MAC, name_server=NAME_SERVER, closed=(*ALWAYS_CLOSED, *outside.closed)
    )


async def _working_routers(tx: Transaction, subnets: Iterable[Subnet]) -> dict[str, Router]:
    found = await rows.find(tx, Router, id={one.router_id for one in subnets if one.router_id})
    return {router.id: router for router in found if router.admin_state_up}


async def _with_those_behind(tx: Transaction, subnets: list[Subnet], routers: Mapping[str, Router]) -> list[Subnet]:
    """Also the subnets without machines, so that a router knows that nobody is there."""
    known = {subnet.id for subnet in subnets}
    behind = await rows.find(tx, Subnet, router_id=set(routers))
    return [*subnets, *(subnet for subnet in behind if subnet.id not in known)]


async def _router_plans(tx: Transaction, routers: Mapping[str, Router]) -> tuple[RouterPlan, ...]:
    over_peerings = await rows.find(tx, VpcRoute, router_id=set(routers))
    found = await rows.find(tx, Peering, id={route.peering_id for route in over_peerings})
    active = {peering.id: peering for peering in found if peering.status is PeeringStatus.ACTIVE}
    plans = []
    for router in routers.values():
        routes = [RoutePlan(cidr=route.destination, gateway=route.nexthop) for route in router.routes]
        routes += [
            RoutePlan(cidr=route.destination, peer=active[route.peering_id].other_end(router.id))
            for route in over_peerings
            if route.router_id == router.id and route.peering_id in active
        ]
        if routes:
            plans.append(RouterPlan(id=router.id, routes=tuple(routes)))
    return tuple(plans)


def _leaving(ports: Iterable[Port], subnets: Mapping[str, Subnet], routers: Mapping[str, Router]) -> set[str]:
    """The ports whose first address is behind a router with a gateway that translates addresses."""
    with_gateway = {one.id for one in routers.values() if one.has_gateway and one.enable_snat}
    return {
        port.id for port in ports if port.fixed_ips and subnets[port.fixed_ips[0].subnet_id].router_id in with_gateway
    }


def _is_live(port: Port, network: Network) -> bool:
    return port.device_index is not None and port.admin_state_up and network.admin_state_up


def _network_plan(network_id: str, subnets: Iterable[Subnet], routers: Mapping[str, Router]) -> NetworkPlan:
    return NetworkPlan(
        id=network_id,
        mac=gateway_mac(network_id),
        subnets=tuple(
            SubnetPlan(
                cidr=one.cidr, gateway=one.gateway_ip, router_id=one.router_id if one.router_id in routers else None
            )
            for one in subnets
            if one.network_id == network_id
        ),
    )


async def _ranges_of_address_groups(tx: Transaction, groups: Iterable[SecurityGroup]) -> dict[str, list[str]]:
    named = {rule.remote_address_group_id for group in groups for rule in group.rules if rule.remote_address_group_id}
    found = await rows.find(tx, AddressGroup, id=named)
    return {one.id: [text for text in one.addresses if ":" not in text] for one in found}


def _rules_of_groups(
    groups: Iterable[SecurityGroup], ports: Iterable[Port], ranges: Mapping[str, list[str]]
) -> dict[str, tuple[Rule, ...]]:
    members: dict[str, list[str]] = {}
    for port in ports:
        addresses = [ip.ip_address for ip in port.fixed_ips] + [pair.ip_address for pair in port.allowed_address_pairs]
        for group_id in port.security_group_ids:
            members.setdefault(group_id, []).extend(addresses)
    return {
        group.id: tuple(_rule(rule, {**members, **ranges}) for rule in group.rules if rule.ethertype == "IPv4")
        for group in groups
    }


def _rule(rule: SecurityGroupRule, members: Mapping[str, list[str]]) -> Rule:
    """`members` are the addresses in groups of both kinds."""
    remotes: tuple[str, ...] | None = None
    group_id = rule.remote_group_id or rule.remote_address_group_id
    if group_id is not None:
        remotes = tuple(sorted(members.get(group_id, ())))
    elif rule.remote_ip_prefix is not None:
        remotes = (rule.remote_ip_prefix,)
    return Rule(
        direction=rule.direction,
        protocol=protocol_number(rule.protocol),
        low=rule.port_range_min,
        high=rule.port_range_max,
        remotes=remotes,
    )


def _lease(port: Port, subnets: Mapping[str, Subnet], host_name: str, *, has_way_out: bool) -> Lease | None:
    """For its first address whose subnet has DHCP."""
    for fixed in port.fixed_ips:
        subnet = subnets[fixed.subnet_id]
        if subnet.enable_dhcp:
            gateway = subnet.gateway_ip
            routes = tuple((route.destination, route.nexthop) for route in subnet.host_routes)
            if gateway is None or routes:
                routes += ((f"{METADATA_ADDRESS}/32", gateway or "0.0.0.0"),)  # noqa: S104 - "on the link", RFC 3442
            return Lease(
                address=fixed.ip_address,
                prefix_length=ipaddress.IPv4Network(subnet.cidr).prefixlen,
                server=gateway or METADATA_ADDRESS,
                gateway=gateway,
                name_servers=subnet.dns_nameservers or ((NAME_SERVER,) if has_way_out else ()),
                routes=routes,
                host_name=host_name,
            )
    return None
