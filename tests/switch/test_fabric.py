"""Who reaches whom: every frame is checked against the plan, and nothing a guest says is believed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.switch import dhcp, frames
from stillframe.switch.plan import Pair, Plan, Rule
from tests.switch.cable import ANY_IN, ANY_OUT, LATER, Cable, card, is_sound, network, packed

A, B, C = "10.0.0.2", "10.0.0.3", "10.0.0.4"
SSH_IN = Rule(direction="ingress", protocol=6, low=22, high=22)


def two(*rules_of_b: Rule) -> Cable:
    return Cable(Plan(networks=(network(),), ports=(card(2), card(3, *rules_of_b))))


def test_cards_of_one_network_reach_each_other() -> None:
    cable = two()
    cable.send(2, cable.udp(2, A, B))
    (frame,) = cable.got(3)
    assert (frame[0:6], frame[6:12]) == (cable.mac(3), cable.mac(2))
    assert is_sound(frame)
    cable.send(3, cable.udp(3, B, A, (53, 1000)))
    assert len(cable.got(2)) == 1


def test_networks_without_a_common_router_are_apart_even_with_the_same_addresses() -> None:
    same = network("other")
    ports = (card(2), card(3), card(4, network_id="other", address=B))
    cable = Cable(Plan(networks=(network(), same), ports=ports))
    cable.send(2, cable.udp(2, A, B))
    assert (len(cable.got(3)), len(cable.got(4))) == (1, 0)
    cable.send(4, cable.udp(4, B, A))
    assert cable.got(2) == []


def routed(first: str | None, second: str | None) -> Cable:
    networks = (network("net", router=first), network("far", "10.0.9.0/24", router=second))
    return Cable(Plan(networks=networks, ports=(card(2), card(9, network_id="far", address="10.0.9.9"))))


def test_a_router_joins_its_networks_and_counts_the_hop() -> None:
    cable = routed("r", "r")
    for _ in range(2):  # decided, then by the table
        cable.send(2, cable.udp(2, A, "10.0.9.9"))
        (frame,) = cable.got(9)
        assert (frame[0:6], frame[6:12], frame[22]) == (cable.mac(9), frames.mac_bytes("fa:16:3f:00:00:03"), 63)
        assert is_sound(frame)
    cable.send(9, cable.udp(9, "10.0.9.9", A, (53, 1000)))
    assert cable.got(2)[0][22] == 63


@pytest.mark.parametrize("routers", [(None, None), ("r", None), ("r", "s")])
def test_without_a_common_router_there_is_no_way_and_the_sender_is_told(
    routers: tuple[str | None, str | None],
) -> None:
    cable = routed(*routers)
    cable.send(2, cable.udp(2, A, "10.0.9.9"))
    assert cable.got(9) == []
    (told,) = cable.got(2)
    assert told[34:36] == b"\3\0"
    assert is_sound(told)


def test_a_frame_of_somebody_else_s_is_dropped() -> None:
    cable = Cable(Plan(networks=(network(),), ports=(card(2), card(3), card(4))))
    other_mac = cable.udp(2, A, B)
    cable.send(2, other_mac[:6] + cable.mac(4) + other_mac[12:])
    cable.send(2, cable.udp(2, C, B))
    cable.send(2, cable.udp(2, "8.8.8.8", B))
    assert cable.got(3) == []
    # Nor once a conversation is known.
    cable.send(2, cable.udp(2, A, B))
    cable.send(4, cable.udp(4, A, B))
    cable.send(2, other_mac[:6] + cable.mac(4) + other_mac[12:])
    assert len(cable.got(3)) == 1


def test_address_pairs_and_unguarded_cards_may_speak_for_others() -> None:
    pair = Pair(cidr="10.0.0.200", mac="fa:16:3e:00:00:02")
    cable = Cable(Plan(networks=(network(),), ports=(card(2, pairs=(pair,)), card(3), card(4, is_guarded=False))))
    cable.send(2, cable.udp(2, "10.0.0.200", B))
    cable.send(4, cable.udp(4, "10.7.7.7", B))
    assert len(cable.got(3)) == 2


def test_an_address_that_moves_between_cards_is_found_where_it_last_spoke() -> None:
    pairs = [(Pair(cidr="10.0.0.200", mac=f"fa:16:3e:00:00:0{number}"),) for number in (2, 3)]
    cable = Cable(Plan(networks=(network(),), ports=(card(2, pairs=pairs[0]), card(3, pairs=pairs[1]), card(4))))
    for holder in (2, 3):
        cable.send(holder, arp(cable, holder, "10.0.0.200", "10.0.0.200"))
        assert len(cable.got(4)) == 1
        cable.send(4, cable.udp(4, C, "10.0.0.200", (1000 + holder, 53)))
        assert len(cable.got(holder)) >= 1


def arp(cable: Cable, number: int, sender: str, target: str) -> bytes:
    mac = cable.mac(number)
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + mac + packed(sender) + bytes(6) + packed(target)
    return frames.BROADCAST + mac + frames.ARP + body


def test_arp_is_answered_for_the_gateway_and_passed_to_the_card_that_is_asked() -> None:
    cable = Cable(Plan(networks=(network(),), ports=(card(2), card(3), card(4))))
    for address in ("10.0.0.1", "169.254.169.254"):
        cable.send(2, arp(cable, 2, A, address))
        (reply,) = cable.got(2)
        assert reply[22:32] == frames.mac_bytes("fa:16:3f:00:00:03") + packed(address)
    cable.send(2, arp(cable, 2, A, B))
    assert (len(cable.got(3)), len(cable.got(4))) == (1, 0)
    cable.send(2, arp(cable, 2, C, B))
    cable.send(2, arp(cable, 2, "10.0.0.1", "10.0.0.1"))
    assert cable.got(3) == cable.got(4) == cable.got(2) == []


def test_the_gateway_answers_a_ping() -> None:
    cable = two()
    cable.send(2, cable.echo(2, A, "10.0.0.1"))
    (reply,) = cable.got(2)
    assert (reply[34], is_sound(reply)) == (0, True)


# --- security groups -------------------------------------------------------------------------------------------------


def test_what_no_rule_lets_in_stays_out_and_answers_need_no_rule() -> None:
    cable = two(ANY_OUT)
    cable.send(2, cable.tcp(2, A, B, (1000, 22)))
    assert cable.got(3) == []
    cable.send(3, cable.tcp(3, B, A, (2000, 80)))
    assert len(cable.got(2)) == 1
    cable.send(2, cable.tcp(2, A, B, (80, 2000), frames.SYN | frames.ACK))
    assert len(cable.got(3)) == 1
    cable.send(2, cable.tcp(2, A, B, (81, 2000), frames.ACK))
    assert cable.got(3) == []


def test_a_port_is_open_as_long_as_the_rule_is_there() -> None:
    cable = two(ANY_OUT, SSH_IN)
    cable.send(2, cable.tcp(2, A, B, (1000, 22)))
    cable.send(2, cable.tcp(2, A, B, (1000, 23)))
    assert len(cable.got(3)) == 1
    cable.follow(Plan(networks=(network(),), ports=(card(2), card(3, ANY_OUT))))
    for flags in (frames.ACK, frames.SYN):
        cable.send(2, cable.tcp(2, A, B, (1000, 22), flags))
    # The other side cannot revive it by going on with its half.
    cable.send(3, cable.tcp(3, B, A, (22, 1000), frames.ACK))
    cable.send(2, cable.tcp(2, A, B, (1000, 22), frames.ACK))
    assert cable.got(3) == cable.got(2) == []


def test_conversations_outlive_changes_that_do_not_concern_them() -> None:
    cable = two(ANY_OUT, SSH_IN)
    cable.send(2, cable.tcp(2, A, B, (1000, 22)))
    cable.follow(Plan(networks=(network(),), ports=(card(2), card(3, ANY_OUT, SSH_IN, ANY_IN), card(4))))
    cable.send(2, cable.tcp(2, A, B, (1000, 22), frames.ACK))
    assert len(cable.got(3)) == 2


def test_a_started_switch_takes_up_conversations_for_a_while() -> None:
    cable = two(ANY_OUT, SSH_IN)
    cable.fabric.now = 1.0
    cable.send(2, cable.tcp(2, A, B, (1000, 22), frames.ACK))
    assert len(cable.got(3)) == 1
    cable.fabric.now = LATER
    cable.send(2, cable.tcp(2, A, B, (1001, 22), frames.ACK))
    assert cable.got(3) == []


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        (Rule(direction="ingress", protocol=17, low=50, high=60), True),
        (Rule(direction="ingress", protocol=17, low=54, high=60), False),
        (Rule(direction="ingress", protocol=17), True),
        (Rule(direction="ingress", protocol=6), False),
        (Rule(direction="ingress", remotes=("10.0.0.0/30",)), True),
        (Rule(direction="ingress", remotes=("10.0.0.2",)), True),
        (Rule(direction="ingress", remotes=("10.0.0.4", "10.1.0.0/16")), False),
        (Rule(direction="ingress", remotes=()), False),
        (Rule(direction="egress"), False),
    ],
)
def test_a_rule_means_what_it_says(rule: Rule, *, passes: bool) -> None:
    cable = two(rule)
    cable.send(2, cable.udp(2, A, B))
    assert bool(cable.got(3)) is passes


def test_egress_rules_hold_too() -> None:
    cable = Cable(Plan(networks=(network(),), ports=(card(2, Rule(direction="egress", protocol=6)), card(3))))
    cable.send(2, cable.udp(2, A, B))
    assert cable.got(3) == []
    cable.send(2, cable.tcp(2, A, B, (1, 2)))
    assert len(cable.got(3)) == 1


def test_pings_are_let_in_by_type_and_their_answers_by_number() -> None:
    cable = two(ANY_OUT, Rule(direction="ingress", protocol=1, low=8, high=0))
    cable.send(2, cable.echo(2, A, B))
    assert len(cable.got(3)) == 1
    cable.send(3, cable.echo(3, B, A, kind=0))
    assert len(cable.got(2)) == 1
    cable.send(2, cable.echo(2, A, B, kind=13))
    cable.send(2, cable.echo(2, A, B, kind=0, identity=8))
    assert cable.got(3) == []


def test_an_icmp_error_passes_only_about_something_that_was_sent() -> None:
    cable = two(ANY_OUT)
    cable.send(3, cable.udp(3, B, A, (2000, 53)))
    (sent,) = cable.got(2)
    error = cable._ip(2, frames.ICMP, A, B, frames.unreachable(sent, 3))
    cable.send(2, error)
    assert len(cable.got(3)) == 1
    never_sent = cable._ip(2, frames.ICMP, A, B, frames.unreachable(cable.udp(3, B, A, (2001, 53)), 3))
    cable.send(2, never_sent)
    assert cable.got(3) == []


def test_fragments_follow_their_first_piece() -> None:
    cable = two(ANY_OUT, Rule(direction="ingress", protocol=17, low=53, high=53))

    def piece(offset: int, port: int, number: int, *, more: bool) -> bytes:
        whole = bytearray(cable.udp(2, A, B, (1000, port)))
        whole[18:20] = number.to_bytes(2, "big")
        whole[20:22] = (offset // 8 | (0x2000 if more else 0)).to_bytes(2, "big")
        return bytes(whole)

    for port, number, expected in ((53, 1, 2), (54, 2, 0)):
        cable.send(2, piece(0, port, number, more=True))
        cable.send(2, piece(8, port, number, more=False))
        assert len(cable.got(3)) == expected
    cable.send(2, piece(8, 53, 3, more=False))
    assert cable.got(3) == []


def test_broadcasts_stay_in_their_network_and_obey_the_rules() -> None:
    ports = (card(2), card(3), card(4, ANY_OUT), card(9, network_id="far", address="10.0.9.9"))
    cable = Cable(Plan(networks=(network(), network("far", "10.0.9.0/24")), ports=ports))
    for address in ("10.0.0.255", "255.255.255.255", "224.0.0.251"):
        cable.send(2, cable.udp(2, A, address))
        assert [len(cable.got(number)) for number in (2, 3, 4, 9)] == [0, 1, 0, 0], address


def test_only_ipv4_and_arp_pass() -> None:
    cable = two()
    for kind in (b"\x86\xdd", b"\x81\x00", b"\x88\xcc"):
        cable.send(2, cable.mac(3) + cable.mac(2) + kind + bytes(60))
    assert cable.got(3) == []


def test_silent_conversations_are_forgotten_and_a_card_begins_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillframe.switch.fabric.MAX_BEGUN_BY_PORT", 10)
    cable = Cable(Plan(networks=(network(),), ports=(card(2), card(3), card(4))))
    cable.send(4, cable.tcp(4, C, B, (900, 22)))
    for port in range(100):
        cable.send(2, cable.udp(2, A, B, (1000 + port, 53)))
    assert [len(cable.fabric.ports[number].flows) for number in "23"] == [10, 11]
    cable.got(4)
    cable.send(3, cable.tcp(3, B, C, (22, 900), frames.SYN | frames.ACK))
    assert len(cable.got(4)) == 1, "a conversation of others is not pushed out"
    cable.fabric.now += 10_000
    cable.fabric.sweep()
    assert [len(cable.fabric.ports[number].flows) for number in "234"] == [0, 0, 0]


def test_nothing_is_kept_for_cards_that_are_gone() -> None:
    cable = two()
    cable.send(2, cable.udp(2, A, B))
    cable.send(3, cable.udp(3, B, A, (7, 7)))
    cable.follow(Plan(networks=(network(),), ports=(card(3),)))
    port = cable.fabric.ports["3"]
    assert (port.flows, port.begun) == ({}, {})


@given(st.binary(max_size=200), st.integers(0, 7))
def test_no_frame_breaks_the_switch(data: bytes, start: int) -> None:
    cable = two()
    whole = cable.udp(2, A, B)[: 14 + 5 * start]
    cable.send(2, data)
    cable.send(2, whole + data)
    cable.send(2, frames.BROADCAST + cable.mac(2) + frames.ARP + data)
    cable.send(2, frames.BROADCAST + cable.mac(2) + frames.IPV4 + data)


# --- DHCP ------------------------------------------------------------------------------------------------------------


def dhcp_message(cable: Cable, kind: int, *options: tuple[int, bytes]) -> bytes:
    mac = cable.mac(2)
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0) + bytes(16) + mac + bytes(10 + 192) + b"\x63\x82\x53\x63"
    told = b"".join(bytes((code, len(value))) + value for code, value in ((53, bytes((kind,))), *options))
    data = frames.udp(bytes(4), b"\xff" * 4, 68, 67, head + told + b"\xff")
    return frames.ipv4(frames.BROADCAST + mac + frames.IPV4, frames.UDP, bytes(4), b"\xff" * 4, data)


def test_dhcp_offers_and_grants_what_the_plan_says() -> None:
    cable = two()
    cable.send(2, dhcp_message(cable, 1))
    cable.send(2, dhcp_message(cable, 3, (50, packed(A)), (54, packed("10.0.0.1"))))
    cable.send(2, dhcp_message(cable, 3, (50, packed("10.0.0.99")), (54, packed("10.0.0.1"))))
    cable.send(2, dhcp_message(cable, 3, (50, packed(A)), (54, packed("10.0.0.77"))))
    replies = cable.got(2)
    assert all(is_sound(frame) for frame in replies)
    payloads = [frame[42:] for frame in replies]
    kinds = [dhcp._options(payload[240:])[53][0] for payload in payloads]
    assert kinds == [2, 5, 6]
    options = dhcp._options(payloads[1][240:])
    assert payloads[1][16:20] == packed(A)
    assert (options[1], options[3], options[12]) == (packed("255.255.255.0"), packed("10.0.0.1"), b"web")
    assert cable.got(3) == []


def test_dhcp_is_the_network_s_and_no_guest_s() -> None:
    cable = Cable(Plan(networks=(network(), network("other")), ports=(card(2), card(3), card(4, network_id="other"))))
    cable.send(2, dhcp_message(cable, 1))
    assert [len(cable.got(number)) for number in (2, 3, 4)] == [1, 0, 0]
    of_another = dhcp_message(cable, 1).replace(cable.mac(2), cable.mac(3))
    cable.send(2, of_another)
    cable.send(2, of_another[:6] + cable.mac(2) + of_another[12:])
    for destination in (B, "255.255.255.255", "10.0.0.255"):
        cable.send(2, cable.udp(2, A, destination, (67, 68)))
    assert [len(cable.got(number)) for number in (2, 3, 4)] == [0, 0, 0]
