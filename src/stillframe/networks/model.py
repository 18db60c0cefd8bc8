"""What networks are made of. The names are Neutron's; VPC v1 shows the same rows under its own.

    router (VPC) ──┬── subnet ── network ──┬── port ── server's card       router.id   is the VPC's id
                   └── subnet ── network   └── port                        network.id  is the VPC subnet's id
                                                 │
                                                 └── security groups ── rules

Every project is born with one of each, which is all that most clients need. Their ids follow from the project's id, so
that reading them writes nothing: the rows are made by the first change of anything in the project's networks.
"""

import enum
import hashlib
from datetime import UTC, datetime
from typing import Literal

import msgspec

from stillframe.kit.ids import derived_uuid

DEFAULT_NAME = "default"
DEFAULT_CIDR = "192.168.0.0/16"
DEFAULT_SUBNET_CIDR = "192.168.0.0/24"
# The name and the id that Open Telekom Cloud's external network has in every region: its Terraform provider knows both
# by heart and never looks them up. Source: terraform-provider-opentelekomcloud, networking_floatingip_v2.
EXTERNAL_NETWORK_NAME = "admin_external_net"
EXTERNAL_NETWORK_ID = "0a2228f2-7f8a-45f1-8e09-9039e1d09975"
METADATA_ADDRESS = "169.254.169.254"
COMPUTE_OWNER = "compute:"
ROUTER_OWNER = "network:router_interface"
_BEFORE_ANY_CHANGE = datetime(2026, 1, 1, tzinfo=UTC)

Direction = Literal["ingress", "egress"]


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them have. `tags` are Neutron's plain words, or VPC's `key=value`."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    created_at: datetime = _BEFORE_ANY_CHANGE
    updated_at: datetime = _BEFORE_ANY_CHANGE


class Network(Thing, frozen=True, kw_only=True):
    admin_state_up: bool = True
    port_security_enabled: bool = True


class Pool(msgspec.Struct, frozen=True):
    """A range of addresses that ports are given by themselves, both ends included."""

    start: str
    end: str


class HostRoute(msgspec.Struct, frozen=True):
    destination: str
    nexthop: str


class Subnet(Thing, frozen=True, kw_only=True):
    network_id: str
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool = True
    pools: tuple[Pool, ...]
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    router_id: str | None = None


class Router(Thing, frozen=True, kw_only=True):
    """`cidr` is what a VPC promises to hold; empty for a router made by Neutron's API."""

    cidr: str = ""
    admin_state_up: bool = True
    has_gateway: bool = False
    """Whether it leads to the external network."""
    enable_snat: bool = True
    routes: tuple[HostRoute, ...] = ()
    """Besides the subnets that hang on it, each to somebody on one of them."""


class PeeringStatus(enum.StrEnum):
    PENDING_ACCEPTANCE = "PENDING_ACCEPTANCE"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"


class Peering(Thing, frozen=True, kw_only=True):
    """Joins two routers, of one project or of two, as far as routes of both say so. Its owner asked for it."""

    router_id: str
    peer_router_id: str
    peer_project_id: str
    status: PeeringStatus

    def other_end(self, router_id: str) -> str:
        return self.peer_router_id if router_id == self.router_id else self.router_id


class VpcRoute(Thing, frozen=True, kw_only=True):
    """What fits `destination` goes from the router over the peering."""

    router_id: str
    destination: str
    peering_id: str


class FixedIp(msgspec.Struct, frozen=True, kw_only=True):
    subnet_id: str
    ip_address: str


class AddressPair(msgspec.Struct, frozen=True, kw_only=True):
    """An address, or a range, that a port may speak from besides its own."""

    ip_address: str
    mac_address: str


class Port(Thing, frozen=True, kw_only=True):
    network_id: str
    mac_address: str
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = ""
    device_index: int | None = None
    """The place of the card in its server, 0 being the first."""
    ends_with_server: bool = False
    """Made for a server, and gone with it."""
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    fixed_ips: tuple[FixedIp, ...] = ()
    security_group_ids: tuple[str, ...] = ()


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """A server's card with what has to be known to show it. `security_groups` are (id, name)."""

    floating_addresses: tuple[str, ...] = ()
    port: Port
    network_name: str
    router_id: str | None
    security_groups: tuple[tuple[str, str], ...]


class SecurityGroupRule(Thing, frozen=True, kw_only=True):
    """`protocol` None is any; the ports of ICMP are its type and code."""

    security_group_id: str
    direction: Direction
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    remote_address_group_id: str | None = None


class SecurityGroup(Thing, frozen=True, kw_only=True):
    rules: tuple[SecurityGroupRule, ...] = ()


class AddressGroup(Thing, frozen=True, kw_only=True):
    """Ranges of IPv4 and IPv6."""

    addresses: tuple[str, ...] = ()


class FloatingIp(Thing, frozen=True, kw_only=True):
    """An address of the host's, from which connections are led to a port. `bandwidth_*` are VPC's."""

    address: str
    port_id: str | None = None
    fixed_ip: str | None = None
    router_id: str | None = None
    bandwidth_name: str = ""
    bandwidth_mbit: int = 0


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each a project may have; less than nothing is any number."""

    network: int = 50
    subnet: int = 100
    router: int = 20
    port: int = 500
    security_group: int = 100
    security_group_rule: int = 1000
    floatingip: int = 20


MAX_PEERINGS = 50
MAX_VPC_ROUTES = 100
"""Of a project each."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a project is born with."""

    router: Router
    network: Network
    subnet: Subnet
    router_port: Port
    security_group: SecurityGroup

    def of_kind(self, kind: type[Thing]) -> list[Thing]:
        return [one for one in (*self.in_order, *self.security_group.rules) if isinstance(one, kind)]

    @property
    def in_order(self) -> tuple[Thing, ...]:
        """Each after what it refers to."""
        return (self.router, self.network, self.subnet, self.security_group, self.router_port)


def defaults_of(project_id: str) -> Defaults:
    router_id, network_id = derived_uuid("router", project_id), derived_uuid("network", project_id)
    subnet_id, gateway_ip = derived_uuid("subnet", project_id), "192.168.0.1"
    return Defaults(
        router=Router(id=router_id, project_id=project_id, name=DEFAULT_NAME, cidr=DEFAULT_CIDR, has_gateway=True),
        network=Network(id=network_id, project_id=project_id, name=DEFAULT_NAME),
        subnet=Subnet(
            id=subnet_id,
            project_id=project_id,
            name=DEFAULT_NAME,
            network_id=network_id,
            cidr=DEFAULT_SUBNET_CIDR,
            gateway_ip=gateway_ip,
            pools=(Pool("192.168.0.2", "192.168.0.254"),),
            router_id=router_id,
        ),
        router_port=router_port(router_id, project_id, network_id, FixedIp(subnet_id=subnet_id, ip_address=gateway_ip)),
        security_group=default_group(project_id),
    )


def router_port(router_id: str, project_id: str, network_id: str, address: FixedIp) -> Port:
    """Where a router hangs on a network: nobody's card, but its address is taken."""
    port_id = derived_uuid("router-port", router_id, address.subnet_id)
    return Port(
        id=port_id,
        project_id=project_id,
        network_id=network_id,
        mac_address=mac_address(port_id),
        device_id=router_id,
        device_owner=ROUTER_OWNER,
        port_security_enabled=False,
        fixed_ips=(address,),
    )


def default_group(project_id: str) -> SecurityGroup:
    """Out goes everything, in comes what its own members send. Source: OpenStack Networking API, "Security groups"."""
    group_id = derived_uuid("security-group", project_id)

    def rule(direction: Direction, ethertype: str, remote_group_id: str | None) -> SecurityGroupRule:
        return SecurityGroupRule(
            id=derived_uuid("security-group-rule", project_id, direction, ethertype),
            project_id=project_id,
            security_group_id=group_id,
            direction=direction,
            ethertype=ethertype,
            remote_group_id=remote_group_id,
        )

    rules = (
        rule("egress", "IPv4", None),
        rule("egress", "IPv6", None),
        rule("ingress", "IPv4", group_id),
        rule("ingress", "IPv6", group_id),
    )
    return SecurityGroup(
        id=group_id, project_id=project_id, name=DEFAULT_NAME, description="Default security group", rules=rules
    )


def mac_address(seed: str) -> str:
    """The same for the same seed, such as a port's id. `fa:16:3e` is OpenStack's."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return ":".join(("fa", "16", "3e", digest[0:2], digest[2:4], digest[4:6]))


def gateway_mac(network_id: str) -> str:
    """Of whoever answers for the gateway of a network, the name of which no port can have."""
    return "fa:16:3f" + mac_address(network_id)[8:]
