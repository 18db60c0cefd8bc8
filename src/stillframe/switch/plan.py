"""What the worker tells the switch: everything it has to know, sent anew whenever anything changes."""

from typing import Literal

import msgspec


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Lets in or out what fits. None is anything; `remotes` are ranges, empty is nobody."""

    direction: Literal["ingress", "egress"]
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    remotes: tuple[str, ...] | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What DHCP tells a card. `routes` are (destination, next hop)."""

    address: str
    prefix_length: int
    server: str
    gateway: str | None = None
    name_servers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    host_name: str = ""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    cidr: str
    mac: str


class PortPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`socket` is relative to the directory of all machines."""

    id: str
    server_id: str
    socket: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
    is_guarded: bool = True
    """Whether its addresses are checked and its rules hold."""
    rules: tuple[Rule, ...] = ()
    lease: Lease | None = None
    inner: str | None = None
    """Its first address as the outside knows it; None for a card the outside does not know."""
    may_leave: bool = False
    """Whether it may begin conversations with the outside."""


class SubnetPlan(msgspec.Struct, frozen=True, kw_only=True):
    cidr: str
    gateway: str | None
    router_id: str | None


class NetworkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """`mac` answers for the gateways and for 169.254.169.254."""

    id: str
    mac: str
    subnets: tuple[SubnetPlan, ...]


class RoutePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What fits goes to the card that has `gateway`, or over a peering to the router `peer`."""

    cidr: str
    gateway: str | None = None
    peer: str | None = None


class RouterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a router knows besides the subnets that hang on it."""

    id: str
    routes: tuple[RoutePlan, ...]


class UplinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The way out of the host: a network stack in user mode, which knows every card by its inner address.

    What it would take for its own host, `closed`, is never let through; its name server is.
    """

    socket: str
    mac: str
    name_server: str
    closed: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    networks: tuple[NetworkPlan, ...] = ()
    ports: tuple[PortPlan, ...] = ()
    routers: tuple[RouterPlan, ...] = ()
    uplink: UplinkPlan | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """The switch asks the worker what a server shall be told under a path of the metadata service."""

    number: int
    server_id: str
    method: str
    path: str
    headers: dict[str, str]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    status: int
    content_type: str
    body: bytes


class ToSwitch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message; the other way go questions."""

    plan: Plan | None = None
    answer: Answer | None = None
