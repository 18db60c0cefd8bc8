"""Cards plugged into a fabric by hand: what each is sent is kept, time is what the test says."""

import ipaddress
from dataclasses import dataclass, field

from stillframe.switch import frames
from stillframe.switch.cards import Port
from stillframe.switch.fabric import Fabric
from stillframe.switch.plan import Lease, NetworkPlan, Pair, Plan, PortPlan, Rule, SubnetPlan
from stillframe.switch.tcpserver import Connection

ANY_OUT = Rule(direction="egress")
ANY_IN = Rule(direction="ingress")
LATER = 1000.0
"""When the fabric has long been running."""


def packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def network(name: str = "net", cidr: str = "10.0.0.0/24", router: str | None = None) -> NetworkPlan:
    gateway = str(ipaddress.IPv4Network(cidr).network_address + 1)
    subnet = SubnetPlan(cidr=cidr, gateway=gateway, router_id=router)
    return NetworkPlan(id=name, mac="fa:16:3f:00:00:" + f"{len(name):02x}", subnets=(subnet,))


def card(
    number: int,
    *rules: Rule,
    network_id: str = "net",
    address: str = "",
    pairs: tuple[Pair, ...] = (),
    is_guarded: bool = True,
) -> PortPlan:
    address = address or f"10.0.0.{number}"
    return PortPlan(
        id=str(number),
        server_id=f"server-{number}",
        socket=f"{number}.sock",
        network_id=network_id,
        mac=f"fa:16:3e:00:00:{number:02x}",
        addresses=(address,),
        pairs=pairs,
        is_guarded=is_guarded,
        rules=rules or (ANY_OUT, ANY_IN),
        lease=Lease(address=address, prefix_length=24, server="10.0.0.1", gateway="10.0.0.1", host_name="web"),
    )


class Outlet:
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def put(self, frame: bytes) -> None:
        self.frames.append(frame)

    def taken(self) -> list[bytes]:
        found, self.frames = self.frames, []
        return found


@dataclass
class Cable:
    """A fabric that follows a plan, and the cards on it by their numbers."""

    plan: Plan
    fabric: Fabric = field(init=False)
    outlets: dict[str, Outlet] = field(default_factory=dict)
    requests: list[tuple[Port, Connection, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fabric = Fabric(lambda *asked: self.requests.append(asked), 0.0)
        self.fabric.now = LATER
        self.follow(self.plan)

    def follow(self, plan: Plan) -> None:
        self.plan = plan
        self.fabric.follow(plan, lambda port: self.outlets.setdefault(port.id, Outlet()))

    def send(self, number: int | str, frame: bytes) -> None:
        self.fabric.take(self.fabric.ports[str(number)], frame)

    def got(self, number: int | str) -> list[bytes]:
        """What the card has been sent since it was last asked."""
        return self.outlets[str(number)].taken()

    def mac(self, number: int | str) -> bytes:
        return self.fabric.ports[str(number)].mac

    def header(self, number: int | str, to: bytes) -> bytes:
        return to + self.mac(number) + frames.IPV4

    def udp(self, number: int | str, source: str, destination: str, ports: tuple[int, int] = (1000, 53)) -> bytes:
        data = frames.udp(packed(source), packed(destination), *ports, b"data")
        return self._ip(number, frames.UDP, source, destination, data)

    def tcp(
        self, number: int | str, source: str, destination: str, ports: tuple[int, int], flags: int = frames.SYN
    ) -> bytes:
        segment = frames.Segment(*ports, 1, 1, flags, 1000, b"")
        return self._ip(
            number, frames.TCP, source, destination, frames.tcp(packed(source), packed(destination), segment)
        )

    def echo(self, number: int | str, source: str, destination: str, kind: int = 8, identity: int = 7) -> bytes:
        rest = identity.to_bytes(2, "big") + b"\0\1payload"
        total = frames.checksum(bytes((kind, 0, 0, 0)) + rest).to_bytes(2, "big")
        return self._ip(number, frames.ICMP, source, destination, bytes((kind, 0)) + total + rest)

    def _ip(self, number: int | str, protocol: int, source: str, destination: str, payload: bytes) -> bytes:
        to = self.fabric._segments[self.fabric.ports[str(number)].plan.network_id].mac
        header = self.header(number, to)
        return frames.ipv4(header, protocol, packed(source), packed(destination), payload)


def is_sound(frame: bytes) -> bool:
    """Whether every checksum in it is right."""
    packet = frames.parse_ipv4(frame)
    assert packet is not None
    pseudo = packet.source + packet.destination + bytes((0, packet.protocol)) + len(packet.payload).to_bytes(2, "big")
    whole = packet.payload if packet.protocol == frames.ICMP else pseudo + packet.payload
    return frames.checksum(frame[14:34]) == 0 and frames.checksum(whole) == 0
