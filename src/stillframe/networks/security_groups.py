"""Security groups and their rules. What is accepted here is enforced by the switch, packet by packet."""

import ipaddress

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import ConflictError, InvalidInputError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing, require_quota
from stillframe.networks.errors import NetworkThingInUseError, RuleExistsError
from stillframe.networks.model import DEFAULT_NAME, AddressGroup, SecurityGroup, SecurityGroupRule

PROTOCOLS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": 58,
    "igmp": 2,
    "ipip": 4,
    "ipv6-icmp": 58,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
"""Source: OpenStack Networking API, "Create security group rule"."""

_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_ICMP = frozenset({1, 58})


def protocol_number(protocol: str | None) -> int | None:
    return None if protocol is None else PROTOCOLS.get(protocol) or int(protocol)


async def create_group(tx: Transaction, caller: Caller, wanted: SecurityGroup) -> SecurityGroup:
    """Lets everything out and nothing in. Raises: ForbiddenError, ConflictError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    if wanted.name == DEFAULT_NAME:
        raise ConflictError("Default security group already exists.")
    await require_quota(tx, project_id, SecurityGroup)
    await require_quota(tx, project_id, SecurityGroupRule, more=2)
    now, group_id = utcnow(), new_uuid()
    egress = tuple(
        SecurityGroupRule(
            id=new_uuid(),
            project_id=project_id,
            security_group_id=group_id,
            direction="egress",
            ethertype=ethertype,
            created_at=now,
            updated_at=now,
        )
        for ethertype in ("IPv4", "IPv6")
    )
    group = replace(wanted, id=group_id, project_id=project_id, rules=egress, created_at=now, updated_at=now)
    await rows.insert(tx, group)
    return group


async def update_group(tx: Transaction, caller: Caller, group_id: str, **changes: object) -> SecurityGroup:
    """Raises: NetworkNotFoundError; ConflictError for the name of the default group."""
    await begin_change(tx, caller)
    group = await get_thing(tx, caller, SecurityGroup, group_id)
    name = changes.get("name", group.name)
    if name != group.name and DEFAULT_NAME in {name, group.name}:
        raise ConflictError("Updating the name of the default security group, or to its name, is not allowed.")
    changed = replace(group, **changes, updated_at=utcnow())
    await rows.update(tx, changed)
    return changed


async def delete_group(tx: Transaction, caller: Caller, group_id: str) -> None:
    """Raises: NetworkNotFoundError; NetworkThingInUseError while a port is in it; ConflictError for the default one."""
    await begin_change(tx, caller)
    group = await get_thing(tx, caller, SecurityGroup, group_id)
    if group.name == DEFAULT_NAME:
        raise ConflictError("Insufficient rights for removing default security group.")
    if await rows.is_group_in_use(tx, group.id):
        raise NetworkThingInUseError(f"Security Group {group.id} in use.")
    await rows.delete(tx, group)


async def create_rule(tx: Transaction, caller: Caller, wanted: SecurityGroupRule) -> SecurityGroupRule:
    """Raises: NetworkNotFoundError, InvalidInputError, RuleExistsError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    group = await get_thing(tx, caller, SecurityGroup, wanted.security_group_id)
    now = utcnow()
    rule = replace(_checked(wanted), id=new_uuid(), project_id=project_id, created_at=now, updated_at=now)
    if rule.remote_group_id is not None:
        await get_thing(tx, caller, SecurityGroup, rule.remote_group_id)
    if rule.remote_address_group_id is not None:
        await get_thing(tx, caller, AddressGroup, rule.remote_address_group_id)
    for other in group.rules:
        if _meaning(other) == _meaning(rule):
            raise RuleExistsError(f"Security group rule already exists. Rule id is {other.id}.")
    await require_quota(tx, project_id, SecurityGroupRule)
    await rows.insert(tx, rule)
    return rule


async def delete_rule(tx: Transaction, caller: Caller, rule_id: str) -> None:
    """Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    await rows.delete(tx, await get_thing(tx, caller, SecurityGroupRule, rule_id))


def _meaning(rule: SecurityGroupRule) -> tuple[object, ...]:
    return (
        rule.direction,
        rule.ethertype,
        protocol_number(rule.protocol),
        rule.port_range_min,
        rule.port_range_max,
        rule.remote_ip_prefix,
        rule.remote_group_id,
        rule.remote_address_group_id,
    )


def _checked(rule: SecurityGroupRule) -> SecurityGroupRule:
    """Spelled as it is kept. Raises: InvalidInputError."""
    protocol = _checked_protocol(rule.protocol)
    prefix = _checked_prefix(rule.remote_ip_prefix, rule.ethertype)
    if sum(one is not None for one in (prefix, rule.remote_group_id, rule.remote_address_group_id)) > 1:
        raise InvalidInputError(
            "Only one of remote_ip_prefix, remote_group_id and remote_address_group_id may be provided.",
            field="remote_group_id",
        )
    _require_range(protocol_number(protocol), rule.port_range_min, rule.port_range_max)
    return replace(rule, protocol=protocol, remote_ip_prefix=prefix)


def _checked_protocol(protocol: str | None) -> str | None:
    if protocol is None or not protocol.strip():
        return None
    plain = protocol.strip().lower()
    if plain in {"any", "0"}:
        return None
    is_number = plain.isascii() and plain.isdigit() and len(plain) <= 3 and int(plain) <= 255
    if plain not in PROTOCOLS and not is_number:
        raise InvalidInputError(
            f"Security group rule protocol {protocol[:64]} not supported. Only names "
            f"{', '.join(sorted(PROTOCOLS))} and numbers 0 to 255 are.",
            field="protocol",
        )
    return plain


def _checked_prefix(prefix: str | None, ethertype: str) -> str | None:
    if prefix is None or not prefix.strip():
        return None
    try:
        network = ipaddress.ip_network(prefix.strip(), strict=False)
    except ValueError:
        raise InvalidInputError(f"'{prefix[:64]}' is not a valid IP subnet.", field="remote_ip_prefix") from None
    if f"IPv{network.version}" != ethertype:
        raise InvalidInputError(f"Conflicting value ethertype {ethertype} for CIDR {network}", field="remote_ip_prefix")
    return str(network)


def _require_range(protocol: int | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if protocol in _ICMP:
        if low is None or not 0 <= low <= 255 or (high is not None and not 0 <= high <= 255):
            raise InvalidInputError("Invalid value for ICMP type and code: 0 to 255 each.", field="port_range_min")
        return
    if protocol not in _WITH_PORTS:
        raise InvalidInputError("A range of ports needs a protocol that has ports.", field="protocol")
    if low is None or high is None or not 0 <= low <= high <= 65535:
        raise InvalidInputError(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max, both from 0 to 65535.",
            field="port_range_min",
        )
