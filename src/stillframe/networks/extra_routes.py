"""Extra routes of routers: to somebody on a network of the router's, who knows the way on."""

import ipaddress
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing
from stillframe.networks.addresses import parsed_address, parsed_cidr
from stillframe.networks.model import HostRoute, Router, Subnet

MAX_ROUTES = 30

_Change = Callable[[tuple[HostRoute, ...]], Sequence[HostRoute]]


async def add_routes(tx: Transaction, caller: Caller, router_id: str, routes: Sequence[HostRoute]) -> Router:
    """Those that are there already stay as they are. Raises: NetworkNotFoundError, InvalidInputError."""
    return await _change(tx, caller, router_id, lambda old: (*old, *routes))


async def remove_routes(tx: Transaction, caller: Caller, router_id: str, routes: Sequence[HostRoute]) -> Router:
    """Those that are not there are no obstacle. Raises: NetworkNotFoundError, InvalidInputError."""
    gone = {_spelled(route) for route in routes}
    return await _change(tx, caller, router_id, lambda old: tuple(route for route in old if route not in gone))


async def _change(tx: Transaction, caller: Caller, router_id: str, change: _Change) -> Router:
    await begin_change(tx, caller)
    router = await get_thing(tx, caller, Router, router_id)
    changed = replace(router, routes=await checked_routes(tx, router, change(router.routes)), updated_at=utcnow())
    await rows.update(tx, changed)
    return changed


async def checked_routes(tx: Transaction, router: Router, wanted: Sequence[HostRoute]) -> tuple[HostRoute, ...]:
    """Spelled as they are kept, each once. Raises: InvalidInputError for a next hop that is not beside the router."""
    routes = tuple(dict.fromkeys(_spelled(route) for route in wanted))
    if len(routes) > MAX_ROUTES:
        raise InvalidInputError(
            f"Unable to complete operation for {router.id}. The number of routes exceeds the maximum {MAX_ROUTES}.",
            field="routes",
        )
    subnets = await rows.find(tx, Subnet, router_id=router.id) if routes else []
    for route in routes:
        beside = [one for one in subnets if _is_in(route.nexthop, one.cidr)]
        if not beside:
            raise _invalid(route, "the nexthop is not connected with router")
        if any(one.gateway_ip == route.nexthop for one in beside):
            raise _invalid(route, "the nexthop is used by router")
    if len({route.destination for route in routes}) != len(routes):
        raise InvalidInputError("Invalid format for routes: a destination has one nexthop only.", field="routes")
    return routes


def need(routes: Sequence[HostRoute], cidr: str) -> bool:
    """Whether a next hop is in the range."""
    return any(_is_in(route.nexthop, cidr) for route in routes)


def _spelled(route: HostRoute) -> HostRoute:
    return HostRoute(str(parsed_cidr(route.destination, "routes")), str(parsed_address(route.nexthop, "routes")))


def _is_in(address: str, cidr: str) -> bool:
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr)


def _invalid(route: HostRoute, reason: str) -> InvalidInputError:
    text = f"Invalid format for routes: {route.destination} by {route.nexthop}: {reason}"
    return InvalidInputError(text, field="routes")
