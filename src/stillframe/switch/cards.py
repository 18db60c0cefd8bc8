"""What the fabric works on: cards, the networks they are in, their conversations, and the way out of the host."""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Protocol

from stillframe.switch import frames
from stillframe.switch.frames import BROADCAST, IPV4, Packet
from stillframe.switch.plan import NetworkPlan, PortPlan, UplinkPlan
from stillframe.switch.rules import Test, compiled
from stillframe.switch.tcpserver import TcpServer

UPLINK, UPLINK_MAC = "uplink", "fa:16:3f:ff:ff:ff"
NOBODY = b"\0\0\0\0"
_WITH_PORTS = frozenset({frames.TCP, frames.UDP})

Change = Callable[[bytes], bytes]


class Outlet(Protocol):
    """Where frames for a card go."""

    def put(self, frame: bytes) -> None: ...


class Flow:
    """One direction of a conversation. `change` makes of a frame what follows its new Ethernet header, None leaves that
    alone; `is_allowed` asks the plan again, and is None of the way back.
    """

    __slots__ = ("change", "header", "is_allowed", "key", "outlet", "port", "protocol", "seen", "twin")

    def __init__(
        self,
        key: bytes,
        port: "Port",
        header: bytes,
        change: Change | None = None,
        is_allowed: Callable[[], bool] | None = None,
    ) -> None:
        self.key = key
        self.port = port
        self.outlet = port.outlet
        self.header = header
        self.change = change
        self.is_allowed = is_allowed
        self.protocol = key[0]
        self.seen = 0.0
        self.twin: Flow | None = None


class Port:
    """A card and what the plan says about it. It outlives changes of the plan, and so do its conversations."""

    def __init__(self, plan: PortPlan, outlet: Outlet, server: TcpServer) -> None:
        self.outlet = outlet
        self.server = server
        self.flows: dict[bytes, Flow] = {}
        self.begun: dict[bytes, Flow] = {}
        """Those of the flows that this card began: only they count against it."""
        self.fragments: dict[bytes, tuple[Flow, float]] = {}
        self.follow(plan)

    def follow(self, plan: PortPlan) -> None:
        self.plan = plan
        self.mac = frames.mac_bytes(plan.mac)
        packed = [ipaddress.IPv4Address(address).packed for address in plan.addresses]
        self.first_address = packed[0] if packed else NOBODY
        self.addresses = frozenset(packed)
        self.pairs = [
            (int(network.network_address), int(network.netmask), frames.mac_bytes(pair.mac))
            for pair in plan.pairs
            for network in (ipaddress.IPv4Network(pair.cidr),)
        ]
        self.macs = frozenset({self.mac, *(mac for _, _, mac in self.pairs)})
        self.ingress: list[Test] = compiled(plan, "ingress")
        self.egress: list[Test] = compiled(plan, "egress")
        self.flows_checked = False

    def may_speak_as(self, address: bytes) -> bool:
        return not self.plan.is_guarded or address in self.addresses or self.has_pair_for(address)

    def has_pair_for(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(number & mask == start for start, mask, _ in self.pairs)


class Segment:
    """One network: its cards, and the addresses that the switch itself answers for."""

    def __init__(self, plan: NetworkPlan) -> None:
        self.mac = frames.mac_bytes(plan.mac)
        self.subnets = [
            (int(cidr.network_address), int(cidr.netmask), subnet.router_id)
            for subnet in plan.subnets
            for cidr in (ipaddress.IPv4Network(subnet.cidr),)
        ]
        self.gateways = {ipaddress.IPv4Address(one.gateway).packed for one in plan.subnets if one.gateway}
        self.broadcasts = {BROADCAST[:4]} | {
            (start | (~mask & 0xFFFFFFFF)).to_bytes(4, "big") for start, mask, _ in self.subnets
        }
        self.ports: list[Port] = []
        self.by_address: dict[bytes, Port] = {}
        self.moved: dict[bytes, Port] = {}
        """Which card last said that an address pair's address is with it."""

    def router_of(self, address: bytes) -> str | None:
        number = int.from_bytes(address, "big")
        return next((router for start, mask, router in self.subnets if number & mask == start), None)

    def is_local(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(number & mask == start for start, mask, _ in self.subnets)

    def find(self, address: bytes) -> Port | None:
        return self.by_address.get(address) or self.moved.get(address)


class Uplink:
    """The way out of the host, as if it were one more card. It knows cards by their inner addresses only."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.by_inner: dict[bytes, Port] = {}
        self._own: dict[str, bytes] = {}

    def follow(self, plan: UplinkPlan, ports: Iterable[Port]) -> None:
        self._name_server = ipaddress.IPv4Address(plan.name_server).packed
        closed = [ipaddress.IPv4Network(text) for text in plan.closed]
        self._closed = [(int(network.network_address), int(network.netmask)) for network in closed]
        known = [port for port in ports if port.plan.inner and port.plan.addresses]
        self.by_inner = {ipaddress.IPv4Address(str(port.plan.inner)).packed: port for port in known}
        self._own = {port.plan.id: ipaddress.IPv4Address(port.plan.addresses[0]).packed for port in known}

    def own_address(self, port: Port) -> bytes:
        return self._own.get(port.plan.id, NOBODY)

    def is_open(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return address == self._name_server or not any(number & mask == start for start, mask in self._closed)

    def ways(
        self, port: Port, segment: Segment, key: bytes, is_allowed: Callable[[], bool] | None
    ) -> tuple[Flow, Flow]:
        """Out and in, of the conversation that the card knows by `key`."""
        own, inner = self.own_address(port), ipaddress.IPv4Address(str(port.plan.inner)).packed
        back_key = key[:1] + key[5:9] + inner + swapped(key[9:13]) + key[13:]
        out = Flow(
            key,
            self.port,
            self.port.mac + frames.mac_bytes(UPLINK_MAC) + IPV4,
            lambda frame: frames.with_source(frame, inner),
            is_allowed,
        )
        back_header = port.mac + segment.mac + IPV4
        return out, Flow(back_key, port, back_header, lambda frame: frames.with_destination(frame, own))


def key_of(packet: Packet) -> bytes:
    """Protocol, addresses and ports; 13 bytes, as the fast path cuts them out of a frame.

    What has no ports has a longer key, which the fast path never meets: of an echo its number, else nothing.
    """
    start = bytes((packet.protocol,)) + packet.source + packet.destination
    if packet.protocol in _WITH_PORTS:
        return start + packet.payload[:4].ljust(4, b"\0")
    if packet.protocol != frames.ICMP:
        return start + b"\0\0\0\0*"
    kind, number = packet.payload[:1], packet.payload[4:6].ljust(2, b"\0")
    if kind == b"\0":
        return start + b"\x08\0" + number + b"*"
    return start + number + kind.ljust(1, b"\0") + b"\0*"


def swapped(ports: bytes) -> bytes:
    return ports[2:4] + ports[0:2]


def reversed_key(key: bytes) -> bytes:
    return key[:1] + key[5:9] + key[1:5] + swapped(key[9:13]) + key[13:]


def fragment_key(packet: Packet) -> bytes:
    return packet.source + packet.destination + bytes((packet.protocol,)) + packet.fragment_id
