"""Bodies of requests: what they may hold, and what each means. An absent field of a change leaves things as they are.

Source: OpenStack Networking API v2.0 reference.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from stillframe.api.compute_v2.bodies import convert, decode_object
from stillframe.errors import ForbiddenError, InvalidInputError, NotOfferedError
from stillframe.networks.model import AddressPair, HostRoute, Pool
from stillframe.networks.ports import WantedIp

BodyType = TypeVar("BodyType")

MAX_BULK = 100
Text = Annotated[str, Meta(max_length=255)]
Tag = Annotated[str, Meta(min_length=1, max_length=255)]
Maybe = Text | UnsetType | None

_ADMINS_ONLY = ("shared", "router:external", "provider:network_type", "provider:physical_network")
_NOT_OFFERED = (
    *("provider:segmentation_id", "segments", "vlan_transparent", "qos_policy_id", "dns_domain", "subnetpool_id"),
    *("use_default_subnetpool", "ipv6_address_mode", "ipv6_ra_mode", "service_types", "segment_id", "prefixlen"),
    *("extra_dhcp_opts", "dns_name", "binding:host_id", "binding:profile", "propagate_uplink_status"),
    *("distributed", "ha", "flavor_id"),
)
"""Attributes that would change how a network behaves, and cannot here: refused, rather than taken and forgotten."""


class NetworkBody(Struct):
    name: Maybe = UNSET
    description: Maybe = UNSET
    admin_state_up: bool | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    mtu: int | UnsetType | None = UNSET


class PoolBody(Struct):
    start: Text
    end: Text


class RouteBody(Struct):
    destination: Text
    nexthop: Text


class SubnetBody(Struct):
    network_id: Text | UnsetType = UNSET
    cidr: Maybe = UNSET
    ip_version: int | str | UnsetType = UNSET
    name: Maybe = UNSET
    description: Maybe = UNSET
    gateway_ip: Maybe = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    allocation_pools: list[PoolBody] | UnsetType | None = UNSET
    dns_nameservers: list[Text] | UnsetType | None = UNSET
    host_routes: list[RouteBody] | UnsetType | None = UNSET

    @property
    def pools(self) -> tuple[Pool, ...] | None:
        return tuple(Pool(one.start, one.end) for one in self.allocation_pools) if self.allocation_pools else None

    @property
    def routes(self) -> tuple[HostRoute, ...] | None:
        return _routes(self.host_routes)

    @property
    def name_servers(self) -> tuple[str, ...] | None:
        wanted = given(self.dns_nameservers)
        return None if wanted is None else tuple(wanted)


class FixedIpBody(Struct):
    subnet_id: Text | None = None
    ip_address: Text | None = None


class PairBody(Struct):
    ip_address: Text
    mac_address: Text | None = None


class PortBody(Struct):
    network_id: Text | UnsetType = UNSET
    name: Maybe = UNSET
    description: Maybe = UNSET
    admin_state_up: bool | UnsetType = UNSET
    mac_address: Maybe = UNSET
    fixed_ips: list[FixedIpBody] | UnsetType | None = UNSET
    security_groups: list[Text] | UnsetType | None = UNSET
    allowed_address_pairs: list[PairBody] | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    device_id: Maybe = UNSET
    device_owner: Maybe = UNSET
    tags: list[Tag] | UnsetType = UNSET

    @property
    def wanted_ips(self) -> tuple[WantedIp, ...] | None:
        wanted = given(self.fixed_ips)
        if wanted is None:
            return None
        return tuple(WantedIp(subnet_id=one.subnet_id or None, ip_address=one.ip_address or None) for one in wanted)

    @property
    def groups(self) -> tuple[str, ...] | None:
        wanted = given(self.security_groups)
        return None if wanted is None else tuple(wanted)

    @property
    def pairs(self) -> tuple[AddressPair, ...] | None:
        wanted = given(self.allowed_address_pairs)
        if wanted is None:
            return () if self.allowed_address_pairs is None else None
        return tuple(AddressPair(ip_address=one.ip_address, mac_address=one.mac_address or "") for one in wanted)


class GatewayBody(Struct):
    network_id: Text | None = None
    enable_snat: bool | UnsetType = UNSET


class RouterBody(Struct):
    name: Maybe = UNSET
    description: Maybe = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: GatewayBody | UnsetType | None = UNSET
    routes: list[RouteBody] | UnsetType | None = UNSET

    @property
    def host_routes(self) -> tuple[HostRoute, ...] | None:
        return _routes(self.routes)


class InterfaceBody(Struct):
    subnet_id: Text | None = None
    port_id: Text | None = None


class SecurityGroupBody(Struct):
    name: Maybe = UNSET
    description: Maybe = UNSET
    stateful: bool | UnsetType = UNSET


class RuleBody(Struct):
    security_group_id: Text
    direction: Literal["ingress", "egress"]
    ethertype: Text | None = None
    protocol: Text | int | None = None
    port_range_min: int | str | None = None
    port_range_max: int | str | None = None
    remote_ip_prefix: Text | None = None
    remote_group_id: Text | None = None
    remote_address_group_id: Text | None = None
    description: Text | None = None


class AddressGroupBody(Struct):
    name: Maybe = UNSET
    description: Maybe = UNSET
    addresses: list[Text] | UnsetType | None = UNSET


class FloatingIpBody(Struct):
    floating_network_id: Text | UnsetType = UNSET
    floating_ip_address: Maybe = UNSET
    port_id: Maybe = UNSET
    fixed_ip_address: Maybe = UNSET
    description: Maybe = UNSET
    subnet_id: Maybe = UNSET


class TagsBody(Struct):
    tags: Annotated[list[Tag], Meta(max_length=50)]


def given(value: Any) -> Any:
    """None for what is absent or null."""
    return None if value is UNSET else value


def _routes(bodies: list[RouteBody] | UnsetType | None) -> tuple[HostRoute, ...] | None:
    wanted = given(bodies)
    return None if wanted is None else tuple(HostRoute(one.destination, one.nexthop) for one in wanted)


def changes_of(body: Struct, *names: str, **spelled: str) -> dict[str, Any]:
    """Of these fields what the body holds, null texts as empty ones. `spelled` gives a field another name."""
    pairs = ((name, spelled.get(name, name)) for name in (*names, *spelled))
    values = {ours: getattr(body, theirs_name) for theirs_name, ours in pairs}
    return {name: "" if value is None else value for name, value in values.items() if value is not UNSET}


def decode_one(body: bytes, name: str, kind: type[BodyType]) -> BodyType:
    """`{"network": {...}}`. Raises: InvalidInputError, NotOfferedError, ForbiddenError."""
    plain = decode_object(body).get(name)
    return _converted(plain, name, kind)


def decode_some(body: bytes, name: str, plural: str, kind: type[BodyType]) -> tuple[list[BodyType], bool]:
    """One, or several under the plural name: then True."""
    plain = decode_object(body)
    if plural not in plain:
        return [_converted(plain.get(name), name, kind)], False
    several = plain[plural]
    if not isinstance(several, list) or not 0 < len(several) <= MAX_BULK:
        raise InvalidInputError(f"{plural} must be a list of 1 to {MAX_BULK}.", field=plural)
    return [_converted(one, name, kind) for one in several], True


def _converted(plain: Any, name: str, kind: type[BodyType]) -> BodyType:
    if not isinstance(plain, dict):
        raise InvalidInputError(f"Unable to find '{name}' in request body", field=name)
    for attribute in _effective(plain, _ADMINS_ONLY):
        raise ForbiddenError(f"rule:create_{name}:{attribute} is disallowed by policy")
    for attribute in _effective(plain, _NOT_OFFERED):
        raise NotOfferedError(f"The attribute {attribute} is not offered by this deployment.")
    return convert(plain, kind)


def _effective(plain: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if plain.get(name))
