"""What a server is told about itself, by its config drive and by the metadata service. Pure."""

from typing import Any

from stillframe.servers.model import Server


def meta_data(server: Server) -> dict[str, Any]:
    """Source: OpenStack Compute user guide, "Metadata", "OpenStack format metadata"."""
    key = server.public_key
    return {
        "uuid": server.id,
        "name": server.name,
        "hostname": server.host_name,
        "project_id": server.project_id,
        "availability_zone": server.availability_zone,
        "launch_index": 0,
        "meta": server.metadata,
        "public_keys": {server.key_name: key} if key else {},
        "keys": [{"name": server.key_name, "type": "ssh", "data": key}] if key else [],
        "devices": [],
        "dedicated_cpus": [],
    }


def network_data(server: Server) -> dict[str, Any]:
    """Source: OpenStack Compute user guide, "Metadata", "Network metadata"."""
    return {
        "links": [
            {
                "id": f"nic{index}",
                "vif_id": nic.port.id,
                "type": "phy",
                "mtu": 1500,
                "ethernet_mac_address": nic.port.mac_address,
            }
            for index, nic in enumerate(server.nics)
        ],
        "networks": [
            {"id": f"network{index}", "type": "ipv4_dhcp", "link": f"nic{index}", "network_id": nic.port.network_id}
            for index, nic in enumerate(server.nics)
        ],
        "services": [],
    }
