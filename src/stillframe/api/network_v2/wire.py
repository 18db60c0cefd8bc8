"""Networks as Neutron shows them.

Source: OpenStack Networking API v2.0 reference.
"""

from typing import Any

from msgspec.structs import asdict

from stillframe.kit.clock import iso_seconds_z
from stillframe.networks.model import (
    EXTERNAL_NETWORK_ID,
    EXTERNAL_NETWORK_NAME,
    AddressGroup,
    FloatingIp,
    Network,
    Port,
    Quotas,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Thing,
)

Json = dict[str, Any]


def _common(thing: Thing, *, tags: bool = True) -> Json:
    shown = {
        "id": thing.id,
        "name": thing.name,
        "description": thing.description,
        "tenant_id": thing.project_id,
        "project_id": thing.project_id,
        "created_at": iso_seconds_z(thing.created_at),
        "updated_at": iso_seconds_z(thing.updated_at),
    }
    return shown | ({"tags": list(thing.tags)} if tags else {})


def network_to_wire(network: Network, subnet_ids: list[str], zone: str) -> Json:
    return {
        **_common(network),
        "status": "ACTIVE",
        "admin_state_up": network.admin_state_up,
        "port_security_enabled": network.port_security_enabled,
        "subnets": subnet_ids,
        **_network_facts(zone),
        "shared": False,
        "router:external": False,
    }


def external_network(zone: str) -> Json:
    """The one that floating addresses are of: everybody's to use, nobody's to change."""
    network = Network(id=EXTERNAL_NETWORK_ID, project_id="", name=EXTERNAL_NETWORK_NAME)
    return network_to_wire(network, [], zone) | {"router:external": True, "is_default": True}


def _network_facts(zone: str) -> Json:
    return {
        "mtu": 1500,
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "availability_zones": [zone],
        "availability_zone_hints": [],
        "provider:network_type": "local",
        "provider:physical_network": None,
        "provider:segmentation_id": None,
    }


def subnet_to_wire(subnet: Subnet) -> Json:
    return {
        **_common(subnet),
        "network_id": subnet.network_id,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip,
        "ip_version": 4,
        "enable_dhcp": subnet.enable_dhcp,
        "allocation_pools": [{"start": pool.start, "end": pool.end} for pool in subnet.pools],
        "dns_nameservers": list(subnet.dns_nameservers),
        "host_routes": [{"destination": route.destination, "nexthop": route.nexthop} for route in subnet.host_routes],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "service_types": [],
    }


def port_to_wire(port: Port) -> Json:
    is_bound = bool(port.device_owner)
    return {
        **_common(port),
        "status": "ACTIVE" if is_bound and port.admin_state_up else "DOWN",
        "admin_state_up": port.admin_state_up,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "fixed_ips": [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips],
        "security_groups": list(port.security_group_ids),
        "port_security_enabled": port.port_security_enabled,
        "allowed_address_pairs": [
            {"ip_address": pair.ip_address, "mac_address": pair.mac_address} for pair in port.allowed_address_pairs
        ],
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
    }


def router_to_wire(router: Router, zone: str) -> Json:
    gateway = {
        "network_id": EXTERNAL_NETWORK_ID,
        "enable_snat": router.enable_snat,
        "external_fixed_ips": [],
    }
    return {
        **_common(router),
        "status": "ACTIVE",
        "admin_state_up": router.admin_state_up,
        "external_gateway_info": gateway if router.has_gateway else None,
        "routes": [{"destination": route.destination, "nexthop": route.nexthop} for route in router.routes],
        "availability_zones": [zone],
        "availability_zone_hints": [],
        "distributed": False,
        "ha": False,
    }


def interface_to_wire(router_id: str, port: Port) -> Json:
    address = port.fixed_ips[0]
    return {
        "id": router_id,
        "tenant_id": port.project_id,
        "project_id": port.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": address.subnet_id,
        "subnet_ids": [address.subnet_id],
    }


def security_group_to_wire(group: SecurityGroup) -> Json:
    return {
        **_common(group),
        "stateful": True,
        "shared": False,
        "security_group_rules": [rule_to_wire(rule) for rule in group.rules],
    }


def rule_to_wire(rule: SecurityGroupRule) -> Json:
    shown = _common(rule, tags=False)
    del shown["name"]
    return {
        **shown,
        "security_group_id": rule.security_group_id,
        "direction": rule.direction,
        "ethertype": rule.ethertype,
        "protocol": rule.protocol,
        "port_range_min": rule.port_range_min,
        "port_range_max": rule.port_range_max,
        "remote_ip_prefix": rule.remote_ip_prefix,
        "remote_group_id": rule.remote_group_id,
        "remote_address_group_id": rule.remote_address_group_id,
    }


def address_group_to_wire(group: AddressGroup) -> Json:
    return {**_common(group, tags=False), "shared": False, "addresses": list(group.addresses)}


def floating_ip_to_wire(floating: FloatingIp) -> Json:
    shown = _common(floating)
    del shown["name"]
    return {
        **shown,
        "status": "ACTIVE" if floating.port_id else "DOWN",
        "floating_network_id": EXTERNAL_NETWORK_ID,
        "floating_ip_address": floating.address,
        "fixed_ip_address": floating.fixed_ip,
        "port_id": floating.port_id,
        "router_id": floating.router_id,
    }


def quotas_to_wire(quotas: Quotas) -> Json:
    limits: Json = asdict(quotas)
    return limits | {"rbac_policy": 0, "subnetpool": 0}


def usage_to_wire(usage: dict[str, tuple[int, int]]) -> Json:
    return {name: {"limit": limit, "used": used, "reserved": 0} for name, (used, limit) in usage.items()}
