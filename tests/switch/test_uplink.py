"""The way out: cards go by inner addresses there, and the host itself is never reached."""

import msgspec

from stillframe.switch import frames
from stillframe.switch.plan import Plan, PortPlan, Rule, UplinkPlan
from tests.switch.cable import ANY_IN, ANY_OUT, Cable, card, is_sound, network, packed

A, OUT, INNER = "10.0.0.2", "93.184.216.34", "198.18.1.0"
HOST_MAC = "52:55:c6:12:00:02"
UPLINK = UplinkPlan(
    socket="up.sock", mac=HOST_MAC, name_server="198.18.0.3", closed=("198.18.0.0/16", "127.0.0.0/8", "10.9.0.1/32")
)


def known_outside(port: PortPlan, *, may_leave: bool = True) -> PortPlan:
    return msgspec.structs.replace(port, inner=INNER, may_leave=may_leave)


def cable(*rules: Rule, may_leave: bool = True) -> Cable:
    first = known_outside(card(2, *rules), may_leave=may_leave)
    return Cable(Plan(networks=(network(),), ports=(first, card(3)), uplink=UPLINK))


def outside(plugged: Cable) -> list[bytes]:
    return plugged.outlets["uplink"].taken()


def from_outside(plugged: Cable, frame: bytes) -> None:
    assert plugged.fabric.uplink is not None
    plugged.fabric.take(plugged.fabric.uplink.port, frame)


def reply(protocol: int, source: str, payload: bytes) -> bytes:
    header = frames.mac_bytes("fa:16:3f:ff:ff:ff") + frames.mac_bytes(HOST_MAC) + frames.IPV4
    return frames.ipv4(header, protocol, packed(source), packed(INNER), payload)


def test_what_leaves_goes_by_the_inner_address_and_comes_back() -> None:
    plugged = cable(ANY_OUT)
    for _ in range(2):
        plugged.send(2, plugged.udp(2, A, OUT))
        (frame,) = outside(plugged)
        packet = frames.parse_ipv4(frame)
        assert packet is not None
        assert (packet.source, packet.destination) == (packed(INNER), packed(OUT))
        assert (frame[0:6], packet.ttl, is_sound(frame)) == (frames.mac_bytes(HOST_MAC), 63, True)
        from_outside(plugged, reply(17, OUT, frames.udp(packed(OUT), packed(INNER), 53, 1000, b"answer")))
        (frame,) = plugged.got(2)
        packet = frames.parse_ipv4(frame)
        assert packet is not None
        assert (packet.source, packet.destination, is_sound(frame)) == (packed(OUT), packed(A), True)
    plugged.send(2, plugged.tcp(2, A, OUT, (1000, 80)))
    assert is_sound(outside(plugged)[0])
    plugged.send(2, plugged.echo(2, A, OUT))
    assert is_sound(outside(plugged)[0])


def test_the_host_itself_is_never_reached_but_its_name_server_is() -> None:
    plugged = cable()
    for address in ("198.18.0.2", "127.0.0.1", "10.9.0.1", "198.18.1.1"):
        plugged.send(2, plugged.udp(2, A, address))
        assert outside(plugged) == [], address
    plugged.send(2, plugged.udp(2, A, "198.18.0.3"))
    assert len(outside(plugged)) == 1


def test_who_may_not_leave_is_told() -> None:
    for plugged in (cable(may_leave=False), cable(ANY_IN)):
        plugged.send(2, plugged.udp(2, A, OUT))
        assert outside(plugged) == []
    plugged = cable()
    plugged.send(3, plugged.udp(3, "10.0.0.3", OUT))
    assert (outside(plugged), len(plugged.got(3))) == ([], 1)


def test_what_comes_in_needs_a_rule_and_is_answered_without_one() -> None:
    ssh = Rule(direction="ingress", protocol=6, low=22, high=22)
    plugged = cable(ssh, may_leave=False)
    for port, expected in ((22, 1), (23, 0)):
        opening = frames.Segment(4000, port, 1, 0, frames.SYN, 1000, b"")
        from_outside(plugged, reply(6, "198.18.0.2", frames.tcp(packed("198.18.0.2"), packed(INNER), opening)))
        got = plugged.got(2)
        assert len(got) == expected
        assert all(is_sound(frame) for frame in got)
    plugged.send(2, plugged.tcp(2, A, "198.18.0.2", (22, 4000), frames.SYN | frames.ACK))
    (frame,) = outside(plugged)
    assert is_sound(frame)
    plugged.send(2, plugged.tcp(2, A, "198.18.0.2", (22, 4001), frames.SYN | frames.ACK))
    plugged.send(2, plugged.tcp(2, A, "198.18.0.2", (22, 4001)))
    assert outside(plugged) == []
    plan = plugged.plan
    plugged.follow(msgspec.structs.replace(plan, ports=(known_outside(card(2, ANY_OUT), may_leave=False),)))
    plugged.send(2, plugged.tcp(2, A, "198.18.0.2", (22, 4000), frames.ACK))
    assert outside(plugged) == []


def test_the_stack_is_told_where_cards_are() -> None:
    plugged = cable()
    body = b"\0\1\x08\0\6\4\0\1" + frames.mac_bytes(HOST_MAC) + packed("198.18.0.2") + bytes(6)
    for address, expected in ((INNER, 1), ("198.18.1.9", 0)):
        from_outside(plugged, frames.BROADCAST + frames.mac_bytes(HOST_MAC) + frames.ARP + body + packed(address))
        assert len(outside(plugged)) == expected


def test_without_an_uplink_nothing_leaves() -> None:
    plugged = cable()
    plugged.send(2, plugged.udp(2, A, OUT))
    outside(plugged)
    plugged.follow(msgspec.structs.replace(plugged.plan, uplink=None))
    plugged.send(2, plugged.udp(2, A, OUT))
    assert outside(plugged) == []
