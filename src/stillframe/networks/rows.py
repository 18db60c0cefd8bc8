"""The tables of networks and all their SQL.

Every kind of thing is read and written alike: a column for each field of its struct, lists as JSON. What a port has
several of and others ask for, its addresses and security groups, are tables of their own.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.networks.model import (
    AddressGroup,
    FixedIp,
    FloatingIp,
    Network,
    Peering,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Thing,
    VpcRoute,
)

ThingType = TypeVar("ThingType", bound=Thing)


def _thing_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("project_id", sa.String(32), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    ]


network_projects = sa.Table("network_projects", metadata, sa.Column("project_id", sa.String(32), primary_key=True))
"""The projects whose first network has its rows."""

networks = sa.Table(
    "networks",
    metadata,
    *_thing_columns(),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
)

routers = sa.Table(
    "routers",
    metadata,
    *_thing_columns(),
    sa.Column("cidr", sa.String(18), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("has_gateway", sa.Boolean, nullable=False),
    sa.Column("enable_snat", sa.Boolean, nullable=False),
    sa.Column("routes", sa.JSON, nullable=False),
)

peerings = sa.Table(
    "peerings",
    metadata,
    *_thing_columns(),
    sa.Column("router_id", sa.ForeignKey("routers.id"), nullable=False, index=True),
    sa.Column("peer_router_id", sa.ForeignKey("routers.id"), nullable=False, index=True),
    sa.Column("peer_project_id", sa.String(32), nullable=False, index=True),
    sa.Column("status", sa.String(18), nullable=False),
)

vpc_routes = sa.Table(
    "vpc_routes",
    metadata,
    *_thing_columns(),
    sa.Column("router_id", sa.ForeignKey("routers.id"), nullable=False),
    sa.Column("destination", sa.String(18), nullable=False),
    sa.Column("peering_id", sa.ForeignKey("peerings.id"), nullable=False, index=True),
    sa.UniqueConstraint("router_id", "destination"),
)

subnets = sa.Table(
    "subnets",
    metadata,
    *_thing_columns(),
    sa.Column("network_id", sa.ForeignKey("networks.id"), nullable=False, index=True),
    sa.Column("cidr", sa.String(18), nullable=False),
    sa.Column("gateway_ip", sa.String(15)),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("pools", sa.JSON, nullable=False),
    sa.Column("dns_nameservers", sa.JSON, nullable=False),
    sa.Column("host_routes", sa.JSON, nullable=False),
    sa.Column("router_id", sa.ForeignKey("routers.id"), index=True),
)

ports = sa.Table(
    "ports",
    metadata,
    *_thing_columns(),
    sa.Column("network_id", sa.ForeignKey("networks.id"), nullable=False),
    sa.Column("mac_address", sa.String(17), nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("device_id", sa.String(255), nullable=False),
    sa.Column("device_owner", sa.String(255), nullable=False),
    sa.Column("device_index", sa.Integer),
    sa.Column("ends_with_server", sa.Boolean, nullable=False),
    sa.Column("port_security_enabled", sa.Boolean, nullable=False),
    sa.Column("allowed_address_pairs", sa.JSON, nullable=False),
    sa.Index("ix_ports_network_id_mac_address", "network_id", "mac_address", unique=True),
    sa.Index("ix_ports_device_id", "device_id"),
)

port_addresses = sa.Table(
    "port_addresses",
    metadata,
    sa.Column("subnet_id", sa.ForeignKey("subnets.id"), primary_key=True),
    sa.Column("ip_address", sa.String(15), primary_key=True),
    sa.Column("port_id", sa.ForeignKey("ports.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)

address_groups = sa.Table(
    "address_groups", metadata, *_thing_columns(), sa.Column("addresses", sa.JSON, nullable=False)
)

security_groups = sa.Table("security_groups", metadata, *_thing_columns())

security_group_rules = sa.Table(
    "security_group_rules",
    metadata,
    *_thing_columns(),
    sa.Column("security_group_id", sa.ForeignKey("security_groups.id"), nullable=False, index=True),
    sa.Column("direction", sa.String(7), nullable=False),
    sa.Column("ethertype", sa.String(4), nullable=False),
    sa.Column("protocol", sa.String(16)),
    sa.Column("port_range_min", sa.Integer),
    sa.Column("port_range_max", sa.Integer),
    sa.Column("remote_ip_prefix", sa.String(43)),
    sa.Column("remote_group_id", sa.ForeignKey("security_groups.id"), index=True),
    sa.Column("remote_address_group_id", sa.ForeignKey("address_groups.id"), index=True),
)

port_security_groups = sa.Table(
    "port_security_groups",
    metadata,
    sa.Column("port_id", sa.ForeignKey("ports.id"), primary_key=True),
    sa.Column("security_group_id", sa.ForeignKey("security_groups.id"), primary_key=True, index=True),
)

floating_ips = sa.Table(
    "floating_ips",
    metadata,
    *_thing_columns(),
    sa.Column("address", sa.String(15), nullable=False, unique=True),
    sa.Column("port_id", sa.ForeignKey("ports.id"), index=True),
    sa.Column("fixed_ip", sa.String(15)),
    sa.Column("router_id", sa.ForeignKey("routers.id"), index=True),
    sa.Column("bandwidth_name", sa.String(255), nullable=False),
    sa.Column("bandwidth_mbit", sa.Integer, nullable=False),
)

_TABLES: dict[type[Thing], sa.Table] = {
    Network: networks,
    Router: routers,
    Subnet: subnets,
    Port: ports,
    SecurityGroup: security_groups,
    SecurityGroupRule: security_group_rules,
    FloatingIp: floating_ips,
    AddressGroup: address_groups,
    Peering: peerings,
    VpcRoute: vpc_routes,
}
_ELSEWHERE = frozenset({"fixed_ips", "security_group_ids", "rules"})


def _values(thing: Thing) -> dict[str, Any]:
    fields = {name: getattr(thing, name) for name in thing.__struct_fields__ if name not in _ELSEWHERE}
    plain: dict[str, Any] = msgspec.to_builtins(fields, builtin_types=(datetime,))
    return plain


async def insert(tx: Transaction, thing: Thing) -> None:
    """Of a port also its addresses and groups, of a security group also its rules."""
    await tx.execute(sa.insert(_TABLES[type(thing)]).values(**_values(thing)))
    await _insert_parts(tx, thing)


async def update(tx: Transaction, thing: Thing) -> None:
    """Of a port also its addresses and groups; the rules of a security group are left alone."""
    table = _TABLES[type(thing)]
    await tx.execute(sa.update(table).where(table.c.id == thing.id).values(**_values(thing)))
    if isinstance(thing, Port):
        await _delete_parts(tx, thing)
        await _insert_parts(tx, thing)


async def delete(tx: Transaction, thing: Thing) -> None:
    if isinstance(thing, Port):
        await _delete_parts(tx, thing)
    if isinstance(thing, SecurityGroup):
        await tx.execute(sa.delete(security_group_rules).where(security_group_rules.c.security_group_id == thing.id))
    table = _TABLES[type(thing)]
    await tx.execute(sa.delete(table).where(table.c.id == thing.id))


async def _insert_parts(tx: Transaction, thing: Thing) -> None:
    if isinstance(thing, Port):
        addresses = [
            {**msgspec.structs.asdict(fixed), "port_id": thing.id, "position": position}
            for position, fixed in enumerate(thing.fixed_ips)
        ]
        groups = [{"port_id": thing.id, "security_group_id": group_id} for group_id in thing.security_group_ids]
        for table, values in ((port_addresses, addresses), (port_security_groups, groups)):
            if values:
                await tx.execute(sa.insert(table), values)
    if isinstance(thing, SecurityGroup):
        for rule in thing.rules:
            await insert(tx, rule)


async def _delete_parts(tx: Transaction, port: Port) -> None:
    for table in (port_addresses, port_security_groups):
        await tx.execute(sa.delete(table).where(table.c.port_id == port.id))


async def find(tx: Transaction, kind: type[ThingType], **equal: str | Collection[str]) -> list[ThingType]:
    """In order of creation. `find(tx, Port, network_id=...)`; a collection matches any of its members."""
    table = _TABLES[kind]
    query = sa.select(table).order_by(table.c.created_at, table.c.id)
    for name, wanted in equal.items():
        column = table.c[name]
        query = query.where(column == wanted if isinstance(wanted, str) else column.in_(wanted))
    found = [msgspec.convert(_fields(row), kind) for row in await tx.all(query)]
    return await _with_parts(tx, found)


def _fields(row: sa.Row[Any]) -> dict[str, Any]:
    """SQLAlchemy's names are a kind of text that msgspec does not take for one."""
    return {str(name): value for name, value in row._mapping.items()}  # noqa: SLF001 - its documented name


async def count(tx: Transaction, kind: type[Thing], project_id: str) -> int:
    table = _TABLES[kind]
    return int(await tx.scalar(sa.select(sa.func.count()).where(table.c.project_id == project_id)))


async def _with_parts(tx: Transaction, found: list[ThingType]) -> list[ThingType]:
    """Things with what they have elsewhere, in two queries however many they are."""
    if not found:
        return found
    ids = [thing.id for thing in found]
    if isinstance(found[0], Port):
        addresses, groups = await _addresses(tx, ids), await _groups(tx, ids)
        return [replace(one, fixed_ips=addresses[one.id], security_group_ids=groups[one.id]) for one in found]
    if isinstance(found[0], SecurityGroup):
        rules = await find(tx, SecurityGroupRule, security_group_id=ids)
        return [replace(one, rules=_of(rules, one.id)) for one in found]
    return found


def _of(rules: Iterable[SecurityGroupRule], group_id: str) -> tuple[SecurityGroupRule, ...]:
    return tuple(rule for rule in rules if rule.security_group_id == group_id)


async def _addresses(tx: Transaction, port_ids: list[str]) -> dict[str, tuple[FixedIp, ...]]:
    query = sa.select(port_addresses).where(port_addresses.c.port_id.in_(port_ids)).order_by(port_addresses.c.position)
    found: dict[str, tuple[FixedIp, ...]] = dict.fromkeys(port_ids, ())
    for row in await tx.all(query):
        found[row.port_id] += (FixedIp(subnet_id=row.subnet_id, ip_address=row.ip_address),)
    return found


async def _groups(tx: Transaction, port_ids: list[str]) -> dict[str, tuple[str, ...]]:
    table = port_security_groups
    query = sa.select(table).where(table.c.port_id.in_(port_ids)).order_by(table.c.security_group_id)
    found: dict[str, tuple[str, ...]] = dict.fromkeys(port_ids, ())
    for row in await tx.all(query):
        found[row.port_id] += (row.security_group_id,)
    return found


async def addresses_in_use(tx: Transaction, subnet_id: str) -> set[str]:
    query = sa.select(port_addresses.c.ip_address).where(port_addresses.c.subnet_id == subnet_id)
    return {row[0] for row in await tx.all(query)}


async def is_group_in_use(tx: Transaction, group_id: str) -> bool:
    """By a port, or by a rule of another group."""
    member = sa.select(port_security_groups.c.port_id).where(port_security_groups.c.security_group_id == group_id)
    rules = security_group_rules
    named = sa.select(rules.c.id).where(rules.c.remote_group_id == group_id, rules.c.security_group_id != group_id)
    return await tx.first(member.limit(1)) is not None or await tx.first(named.limit(1)) is not None


async def is_prepared(tx: Transaction, project_id: str) -> bool:
    query = sa.select(network_projects.c.project_id).where(network_projects.c.project_id == project_id)
    return await tx.first(query) is not None


async def note_prepared(tx: Transaction, project_id: str) -> None:
    await tx.execute(sa.insert(network_projects).values(project_id=project_id))


async def lock(tx: Transaction, thing: Thing) -> bool:
    """Nobody else changes or deletes it until the transaction ends; False when it is gone already."""
    table = _TABLES[type(thing)]
    return await tx.first(sa.select(table.c.id).where(table.c.id == thing.id).with_for_update()) is not None


async def floating_addresses(tx: Transaction) -> set[str]:
    """Of every project."""
    return {row[0] for row in await tx.all(sa.select(floating_ips.c.address))}
