"""Where routers lead: to the networks that hang on them, to a card that routes on, or over a peering. Pure.

The longest prefix wins, and of two alike the network that hangs on the router itself.
"""

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

from stillframe.switch.cards import Port, Segment
from stillframe.switch.plan import Plan, RoutePlan


class Way(NamedTuple):
    """The card that a packet is handed to, None when there is none, and the address it is handed to there."""

    port: Port | None
    hop: bytes
    is_routed: bool


class _Route(NamedTuple):
    start: int
    mask: int
    segment: Segment | None
    """The network itself; None for the others."""
    gateway: bytes | None = None
    peer: str | None = None

    def holds(self, address: bytes) -> bool:
        return int.from_bytes(address, "big") & self.mask == self.start


class Routing:
    def __init__(self, plan: Plan, segments: Mapping[str, Segment]) -> None:
        self._tables: dict[str, list[_Route]] = {}
        for segment in segments.values():
            for start, mask, router_id in segment.subnets:
                if router_id is not None:
                    self._tables.setdefault(router_id, []).append(_Route(start, mask, segment))
        for router in plan.routers:
            self._tables.setdefault(router.id, []).extend(_route(route) for route in router.routes)
        for table in self._tables.values():
            table.sort(key=lambda route: (-route.mask, route.segment is None))

    def find(self, router_id: str | None, source: bytes, destination: bytes) -> Way | None:
        """None when the router does not know; a way to nobody when it knows that nobody is there."""
        route = self._route(router_id, destination)
        if route is None or router_id is None:
            return None
        if route.peer is not None:
            back = self._route(route.peer, source)
            is_mutual = back is not None and back.peer == router_id
            return self._on_link(route.peer, destination, destination) if is_mutual else _nowhere(destination)
        return self._on_link(router_id, destination, route.gateway or destination)

    def _route(self, router_id: str | None, address: bytes) -> _Route | None:
        return next((route for route in self._tables.get(router_id or "", ()) if route.holds(address)), None)

    def _on_link(self, router_id: str, destination: bytes, hop: bytes) -> Way:
        """To who has `hop` on one of the router's own networks."""
        for route in self._tables.get(router_id, ()):
            if route.segment is not None and route.holds(hop):
                return Way(route.segment.find(hop), hop, is_routed=True)
        return _nowhere(destination)


def _nowhere(destination: bytes) -> Way:
    return Way(None, destination, is_routed=True)


def _route(plan: RoutePlan) -> _Route:
    network = ipaddress.IPv4Network(plan.cidr)
    gateway = ipaddress.IPv4Address(plan.gateway).packed if plan.gateway else None
    return _Route(int(network.network_address), int(network.netmask), None, gateway, plan.peer)
