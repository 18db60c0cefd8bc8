"""Security groups and rules: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.compute_v2.bodies import int_of
from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import RuleBody, SecurityGroupBody, changes_of, decode_one, decode_some, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.networks import security_groups
from stillframe.networks import service as networks
from stillframe.networks.model import SecurityGroup, SecurityGroupRule

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_ETHERTYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}


@get("/v2.0/security-groups")
async def list_groups(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, SecurityGroup)
    return listed(request, "security_groups", [wire.security_group_to_wire(group) for group in found])


@get("/v2.0/security-groups/{group_id:str}")
async def show_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> Json:
    group = await networks.get_thing(tx, caller, SecurityGroup, group_id)
    return shown(request, "security_group", wire.security_group_to_wire(group))


@post("/v2.0/security-groups")
async def create_groups(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    bodies, is_bulk = decode_some(await request.body(), "security_group", "security_groups", SecurityGroupBody)
    made = []
    for body in bodies:
        wanted = SecurityGroup(id="", project_id="", **_changes(body))
        made.append(wire.security_group_to_wire(await security_groups.create_group(tx, caller, wanted)))
    return {"security_groups": made} if is_bulk else {"security_group": made[0]}


def _changes(body: SecurityGroupBody) -> Json:
    if given(body.stateful) is False:
        raise NotOfferedError("Security groups remember conversations (stateful) always.")
    return changes_of(body, "name", "description")


@put("/v2.0/security-groups/{group_id:str}")
async def update_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> Json:
    changes = _changes(decode_one(await request.body(), "security_group", SecurityGroupBody))
    group = await security_groups.update_group(tx, caller, group_id, **changes)
    return {"security_group": wire.security_group_to_wire(group)}


@delete("/v2.0/security-groups/{group_id:str}")
async def delete_group(group_id: str, tx: Transaction, caller: Caller) -> None:
    await security_groups.delete_group(tx, caller, group_id)


@get("/v2.0/security-group-rules")
async def list_rules(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, SecurityGroupRule)
    return listed(request, "security_group_rules", [wire.rule_to_wire(rule) for rule in found])


@get("/v2.0/security-group-rules/{rule_id:str}")
async def show_rule(request: AnyRequest, rule_id: str, tx: Transaction, caller: Caller) -> Json:
    rule = await networks.get_thing(tx, caller, SecurityGroupRule, rule_id)
    return shown(request, "security_group_rule", wire.rule_to_wire(rule))


@post("/v2.0/security-group-rules")
async def create_rules(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    bodies, is_bulk = decode_some(await request.body(), "security_group_rule", "security_group_rules", RuleBody)
    made = [wire.rule_to_wire(await security_groups.create_rule(tx, caller, _rule(body))) for body in bodies]
    return {"security_group_rules": made} if is_bulk else {"security_group_rule": made[0]}


def _rule(body: RuleBody) -> SecurityGroupRule:
    ethertype = _ETHERTYPES.get((body.ethertype or "IPv4").lower())
    if ethertype is None:
        raise InvalidInputError("Security group rule ethertype must be IPv4 or IPv6.", field="ethertype")
    return SecurityGroupRule(
        id="",
        project_id="",
        description=body.description or "",
        security_group_id=body.security_group_id,
        direction=body.direction,
        ethertype=ethertype,
        protocol=None if body.protocol is None else str(body.protocol),
        port_range_min=_port(body.port_range_min, "port_range_min"),
        port_range_max=_port(body.port_range_max, "port_range_max"),
        remote_ip_prefix=body.remote_ip_prefix or None,
        remote_group_id=body.remote_group_id or None,
        remote_address_group_id=body.remote_address_group_id or None,
    )


def _port(value: int | str | None, name: str) -> int | None:
    return int_of(value or (0 if value == 0 else None), name)


@delete("/v2.0/security-group-rules/{rule_id:str}")
async def delete_rule(rule_id: str, tx: Transaction, caller: Caller) -> None:
    await security_groups.delete_rule(tx, caller, rule_id)


handlers = [
    list_groups,
    show_group,
    create_groups,
    update_group,
    delete_group,
    list_rules,
    show_rule,
    create_rules,
    delete_rule,
]
