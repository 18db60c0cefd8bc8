"""Networks: decode, one service call, encode."""

from collections.abc import Callable
from typing import Any

from litestar import Request, get

from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import query_pairs
from stillframe.api.network_v2 import wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks import service as networks
from stillframe.servers import service as servers

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

OPEN_REQUESTS = frozenset(("GET", path) for path in ("/", "/v2.0", "/v2.0/"))

_RESOURCES = ("networks", "subnets", "ports", "security-groups", "security-group-rules", "availability_zones")


@get("/")
async def list_versions(request: AnyRequest) -> Json:
    links = [{"rel": "self", "href": f"{base_url(request)}/v2.0/"}]
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}


@get("/v2.0")
async def list_resources(request: AnyRequest) -> Json:
    base = base_url(request)
    return {
        "resources": [
            {
                "name": name.removesuffix("s").replace("-", "_"),
                "collection": name.replace("-", "_"),
                "links": [{"rel": "self", "href": f"{base}/v2.0/{name}"}],
            }
            for name in _RESOURCES
        ]
    }


@get("/v2.0/networks")
async def list_networks(request: AnyRequest, caller: Caller, settings: Settings) -> Json:
    return {"networks": _listed(request, [_network(caller, settings)])}


@get("/v2.0/networks/{network_id:str}")
async def show_network(network_id: str, caller: Caller, settings: Settings) -> Json:
    return {"network": _found([_network(caller, settings)], network_id, "Network")}


def _network(caller: Caller, settings: Settings) -> Json:
    return wire.network_to_wire(networks.get_network(caller), settings.availability_zone)


@get("/v2.0/subnets")
async def list_subnets(request: AnyRequest, caller: Caller) -> Json:
    return {"subnets": _listed(request, [wire.subnet_to_wire(networks.get_network(caller))])}


@get("/v2.0/subnets/{subnet_id:str}")
async def show_subnet(subnet_id: str, caller: Caller) -> Json:
    return {"subnet": _found([wire.subnet_to_wire(networks.get_network(caller))], subnet_id, "Subnet")}


@get("/v2.0/ports")
async def list_ports(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return {"ports": _listed(request, await _ports(tx, caller, settings))}


@get("/v2.0/ports/{port_id:str}")
async def show_port(port_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return {"port": _found(await _ports(tx, caller, settings), port_id, "Port")}


async def _ports(tx: Transaction, caller: Caller, settings: Settings) -> list[Json]:
    return [wire.port_to_wire(port, settings.availability_zone) for port in await servers.list_ports(tx, caller)]


@get("/v2.0/security-groups")
async def list_security_groups(request: AnyRequest, caller: Caller) -> Json:
    return {"security_groups": _listed(request, [wire.security_group_to_wire(networks.get_network(caller))])}


@get("/v2.0/security-groups/{group_id:str}")
async def show_security_group(group_id: str, caller: Caller) -> Json:
    found = [wire.security_group_to_wire(networks.get_network(caller))]
    return {"security_group": _found(found, group_id, "Security group")}


@get("/v2.0/security-group-rules")
async def list_rules(request: AnyRequest, caller: Caller) -> Json:
    return {"security_group_rules": _listed(request, [wire.rule_to_wire(networks.get_network(caller))])}


@get("/v2.0/security-group-rules/{rule_id:str}")
async def show_rule(rule_id: str, caller: Caller) -> Json:
    found = [wire.rule_to_wire(networks.get_network(caller))]
    return {"security_group_rule": _found(found, rule_id, "Security group rule")}


@get("/v2.0/extensions")
async def list_extensions() -> Json:
    return {"extensions": []}


@get("/v2.0/extensions/{alias:str}")
async def show_extension(alias: str) -> Json:
    raise NotFoundError(f"Extension with alias {alias[:255]} does not exist")


@get("/v2.0/availability_zones")
async def list_zones(request: AnyRequest, settings: Settings) -> Json:
    zone = {"name": settings.availability_zone, "resource": "network", "state": "available"}
    return {"availability_zones": _listed(request, [zone])}


@get("/v2.0/quotas/{project_id:str}")
async def show_quotas(project_id: str, caller: Caller, settings: Settings) -> Json:
    if project_id != caller.require_project():
        raise NotFoundError("Quotas are shown for the project of the token.")
    return {"quota": wire.quotas_to_wire(settings.server_quota)}


def _listed(request: AnyRequest, found: list[Json]) -> list[Json]:
    pairs = query_pairs(request)
    return wire.with_fields(wire.matching(found, pairs), pairs)


def _found(known: list[Json], wanted_id: str, kind: str) -> Json:
    for entry in known:
        if entry["id"] == wanted_id:
            return entry
    raise NotFoundError(f"{kind} {wanted_id[:255]} could not be found.")


def _empty_list(path: str, name: str) -> Callable[..., Any]:
    """A collection that nobody can add to."""

    async def answer() -> Json:
        return {name: []}

    return get(path)(answer)


empty_lists = [
    _empty_list("/v2.0/floatingips", "floatingips"),
    _empty_list("/v2.0/routers", "routers"),
    _empty_list("/v2.0/quotas", "quotas"),
]

handlers = [
    list_versions,
    list_resources,
    list_networks,
    show_network,
    list_subnets,
    show_subnet,
    list_ports,
    show_port,
    list_security_groups,
    show_security_group,
    list_rules,
    show_rule,
    list_extensions,
    show_extension,
    list_zones,
    show_quotas,
    *empty_lists,
]
