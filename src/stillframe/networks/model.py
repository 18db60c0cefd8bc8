"""The one network of a project, and where a server hangs on it.

guest 10.0.2.15 ──► gateway 10.0.2.2 ──► (address translation) ──► whatever the host reaches
                └─► name server 10.0.2.254
"""

import hashlib

import msgspec

from stillframe.kit.ids import derived_uuid

CIDR = "10.0.2.0/24"
GUEST_ADDRESS = "10.0.2.15"
GATEWAY_ADDRESS = "10.0.2.2"
DNS_ADDRESS = "10.0.2.254"
NETWORK_NAME = "default"
SUBNET_NAME = "default"
SECURITY_GROUP_NAME = "default"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The network, its only subnet and its only security group."""

    id: str
    subnet_id: str
    security_group_id: str
    egress_rule_id: str
    project_id: str


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """The network card of one server."""

    id: str
    network: Network
    server_id: str
    mac_address: str


def network_of(project_id: str) -> Network:
    return Network(
        id=derived_uuid("network", project_id),
        subnet_id=derived_uuid("subnet", project_id),
        security_group_id=derived_uuid("security-group", project_id),
        egress_rule_id=derived_uuid("security-group-rule", project_id),
        project_id=project_id,
    )


def port_of(project_id: str, server_id: str) -> Port:
    return Port(
        id=derived_uuid("port", server_id),
        network=network_of(project_id),
        server_id=server_id,
        mac_address=mac_address(server_id),
    )


def mac_address(server_id: str) -> str:
    """The same for the whole life of a server, so that its guest knows the card again. `fa:16:3e` is OpenStack's."""
    digest = hashlib.sha256(server_id.encode()).hexdigest()
    return ":".join(("fa", "16", "3e", digest[0:2], digest[2:4], digest[4:6]))
