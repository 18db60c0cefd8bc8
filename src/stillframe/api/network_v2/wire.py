"""The network as Neutron shows it.

Source: OpenStack Networking API v2.0 reference.
"""

from typing import Any

from stillframe.networks.model import (
    CIDR,
    DNS_ADDRESS,
    GATEWAY_ADDRESS,
    GUEST_ADDRESS,
    NETWORK_NAME,
    SECURITY_GROUP_NAME,
    SUBNET_NAME,
    Network,
    Port,
)

Json = dict[str, Any]


def network_to_wire(network: Network, zone: str) -> Json:
    return {
        "id": network.id,
        "name": NETWORK_NAME,
        "description": "",
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": False,
        "router:external": False,
        "is_default": True,
        "mtu": 1500,
        "port_security_enabled": False,
        "subnets": [network.subnet_id],
        "availability_zones": [zone],
        "availability_zone_hints": [],
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "provider:network_type": "local",
        "provider:physical_network": None,
        "provider:segmentation_id": None,
        "tags": [],
    }


def subnet_to_wire(network: Network) -> Json:
    """Every server has the whole subnet for itself, so its pool holds the one address that all of them have."""
    return {
        "id": network.subnet_id,
        "name": SUBNET_NAME,
        "description": "",
        "network_id": network.id,
        "cidr": CIDR,
        "gateway_ip": GATEWAY_ADDRESS,
        "ip_version": 4,
        "enable_dhcp": True,
        "allocation_pools": [{"start": GUEST_ADDRESS, "end": GUEST_ADDRESS}],
        "dns_nameservers": [DNS_ADDRESS],
        "host_routes": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "tags": [],
    }


def port_to_wire(port: Port, zone: str) -> Json:
    network = port.network
    return {
        "id": port.id,
        "name": "",
        "status": "ACTIVE",
        "admin_state_up": True,
        "device_id": port.server_id,
        "device_owner": f"compute:{zone}",
        "network_id": network.id,
        "mac_address": port.mac_address,
        "fixed_ips": [{"ip_address": GUEST_ADDRESS, "subnet_id": network.subnet_id}],
        "security_groups": [network.security_group_id],
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "binding:vnic_type": "normal",
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "tags": [],
    }


def security_group_to_wire(network: Network) -> Json:
    return {
        "id": network.security_group_id,
        "name": SECURITY_GROUP_NAME,
        "description": "Servers reach everything, nothing reaches them.",
        "stateful": True,
        "security_group_rules": [rule_to_wire(network)],
        "tenant_id": network.project_id,
        "project_id": network.project_id,
        "tags": [],
    }


def rule_to_wire(network: Network) -> Json:
    return {
        "id": network.egress_rule_id,
        "security_group_id": network.security_group_id,
        "direction": "egress",
        "ethertype": "IPv4",
        "protocol": None,
        "port_range_min": None,
        "port_range_max": None,
        "remote_ip_prefix": None,
        "remote_group_id": None,
        "description": "",
        "tenant_id": network.project_id,
        "project_id": network.project_id,
    }


def quotas_to_wire(server_quota: int) -> Json:
    """One network with all that belongs to it, and a port for each server."""
    limits = {"network": 1, "subnet": 1, "port": server_quota, "security_group": 1, "security_group_rule": 1}
    return limits | {"router": 0, "floatingip": 0, "rbac_policy": 0, "subnetpool": 0}


def matching(found: list[Json], pairs: list[tuple[str, str]]) -> list[Json]:
    """Neutron's filters: any field by its name, several values of one name meaning any of them; others are ignored."""
    wanted: dict[str, set[str]] = {}
    for name, text in pairs:
        wanted.setdefault(name, set()).add(text.lower())
    return [entry for entry in found if all(_fits(entry, name, texts) for name, texts in wanted.items())]


def _fits(entry: Json, name: str, texts: set[str]) -> bool:
    if name not in entry or name == "fixed_ips":
        return True
    value = entry[name]
    values = value if isinstance(value, list) else [value]
    return any(str(one).lower() in texts for one in values)


def with_fields(found: list[Json], pairs: list[tuple[str, str]]) -> list[Json]:
    """`fields=id&fields=name` shows only those."""
    fields = {text for name, text in pairs if name == "fields"}
    return [{name: value for name, value in entry.items() if name in fields} for entry in found] if fields else found
