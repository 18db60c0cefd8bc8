"""Frames of Ethernet, ARP, IPv4, UDP, TCP and ICMP: read and made. Pure.

A frame as it is on the wire; offsets of an IPv4 header without options are written out, since that is all the fast path
looks at: 12 type, 14 version, 20 fragment, 22 time to live, 23 protocol, 26 source, 30 destination, 34 ports.
"""

import struct

import msgspec

ARP = b"\x08\x06"
IPV4 = b"\x08\x00"
BROADCAST = b"\xff" * 6
ICMP, TCP, UDP = 1, 6, 17
ARP_REQUEST, ARP_REPLY = 1, 2
MTU = 1500
_ARP_START = b"\x00\x01\x08\x00\x06\x04"


def mac_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): the number modulo 65535 is the folded sum."""
    if len(data) & 1:
        data += b"\0"
    total = int.from_bytes(data, "big") % 65535
    return (~total & 0xFFFF) if total or not any(data) else 0


class Arp(msgspec.Struct, frozen=True):
    operation: int
    sender_mac: bytes
    sender: bytes
    target_mac: bytes
    target: bytes


def parse_arp(frame: bytes) -> Arp | None:
    if len(frame) < 42 or frame[14:20] != _ARP_START:
        return None
    return Arp(int.from_bytes(frame[20:22], "big"), frame[22:28], frame[28:32], frame[32:38], frame[38:42])


def arp_reply(to: Arp, mac: bytes) -> bytes:
    """`mac` says that it has the address asked for."""
    body = _ARP_START + struct.pack(">H", ARP_REPLY) + mac + to.target + to.sender_mac + to.sender
    return to.sender_mac + mac + ARP + body


class Packet(msgspec.Struct, frozen=True):
    """An IPv4 packet. `payload` is cut where the header says; of a fragment it is that piece."""

    ttl: int
    protocol: int
    source: bytes
    destination: bytes
    payload: bytes
    fragment_id: bytes
    offset: int
    more: bool
    header_length: int


def parse_ipv4(frame: bytes) -> Packet | None:
    """None for what is malformed."""
    if len(frame) < 34 or frame[14] >> 4 != 4:
        return None
    header_length = (frame[14] & 0xF) * 4
    total = int.from_bytes(frame[16:18], "big")
    if header_length < 20 or total < header_length or len(frame) < 14 + total:
        return None
    fragment = int.from_bytes(frame[20:22], "big")
    return Packet(
        ttl=frame[22],
        protocol=frame[23],
        source=frame[26:30],
        destination=frame[30:34],
        payload=frame[14 + header_length : 14 + total],
        fragment_id=frame[18:20],
        offset=(fragment & 0x1FFF) * 8,
        more=bool(fragment & 0x2000),
        header_length=header_length,
    )


def ipv4(header: bytes, protocol: int, source: bytes, destination: bytes, payload: bytes) -> bytes:
    """A whole frame; `header` is that of Ethernet, its fourteen bytes."""
    start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol)
    total = checksum(start + b"\0\0" + source + destination)
    return header + start + total.to_bytes(2, "big") + source + destination + payload


def _transport_checksum(protocol: int, source: bytes, destination: bytes, segment: bytes) -> bytes:
    pseudo = source + destination + struct.pack(">BBH", 0, protocol, len(segment))
    return checksum(pseudo + segment).to_bytes(2, "big")


def udp(source: bytes, destination: bytes, source_port: int, destination_port: int, data: bytes) -> bytes:
    """A UDP segment."""
    start = struct.pack(">HHH", source_port, destination_port, 8 + len(data))
    total = _transport_checksum(UDP, source, destination, start + b"\0\0" + data)
    return start + (total if total != b"\0\0" else b"\xff\xff") + data


class Segment(msgspec.Struct, frozen=True):
    """A TCP segment, without its options but the largest segment its sender takes."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledged: int
    flags: int
    window: int
    data: bytes
    max_segment: int = 536


FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def parse_tcp(payload: bytes) -> Segment | None:
    if len(payload) < 20 or (length := (payload[12] >> 4) * 4) < 20 or len(payload) < length:
        return None
    source, destination, sequence, acknowledged, _, flags, window = struct.unpack(">HHIIBBH", payload[:16])
    return Segment(
        source, destination, sequence, acknowledged, flags, window, payload[length:], _max_segment(payload[20:length])
    )


def _max_segment(options: bytes) -> int:
    position = 0
    while position + 4 <= len(options) and options[position]:
        if options[position] == 1:
            position += 1
            continue
        if options[position] == 2:
            return max(64, int.from_bytes(options[position + 2 : position + 4], "big"))
        position += max(2, options[position + 1])
    return 536


def tcp(source: bytes, destination: bytes, segment: Segment, options: bytes = b"") -> bytes:
    start = struct.pack(
        ">HHIIBBH",
        segment.source_port,
        segment.destination_port,
        segment.sequence & 0xFFFFFFFF,
        segment.acknowledged & 0xFFFFFFFF,
        (5 + len(options) // 4) << 4,
        segment.flags,
        segment.window,
    )
    rest = b"\0\0" + options + segment.data
    total = _transport_checksum(TCP, source, destination, start + b"\0\0" + rest)
    return start + total + rest


def echo_reply(payload: bytes) -> bytes | None:
    """To an echo request; None to any other ICMP message."""
    if len(payload) < 8 or payload[:2] != b"\x08\0":
        return None
    rest = payload[4:]
    return b"\0\0" + checksum(b"\0\0\0\0" + rest).to_bytes(2, "big") + rest


def unreachable(frame: bytes, code: int) -> bytes:
    """ICMP "destination unreachable" about a frame: 0 network, 1 host, 13 forbidden."""
    quoted = frame[14 : 14 + (frame[14] & 0xF) * 4 + 8]
    body = b"\0\0\0\0" + quoted
    start = bytes((3, code))
    return start + checksum(start + b"\0\0" + body).to_bytes(2, "big") + body


def with_one_hop_less(frame: bytes) -> bytes:
    """The time to live one lower and the checksum mended (RFC 1624); the Ethernet header is left out."""
    total = int.from_bytes(frame[24:26], "big") + 0x0100
    total = (total + (total >> 16)) & 0xFFFF
    return frame[14:22] + bytes((frame[22] - 1,)) + frame[23:24] + total.to_bytes(2, "big") + frame[26:]


def with_source(frame: bytes, address: bytes) -> bytes:
    """From another address, one hop on; every checksum mended. The Ethernet header is left out."""
    return _readdressed(with_one_hop_less(frame), 12, address)


def with_destination(frame: bytes, address: bytes) -> bytes:
    """To another address, one hop on."""
    return _readdressed(with_one_hop_less(frame), 16, address)


def _readdressed(packet: bytes, position: int, address: bytes) -> bytes:
    changed = bytearray(packet)
    old = packet[position : position + 4]
    changed[position : position + 4] = address
    difference = _difference(old, address)
    _mend(changed, 10, difference)
    header = (packet[0] & 0xF) * 4
    is_first = not (packet[6] & 0x1F or packet[7])
    if is_first and packet[9] == TCP and len(packet) >= header + 18:
        _mend(changed, header + 16, difference)
    elif is_first and packet[9] == UDP and len(packet) >= header + 8 and packet[header + 6 : header + 8] != b"\0\0":
        _mend(changed, header + 6, difference)
    return bytes(changed)


def _difference(old: bytes, new: bytes) -> int:
    """What a checksum has to be told when `new` takes the place of `old` (RFC 1624)."""
    return (int.from_bytes(new, "big") + (~int.from_bytes(old, "big") & 0xFFFFFFFF)) % 65535


def _mend(packet: bytearray, position: int, difference: int) -> None:
    total = (~int.from_bytes(packet[position : position + 2], "big") & 0xFFFF) + difference
    total = (total & 0xFFFF) + (total >> 16)
    packet[position : position + 2] = (~total & 0xFFFF).to_bytes(2, "big")
