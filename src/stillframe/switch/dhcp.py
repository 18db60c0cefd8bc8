"""DHCP: every card is told what the plan says, whatever it asks for. There is no state: the plan is the lease. Pure.

Source: RFC 2131, RFC 2132, RFC 3442.
"""

import ipaddress
import struct
from collections.abc import Iterable

from stillframe.switch.plan import Lease

CLIENT_PORT, SERVER_PORT = 68, 67
LEASE_S = 86400
_MAGIC = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK, _NAK, _INFORM = 1, 2, 3, 5, 6, 8
_MESSAGE_TYPE, _REQUESTED, _SERVER = 53, 50, 54
_FIXED_LENGTH = 236


def answer(message: bytes, mac: bytes, lease: Lease) -> bytes | None:
    """None to what needs none: releases, requests to other servers, what is malformed or for another card."""
    if len(message) < _FIXED_LENGTH + 4 or message[0] != 1 or message[236:240] != _MAGIC or message[28:34] != mac:
        return None
    options = _options(message[240:])
    kind = options.get(_MESSAGE_TYPE, b"\0")[0]
    if options.get(_SERVER, _packed(lease.server)) != _packed(lease.server):
        return None
    if kind == _DISCOVER:
        return _reply(message, lease, _OFFER)
    if kind == _REQUEST:
        wanted = options.get(_REQUESTED) or message[12:16]
        return _reply(message, lease, _ACK if wanted == _packed(lease.address) else _NAK)
    return _reply(message, lease, _ACK) if kind == _INFORM else None


def _reply(message: bytes, lease: Lease, kind: int) -> bytes:
    given = b"\0\0\0\0" if kind == _NAK else _packed(lease.address)
    server = _packed(lease.server)
    start = struct.pack(">4s4sHH", b"\x02\x01\x06\x00", message[4:8], 0, int.from_bytes(message[10:12], "big"))
    addresses = message[12:16] + given + server + b"\0\0\0\0"
    head = start + addresses + message[28:44] + bytes(64 + 128) + _MAGIC
    options = [(_MESSAGE_TYPE, bytes((kind,))), (_SERVER, server)]
    if kind != _NAK:
        options += _told(lease)
    return head + b"".join(bytes((code, len(value))) + value for code, value in options) + b"\xff"


def _told(lease: Lease) -> list[tuple[int, bytes]]:
    network = ipaddress.IPv4Network(f"{lease.address}/{lease.prefix_length}", strict=False)
    told = [
        (51, struct.pack(">I", LEASE_S)),
        (58, struct.pack(">I", LEASE_S // 2)),
        (59, struct.pack(">I", LEASE_S * 7 // 8)),
        (1, network.netmask.packed),
        (28, network.broadcast_address.packed),
        (26, struct.pack(">H", 1500)),
    ]
    if lease.gateway:
        told.append((3, _packed(lease.gateway)))
    if lease.name_servers:
        told.append((6, b"".join(map(_packed, lease.name_servers))))
    if lease.host_name:
        told.append((12, lease.host_name.encode()[:63]))
    routes = list(lease.routes)
    if routes:
        # Who understands this option ignores the gateway's.
        routes += [("0.0.0.0/0", lease.gateway)] if lease.gateway else []
        told.append((121, b"".join(map(_route, routes))[:255]))
    return told


def _route(route: tuple[str, str]) -> bytes:
    destination = ipaddress.IPv4Network(route[0])
    significant = destination.network_address.packed[: (destination.prefixlen + 7) // 8]
    return bytes((destination.prefixlen,)) + significant + _packed(route[1])


def _packed(address: str) -> bytes:
    return ipaddress.IPv4Address(address).packed


def _options(data: bytes) -> dict[int, bytes]:
    return dict(_each_option(data))


def _each_option(data: bytes) -> Iterable[tuple[int, bytes]]:
    position = 0
    while position + 1 < len(data) and data[position] != 255:
        if data[position] == 0:
            position += 1
            continue
        length = data[position + 1]
        value = data[position + 2 : position + 2 + length]
        if len(value) != length or not value:
            return
        yield data[position], value
        position += 2 + length
