"""What happens to a frame: who it may come from, where it goes, whether it may go there.

    frame from a card ──► is it the card's own? ──► known conversation? ──yes──► on to the other card
                                │                        │ no
                                │                        ├─ ARP, DHCP, 169.254.169.254, the gateway: answered here
                                │                        ├─ rules out of the one, rules into the other ──► remembered
                                ▼                        ▼
                              dropped                  dropped

Unicast is carried by its IP address alone: the plan says which card has it, so nothing is learned that a guest could
lie about. Only IPv4 and ARP pass. Cards of different networks meet only where one router joins their subnets.
"""

import ipaddress
from collections.abc import Callable

from stillframe.switch import dhcp, frames
from stillframe.switch.cards import (
    NOBODY,
    UPLINK,
    UPLINK_MAC,
    Flow,
    Outlet,
    Port,
    Segment,
    Uplink,
    fragment_key,
    key_of,
    reversed_key,
    swapped,
)
from stillframe.switch.frames import ARP, BROADCAST, IPV4, Packet
from stillframe.switch.plan import Plan, PortPlan
from stillframe.switch.routing import Routing, Way
from stillframe.switch.rules import passes
from stillframe.switch.tcpserver import Connection, TcpServer

METADATA = bytes((169, 254, 169, 254))
MAX_FRAME = 1514
MAX_BEGUN_BY_PORT = 10_000
TCP_IDLE_S = 3600.0
OTHER_IDLE_S = 120.0
FRAGMENT_S = 10.0
_NO_NETWORK, _NO_HOST = 0, 1
GRACE_S = 60.0
"""How long after the start of the switch a conversation may be taken up in its middle."""


class Fabric:
    """All networks. `now` is told by whoever runs it, so that time is looked at once for many frames."""

    def __init__(self, ask: Callable[[Port, Connection, bytes], None], now: float) -> None:
        self._ask = ask
        self.now = now
        self._grace_until = now + GRACE_S
        self.uplink: Uplink | None = None
        self.ports: dict[str, Port] = {}
        self._segments: dict[str, Segment] = {}
        self._routing = Routing(Plan(), {})

    def follow(self, plan: Plan, outlet_of: Callable[[PortPlan], Outlet]) -> None:
        """From now on this plan. Conversations that it no longer allows end."""
        segments = {network.id: Segment(network) for network in plan.networks}
        ports: dict[str, Port] = {}
        for wanted in plan.ports:
            port = self.ports.get(wanted.id)
            if port is None:
                port = self._new_port(wanted, outlet_of(wanted))
            else:
                port.follow(wanted)
            ports[wanted.id] = port
            segment = segments[wanted.network_id]
            segment.ports.append(port)
            segment.by_address |= dict.fromkeys(port.addresses, port)
        for network_id, segment in segments.items():
            old = self._segments.get(network_id)
            known = {} if old is None else old.moved
            segment.moved = {address: port for address, port in known.items() if port in segment.ports}
        gone = [port for port_id, port in self.ports.items() if port_id not in ports]
        self.ports, self._segments = ports, segments
        self._routing = Routing(plan, segments)
        old_uplink = self.uplink
        self._follow_uplink(plan, outlet_of)
        if old_uplink is not None and self.uplink is None:
            gone.append(old_uplink.port)
        for port in gone:
            for flow in list(port.begun.values()):
                self._end(port, flow)
        for port in self._everybody():
            self._recheck(port)

    def _everybody(self) -> list[Port]:
        return [*self.ports.values(), *([self.uplink.port] if self.uplink else [])]

    def _follow_uplink(self, plan: Plan, outlet_of: Callable[[PortPlan], Outlet]) -> None:
        if plan.uplink is None:
            self.uplink = None
            return
        if self.uplink is None:
            as_port = PortPlan(
                id=UPLINK,
                server_id="",
                socket=plan.uplink.socket,
                network_id=UPLINK,
                mac=plan.uplink.mac,
                addresses=(),
                is_guarded=False,
            )
            self.uplink = Uplink(self._new_port(as_port, outlet_of(as_port)))
        self.uplink.follow(plan.uplink, self.ports.values())

    def _new_port(self, plan: PortPlan, outlet: Outlet) -> Port:
        port = Port(plan, outlet, TcpServer(lambda connection, request: self._ask(port, connection, request)))
        return port

    def _recheck(self, port: Port) -> None:
        """Looks at the conversations which this card began; both directions of a forbidden one go."""
        for flow in list(port.begun.values()):
            if flow.is_allowed is not None and not flow.is_allowed():
                self._end(port, flow)

    @staticmethod
    def _end(port: Port, flow: Flow) -> None:
        port.flows.pop(flow.key, None)
        port.begun.pop(flow.key, None)
        if flow.twin is not None:
            flow.port.flows.pop(flow.twin.key, None)

    # --- frames ------------------------------------------------------------------------------------------------------

    def take(self, port: Port, frame: bytes) -> None:
        """A frame that a card has sent. This is the only function that runs for every frame, so it is written out."""
        if frame[12:14] == IPV4 and len(frame) >= 38 and frame[14] == 0x45 and not (frame[20] & 0x3F or frame[21]):
            flow = port.flows.get(frame[23:24] + frame[26:38])
            if flow is not None and frame[6:12] == port.mac and frame[22] > 1:
                flow.seen = self.now
                flow.outlet.put(flow.header + (frame[14:] if flow.change is None else flow.change(frame)))
                return
        self._consider(port, frame)

    def _consider(self, port: Port, frame: bytes) -> None:
        if self.uplink is not None and port is self.uplink.port:
            self._take_from_outside(self.uplink, frame)
            return
        if not 34 <= len(frame) <= MAX_FRAME or (port.plan.is_guarded and frame[6:12] not in port.macs):
            return
        segment = self._segments[port.plan.network_id]
        if frame[12:14] == ARP:
            self._take_arp(port, segment, frame)
        elif frame[12:14] == IPV4:
            packet = frames.parse_ipv4(frame)
            if packet is not None:
                self._take_packet(port, segment, frame, packet)

    def _take_arp(self, port: Port, segment: Segment, frame: bytes) -> None:
        arp = frames.parse_arp(frame)
        if arp is None or arp.sender_mac != frame[6:12] or not (arp.sender == NOBODY or port.may_speak_as(arp.sender)):
            return
        if arp.sender not in port.addresses and port.has_pair_for(arp.sender):
            segment.moved[arp.sender] = port
        if arp.target == METADATA or arp.target in segment.gateways:
            if arp.operation == frames.ARP_REQUEST and arp.sender != arp.target:
                port.outlet.put(frames.arp_reply(arp, segment.mac))
            return
        for other in segment.ports:
            is_asked = arp.target in other.addresses or other.has_pair_for(arp.target)
            if other is not port and (is_asked or arp.sender == arp.target or not other.plan.is_guarded):
                other.outlet.put(frame)

    def _take_packet(self, port: Port, segment: Segment, frame: bytes, packet: Packet) -> None:
        if packet.protocol == frames.UDP and packet.payload[2:4] == b"\0C" and packet.payload[0:2] == b"\0D":
            self._answer_dhcp(port, segment, packet)
            return
        if not port.may_speak_as(packet.source) or (port.plan.is_guarded and _is_from_dhcp_server(packet)):
            return
        if packet.destination == METADATA:
            self._take_metadata(port, segment, packet)
        elif packet.destination in segment.gateways:
            self._answer_ping(port, segment, packet)
        elif packet.destination in segment.broadcasts or packet.destination[0] & 0xF0 == 0xE0:
            self._flood(port, segment, frame, packet)
        else:
            self._carry(port, segment, frame, packet)

    # --- answered here -----------------------------------------------------------------------------------------------

    def _answer_dhcp(self, port: Port, segment: Segment, packet: Packet) -> None:
        lease = port.plan.lease
        reply = dhcp.answer(packet.payload[8:], port.mac, lease) if lease else None
        if reply is None or lease is None:
            return
        server = ipaddress.IPv4Address(lease.server).packed
        everybody = BROADCAST[:4]
        segment_data = frames.udp(server, everybody, dhcp.SERVER_PORT, dhcp.CLIENT_PORT, reply)
        header = port.mac + segment.mac + IPV4
        port.outlet.put(frames.ipv4(header, frames.UDP, server, everybody, segment_data))

    def _take_metadata(self, port: Port, segment: Segment, packet: Packet) -> None:
        header = port.mac + segment.mac + IPV4

        def send(answer: frames.Segment, options: bytes) -> None:
            data = frames.tcp(METADATA, packet.source, answer, options)
            port.outlet.put(frames.ipv4(header, frames.TCP, METADATA, packet.source, data))

        if packet.protocol == frames.TCP and not packet.offset and not packet.more:
            tcp = frames.parse_tcp(packet.payload)
            if tcp is not None and tcp.destination_port == 80 and packet.source in port.addresses:
                port.server.receive(packet.source, tcp, send, self.now)
        else:
            self._answer_ping(port, segment, packet)

    def _answer_ping(self, port: Port, segment: Segment, packet: Packet) -> None:
        reply = frames.echo_reply(packet.payload) if packet.protocol == frames.ICMP and not packet.more else None
        if reply is not None:
            header = port.mac + segment.mac + IPV4
            port.outlet.put(frames.ipv4(header, frames.ICMP, packet.destination, packet.source, reply))

    # --- carried on --------------------------------------------------------------------------------------------------

    def _flood(self, port: Port, segment: Segment, frame: bytes, packet: Packet) -> None:
        for other in segment.ports:
            if other is not port and self._may_pass(
                port, other, packet.source, packet.destination, packet.protocol, packet.payload
            ):
                other.outlet.put(frame)

    def _carry(self, port: Port, segment: Segment, frame: bytes, packet: Packet) -> None:
        way = self._way(port, packet.source, packet.destination)
        if way is None:
            if self._leads_out(port, packet):
                self._leave(port, frame, packet)
            else:
                self._refuse(port, segment, frame, packet, _NO_NETWORK)
            return
        if way.is_routed and packet.ttl <= 1:
            return
        if way.port is None:
            if way.is_routed:
                self._refuse(port, segment, frame, packet, _NO_HOST)
            return
        if packet.offset:
            self._carry_fragment(port, frame, packet)
            return
        flow = self._flow(port, way, way.port, packet)
        if flow is not None:
            self._pass(port, flow, frame, packet)

    def _pass(self, port: Port, flow: Flow, frame: bytes, packet: Packet) -> None:
        flow.seen = self.now
        flow.outlet.put(flow.header + (frame[14:] if flow.change is None else flow.change(frame)))
        if packet.more:
            port.fragments[fragment_key(packet)] = (flow, self.now + FRAGMENT_S)

    def _carry_fragment(self, port: Port, frame: bytes, packet: Packet) -> None:
        """It has no ports, so it goes where its first piece went, which guests send first."""
        flow, until = port.fragments.get(fragment_key(packet), (None, 0.0))
        if flow is not None and self.now < until:
            flow.outlet.put(flow.header + (frame[14:] if flow.change is None else flow.change(frame)))

    def _way(self, port: Port, source: bytes, destination: bytes) -> Way | None:
        """To the card that has an address, as far as the sender's network and its router reach; None beyond that."""
        segment = self._segments[port.plan.network_id]
        found = segment.find(destination)
        if found is not None or segment.is_local(destination):
            return Way(found, destination, is_routed=False)
        router_id = segment.router_of(source) or segment.router_of(port.first_address)
        return self._routing.find(router_id, source, destination)

    def _leads_back(self, port: Port, way: Way, source: bytes, destination: bytes) -> bool:
        """Whether an answer would come back by itself; a card that routes for others may have to be let do so."""
        if not way.is_routed or way.port is None:
            return True
        back = self._way(way.port, destination, source)
        return back is not None and back.port is port and way.port.may_speak_as(destination)

    def _flow(self, port: Port, way: Way, target: Port, packet: Packet) -> Flow | None:
        """The conversation that a packet belongs to, or begins; None when it may not."""
        key = key_of(packet)
        known = port.flows.get(key)
        if known is not None:
            return known
        if packet.protocol == frames.ICMP and self._answers_a_flow(port, packet):
            return self._remembered(port, way, target, packet, is_lasting=False)
        if packet.protocol == frames.TCP and not self._may_begin(packet):
            return None
        if not self._may_pass(port, target, packet.source, packet.destination, packet.protocol, packet.payload):
            return None
        is_lasting = self._leads_back(port, way, packet.source, packet.destination)
        return self._remembered(port, way, target, packet, is_lasting=is_lasting)

    def _may_begin(self, packet: Packet) -> bool:
        flags = packet.payload[13] if len(packet.payload) > 13 else 0
        return flags & (frames.SYN | frames.ACK) == frames.SYN or self.now < self._grace_until

    @staticmethod
    def _answers_a_flow(port: Port, packet: Packet) -> bool:
        """An ICMP error that quotes a packet which had come this way."""
        quoted = packet.payload[8:]
        if packet.payload[:1] not in {b"\x03", b"\x0b"} or len(quoted) < 28:
            return False
        inner = frames.parse_ipv4(bytes(14) + quoted[:2] + len(quoted).to_bytes(2, "big") + quoted[4:])
        if inner is None:
            return False
        back = bytes((inner.protocol,)) + inner.destination + inner.source + swapped(inner.payload[:4])
        return back in port.flows and inner.source == packet.destination

    def _may_pass(
        self, port: Port, target: Port, source: bytes, destination: bytes, protocol: int, payload: bytes
    ) -> bool:
        """Out of the one and into the other, by the rules of both."""
        return (not port.plan.is_guarded or passes(port.egress, protocol, destination, payload)) and (
            not target.plan.is_guarded or passes(target.ingress, protocol, source, payload)
        )

    def _remembered(self, port: Port, way: Way, target: Port, packet: Packet, *, is_lasting: bool) -> Flow:
        """Both directions of a conversation, so that the answer needs no rule."""
        key, source, destination, payload = key_of(packet), packet.source, packet.destination, packet.payload[:4]
        change = frames.with_one_hop_less if way.is_routed else None
        there, here = self._segments[target.plan.network_id], self._segments[port.plan.network_id]
        out_header = self._mac_at(target, way.hop) + (there.mac if way.is_routed else port.mac) + IPV4

        def is_allowed() -> bool:
            return (
                self._way(port, source, destination) == way
                and self._leads_back(port, way, source, destination)
                and port.may_speak_as(source)
                and self._may_pass(port, target, source, destination, packet.protocol, payload)
            )

        forth = Flow(key, target, out_header, change, is_allowed)
        if not is_lasting:
            return forth
        back_header = self._mac_at(port, source) + (here.mac if way.is_routed else target.mac) + IPV4
        return self._keep(port, forth, Flow(reversed_key(key), port, back_header, change))

    def _keep(self, port: Port, forth: Flow, back: Flow) -> Flow:
        """Puts both directions into their tables."""
        forth.twin, back.twin = back, forth
        forth.seen = back.seen = self.now
        if len(port.begun) >= MAX_BEGUN_BY_PORT:
            self._end(port, next(iter(port.begun.values())))
        port.flows[forth.key] = port.begun[forth.key] = forth
        forth.port.flows[back.key] = back
        return forth

    @staticmethod
    def _mac_at(port: Port, address: bytes) -> bytes:
        """The card's own name, or the one its address pair goes by."""
        if address in port.addresses:
            return port.mac
        number = int.from_bytes(address, "big")
        return next((mac for start, mask, mac in port.pairs if number & mask == start), port.mac)

    # --- the outside -------------------------------------------------------------------------------------------------

    def _leads_out(self, port: Port, packet: Packet) -> bool:
        """Whether the outside is where a packet goes, and knows who sends it."""
        uplink = self.uplink
        if uplink is None or port.plan.inner is None or packet.source != uplink.own_address(port):
            return False
        return uplink.is_open(packet.destination) and (port.plan.may_leave or key_of(packet) in port.flows)

    def _leave(self, port: Port, frame: bytes, packet: Packet) -> None:
        uplink = self.uplink
        if uplink is None or packet.ttl <= 1:
            return
        if packet.offset:
            self._carry_fragment(port, frame, packet)
            return
        flow = port.flows.get(key_of(packet)) or self._new_way_out(uplink, port, packet)
        if flow is not None:
            self._pass(port, flow, frame, packet)

    def _new_way_out(self, uplink: "Uplink", port: Port, packet: Packet) -> Flow | None:
        destination, payload = packet.destination, packet.payload[:4]

        def is_allowed() -> bool:
            return (
                self.uplink is uplink
                and port.plan.may_leave
                and uplink.own_address(port) == packet.source
                and (not port.plan.is_guarded or passes(port.egress, packet.protocol, destination, payload))
            )

        if (packet.protocol == frames.TCP and not self._may_begin(packet)) or not is_allowed():
            return None
        return self._keep(port, *uplink.ways(port, self._segments[port.plan.network_id], key_of(packet), is_allowed))

    def _take_from_outside(self, uplink: "Uplink", frame: bytes) -> None:
        if frame[12:14] == ARP:
            arp = frames.parse_arp(frame)
            if arp is not None and arp.operation == frames.ARP_REQUEST and arp.target in uplink.by_inner:
                uplink.port.outlet.put(frames.arp_reply(arp, frames.mac_bytes(UPLINK_MAC)))
            return
        packet = frames.parse_ipv4(frame) if frame[12:14] == IPV4 else None
        port = uplink.by_inner.get(packet.destination) if packet else None
        if packet is None or port is None or packet.ttl <= 1:
            return
        if packet.offset:
            self._carry_fragment(uplink.port, frame, packet)
            return
        flow = uplink.port.flows.get(key_of(packet)) or self._new_way_in(uplink, port, packet)
        if flow is not None:
            self._pass(uplink.port, flow, frame, packet)

    def _new_way_in(self, uplink: "Uplink", port: Port, packet: Packet) -> Flow | None:
        source, payload = packet.source, packet.payload[:4]

        def is_allowed() -> bool:
            return uplink.by_inner.get(packet.destination) is port and (
                not port.plan.is_guarded or passes(port.ingress, packet.protocol, source, payload)
            )

        if (packet.protocol == frames.TCP and not self._may_begin(packet)) or not is_allowed():
            return None
        key = key_of(packet)
        out_key = key[:1] + uplink.own_address(port) + key[1:5] + swapped(key[9:13]) + key[13:]
        back, forth = uplink.ways(port, self._segments[port.plan.network_id], out_key, None)
        forth.is_allowed = is_allowed
        return self._keep(uplink.port, forth, back)

    def _refuse(self, port: Port, segment: Segment, frame: bytes, packet: Packet, code: int) -> None:
        """Tells a guest that there is no way, so that it need not wait. Never about an error message."""
        if packet.protocol == frames.ICMP and packet.payload[:1] != b"\x08":
            return
        if not segment.gateways or packet.offset:
            return
        gateway = min(segment.gateways)
        header = port.mac + segment.mac + IPV4
        port.outlet.put(frames.ipv4(header, frames.ICMP, gateway, packet.source, frames.unreachable(frame, code)))

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Several times a second while `is_busy`: sends again what guests did not acknowledge."""
        self.now = now
        for port in self.ports.values():
            port.server.tick(now)

    def sweep(self) -> None:
        """Now and then: forgets conversations that have been silent for long."""
        for port in self._everybody():
            for flow in list(port.begun.values()):
                idle_s = TCP_IDLE_S if flow.protocol == frames.TCP else OTHER_IDLE_S
                if self.now - max(flow.seen, flow.twin.seen if flow.twin else 0.0) > idle_s:
                    self._end(port, flow)
            port.fragments = {key: kept for key, kept in port.fragments.items() if kept[1] > self.now}

    @property
    def is_busy(self) -> bool:
        return any(port.server.is_busy for port in self.ports.values())


def _is_from_dhcp_server(packet: Packet) -> bool:
    """No guest tells its neighbours who they are, whatever their security groups let in."""
    return packet.protocol == frames.UDP and not packet.offset and packet.payload[0:4] == b"\0C\0D"
