"""VPCs, subnets, security groups and tags as VPC shows and takes them.

Source: Open Telekom Cloud, VPC API reference.
"""

import re
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from stillframe.api import enterprise_projects
from stillframe.api.network_v2.bodies import Text
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.kit.clock import iso_seconds_z
from stillframe.networks.model import Router, SecurityGroup, Thing
from stillframe.networks.vpcs import NewVpcSubnet, VpcSubnet

Json = dict[str, Any]

_NAME = re.compile(r"[\w.-]{1,64}")


class VpcFields(Struct):
    name: Text | None = None
    description: Text | None = None
    cidr: Text | None = None
    enable_shared_snat: bool | None = None


class VpcBody(Struct):
    vpc: VpcFields


class DhcpOption(Struct):
    opt_name: Text
    opt_value: str | None = None


class SubnetFields(Struct, rename={"dns_list": "dnsList"}):
    name: Text | None = None
    description: Text | None = None
    cidr: Text | None = None
    gateway_ip: Text | None = None
    vpc_id: Text | None = None
    dhcp_enable: bool | None = None
    ipv6_enable: bool | None = None
    primary_dns: Text | None = None
    secondary_dns: Text | None = None
    dns_list: list[Text] | UnsetType | None = UNSET
    extra_dhcp_opts: list[DhcpOption] | None = None


class SubnetBody(Struct):
    subnet: SubnetFields


class GroupFields(Struct):
    name: Text
    vpc_id: Text | None = None


class GroupBody(Struct):
    security_group: GroupFields


class Tag(Struct):
    key: Annotated[str, Meta(min_length=1, max_length=36)]
    value: Annotated[str, Meta(max_length=43)] = ""


class TagBody(Struct):
    tag: Tag


class TagsAction(Struct):
    action: Literal["create", "delete"]
    tags: Annotated[list[Tag], Meta(min_length=1, max_length=20)]


def checked_name(name: str | None, *, required: bool = False) -> str | None:
    """Raises: InvalidInputError."""
    if name is None or not name:
        if required:
            raise InvalidInputError("The name is not specified.", field="name")
        return name
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "The name can contain at most 64 characters: letters, digits, underscores, hyphens and periods.",
            field="name",
        )
    return name


def checked_description(description: str | None) -> str | None:
    if description is not None and ("<" in description or ">" in description):
        raise InvalidInputError("The description cannot contain angle brackets.", field="description")
    return description


def checked_vpc(fields: VpcFields) -> VpcFields:
    """Raises: InvalidInputError, NotOfferedError."""
    if fields.enable_shared_snat:
        raise NotOfferedError("VPCs have no shared SNAT.")
    checked_name(fields.name)
    checked_description(fields.description)
    return fields


def _require_offered(fields: SubnetFields) -> None:
    if fields.ipv6_enable:
        raise NotOfferedError("Networks carry IPv4 only (ipv6_enable).")
    for option in fields.extra_dhcp_opts or ():
        if option.opt_value:
            raise NotOfferedError(f"The DHCP option {option.opt_name} is not offered.")


def name_servers(fields: SubnetFields) -> tuple[str, ...] | None:
    """The list where there is one, else the two; None when none of them is named."""
    if isinstance(fields.dns_list, list) and fields.dns_list:
        return tuple(fields.dns_list)
    pair = [one for one in (fields.primary_dns, fields.secondary_dns) if one]
    if pair:
        return tuple(dict.fromkeys(pair))
    is_told = fields.dns_list is not UNSET or fields.primary_dns is not None or fields.secondary_dns is not None
    return () if is_told else None


def new_subnet(fields: SubnetFields) -> NewVpcSubnet:
    """Raises: InvalidInputError, NotOfferedError."""
    name = checked_name(fields.name, required=True) or ""
    for field in ("cidr", "gateway_ip", "vpc_id"):
        if not getattr(fields, field):
            raise InvalidInputError(f"The {field} is not specified.", field=field)
    _require_offered(fields)
    return NewVpcSubnet(
        vpc_id=fields.vpc_id or "",
        name=name,
        description=checked_description(fields.description) or "",
        cidr=fields.cidr or "",
        gateway_ip=fields.gateway_ip or "",
        enable_dhcp=fields.dhcp_enable is not False,
        dns_nameservers=name_servers(fields) or (),
    )


def changed_subnet(fields: SubnetFields) -> Json:
    """What is None stays. Raises: InvalidInputError, NotOfferedError."""
    _require_offered(fields)
    return {
        "name": checked_name(fields.name) or None,
        "description": checked_description(fields.description),
        "enable_dhcp": fields.dhcp_enable,
        "dns_nameservers": name_servers(fields),
    }


def vpc_to_wire(vpc: Router) -> Json:
    return {
        "id": vpc.id,
        "name": vpc.name,
        "description": vpc.description,
        "cidr": vpc.cidr,
        "status": "OK",
        "routes": [],
        "enable_shared_snat": False,
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "tenant_id": vpc.project_id,
        "created_at": _moment(vpc),
        "updated_at": iso_seconds_z(vpc.updated_at).removesuffix("Z"),
    }


def _moment(thing: Thing) -> str:
    return iso_seconds_z(thing.created_at).removesuffix("Z")


def vpc_v3_to_wire(vpc: Router, subnet_count: int) -> Json:
    """Source: Open Telekom Cloud, VPC API reference, "Querying the Details of a VPC" (API V3)."""
    return {
        "id": vpc.id,
        "name": vpc.name,
        "description": vpc.description,
        "cidr": vpc.cidr,
        "extend_cidrs": [],
        "status": "ACTIVE",
        "project_id": vpc.project_id,
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "created_at": iso_seconds_z(vpc.created_at),
        "updated_at": iso_seconds_z(vpc.updated_at),
        "cloud_resources": [{"resource_type": "virsubnet", "resource_count": subnet_count}],
        "tags": tags_to_wire(vpc.tags),
    }


def subnet_to_wire(found: VpcSubnet, zone: str) -> Json:
    network, subnet = found.network, found.subnet
    servers = subnet.dns_nameservers
    return {
        "id": network.id,
        "name": network.name,
        "description": network.description,
        "cidr": subnet.cidr,
        "dnsList": list(servers),
        "status": "ACTIVE",
        "vpc_id": subnet.router_id,
        "gateway_ip": subnet.gateway_ip,
        "dhcp_enable": subnet.enable_dhcp,
        "ipv6_enable": False,
        "primary_dns": servers[0] if servers else "",
        "secondary_dns": servers[1] if len(servers) > 1 else "",
        "availability_zone": zone,
        "neutron_network_id": network.id,
        "neutron_subnet_id": subnet.id,
        "extra_dhcp_opts": [],
        "tenant_id": network.project_id,
        "created_at": _moment(network),
        "updated_at": iso_seconds_z(network.updated_at).removesuffix("Z"),
    }


def group_to_wire(group: SecurityGroup) -> Json:
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "vpc_id": None,
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "security_group_rules": [
            {
                "id": rule.id,
                "description": rule.description,
                "security_group_id": group.id,
                "direction": rule.direction,
                "ethertype": rule.ethertype,
                "protocol": rule.protocol,
                "port_range_min": rule.port_range_min,
                "port_range_max": rule.port_range_max,
                "remote_ip_prefix": rule.remote_ip_prefix,
                "remote_group_id": rule.remote_group_id,
                "tenant_id": group.project_id,
            }
            for rule in group.rules
        ],
    }


def tags_to_wire(tags: tuple[str, ...]) -> list[dict[str, str]]:
    return [dict(zip(("key", "value"), tag.partition("=")[::2], strict=True)) for tag in tags]


def with_tags(old: tuple[str, ...], body: TagsAction) -> tuple[str, ...]:
    """A tag is made over one of its key; one to delete is known by its key."""
    keys = {tag.key for tag in body.tags}
    kept = [tag for tag in old if tag.partition("=")[0] not in keys]
    return tuple(kept + ([f"{tag.key}={tag.value}" for tag in body.tags] if body.action == "create" else []))


_QUOTA_TYPES = {
    "router": "vpc",
    "subnet": "subnet",
    "security_group": "securityGroup",
    "security_group_rule": "securityGroupRule",
    "floatingip": "publicIp",
    "peering": "vpcPeer",
}


def quotas_to_wire(usage: dict[str, tuple[int, int]]) -> list[Json]:
    """`usage` is of each kind how many there are, and how many there may be."""
    return [
        {"type": shown, "used": usage[name][0], "quota": usage[name][1], "min": 0}
        for name, shown in _QUOTA_TYPES.items()
    ]
