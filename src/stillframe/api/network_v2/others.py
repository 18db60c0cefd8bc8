"""What surrounds the networks: versions, extensions, tags, quotas, zones."""

from typing import Any

from litestar import Request, Response, delete, get, put

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.network_v2.bodies import TagsBody
from stillframe.api.network_v2.lists import listed
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks import service as networks
from stillframe.networks.model import FloatingIp, Network, Port, Router, SecurityGroup, Subnet, Thing

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

OPEN_REQUESTS = frozenset(("GET", path) for path in ("/", "/v2.0", "/v2.0/"))

_RESOURCES = (
    *("networks", "subnets", "ports", "routers", "floatingips", "security-groups", "security-group-rules"),
    *("availability_zones", "quotas", "extensions"),
)
_TAGGED: dict[str, type[Thing]] = {
    "networks": Network,
    "subnets": Subnet,
    "ports": Port,
    "routers": Router,
    "security-groups": SecurityGroup,
    "floatingips": FloatingIp,
}
_EXTENSIONS = {
    "address-group": "Address group",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "net-mtu": "Network MTU",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-remote-address-group": "Remote address group id field for security group rules",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
}
"""By alias, what is there and works."""


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


def _extension(alias: str) -> Json:
    return {
        "alias": alias,
        "name": _EXTENSIONS[alias],
        "description": _EXTENSIONS[alias],
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


@get("/v2.0/extensions")
async def list_extensions() -> Json:
    return {"extensions": [_extension(alias) for alias in _EXTENSIONS]}


@get("/v2.0/extensions/{alias:str}")
async def show_extension(alias: str) -> Json:
    if alias not in _EXTENSIONS:
        raise NotFoundError(f"Extension with alias {alias[:255]} does not exist")
    return {"extension": _extension(alias)}


@get("/v2.0/availability_zones")
async def list_zones(request: AnyRequest, settings: Settings) -> Json:
    zones = [
        {"id": resource, "name": settings.availability_zone, "resource": resource, "state": "available"}
        for resource in ("network", "router")
    ]
    answer = listed(request, "availability_zones", zones)
    return {
        "availability_zones": [{k: v for k, v in zone.items() if k != "id"} for zone in answer["availability_zones"]]
    }


# --- tags ------------------------------------------------------------------------------------------------------------


_TAGS = [f"/v2.0/{collection}/{{thing_id:str}}/tags" for collection in _TAGGED]
_ONE_TAG = [f"{path}/{{tag:str}}" for path in _TAGS]


def _kind(request: AnyRequest) -> type[Thing]:
    return _TAGGED[request.scope["path"].split("/")[2]]


async def _tags(request: AnyRequest, tx: Transaction, caller: Caller, thing_id: str) -> tuple[str, ...]:
    return (await networks.get_thing(tx, caller, _kind(request), thing_id)).tags


@get(_TAGS)
async def list_tags(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"tags": list(await _tags(request, tx, caller, thing_id))}


@put(_TAGS)
async def replace_tags(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), TagsBody).tags
    return {"tags": list(await networks.set_tags(tx, caller, _kind(request), thing_id, wanted))}


@delete(_TAGS)
async def remove_tags(request: AnyRequest, thing_id: str, tx: Transaction, caller: Caller) -> None:
    await networks.set_tags(tx, caller, _kind(request), thing_id, ())


@get(_ONE_TAG, status_code=204)
async def has_tag(request: AnyRequest, thing_id: str, tag: str, tx: Transaction, caller: Caller) -> None:
    if tag not in await _tags(request, tx, caller, thing_id):
        raise NotFoundError(f"Tag {tag[:255]} could not be found.")


@put(_ONE_TAG, status_code=201)
async def add_tag(request: AnyRequest, thing_id: str, tag: str, tx: Transaction, caller: Caller) -> Response[bytes]:
    if len(tag) > 255 or "\x00" in tag:
        raise InvalidInputError("A tag has at most 255 characters.", field="tag")
    tags = await _tags(request, tx, caller, thing_id)
    await networks.set_tags(tx, caller, _kind(request), thing_id, [*tags, tag])
    return Response(b"", status_code=201)


@delete(_ONE_TAG)
async def remove_tag(request: AnyRequest, thing_id: str, tag: str, tx: Transaction, caller: Caller) -> None:
    tags = await _tags(request, tx, caller, thing_id)
    if tag not in tags:
        raise NotFoundError(f"Tag {tag[:255]} could not be found.")
    await networks.set_tags(tx, caller, _kind(request), thing_id, [one for one in tags if one != tag])


# --- what is not there to be told of ----------------------------------------------------------------------------------


@get("/v2.0/agents")
async def list_agents() -> Json:
    """One switch carries every network; there are no agents."""
    return {"agents": []}


handlers = [
    list_versions,
    list_resources,
    list_extensions,
    show_extension,
    list_zones,
    list_tags,
    replace_tags,
    remove_tags,
    has_tag,
    add_tag,
    remove_tag,
    list_agents,
]
