"""Addresses and their arithmetic: what a text means, what is free. Pure."""

import ipaddress
import re
from collections.abc import Collection, Iterable

from stillframe.errors import InvalidInputError
from stillframe.networks.model import Pool

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_UNUSABLE = tuple(ipaddress.IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
LONGEST_PREFIX = 29
SHORTEST_PREFIX = 8


def parsed_cidr(text: str, field: str = "cidr") -> ipaddress.IPv4Network:
    """Bits of a host are dropped, as Neutron does. Raises: InvalidInputError."""
    try:
        return ipaddress.IPv4Network(text.strip(), strict=False)
    except ValueError:
        raise InvalidInputError(f"Invalid input for {field}: '{text[:64]}' is no IPv4 range.", field=field) from None


def subnet_cidr(text: str) -> ipaddress.IPv4Network:
    """Raises: InvalidInputError for a range that servers cannot live in."""
    cidr = parsed_cidr(text)
    if not SHORTEST_PREFIX <= cidr.prefixlen <= LONGEST_PREFIX:
        raise InvalidInputError(
            f"Invalid input for cidr: {cidr} must be between /{SHORTEST_PREFIX} and /{LONGEST_PREFIX}.", field="cidr"
        )
    if any(cidr.overlaps(taken) for taken in _UNUSABLE):
        raise InvalidInputError(f"Invalid input for cidr: {cidr} holds addresses no server can have.", field="cidr")
    return cidr


def parsed_address(text: str, field: str) -> ipaddress.IPv4Address:
    """Raises: InvalidInputError."""
    try:
        return ipaddress.IPv4Address(text.strip())
    except ValueError:
        raise InvalidInputError(f"Invalid input for {field}: '{text[:64]}' is no IPv4 address.", field=field) from None


def host_address(text: str, cidr: ipaddress.IPv4Network, field: str) -> str:
    """An address that somebody in the range can have. Raises: InvalidInputError."""
    address = parsed_address(text, field)
    if address not in cidr or address in {cidr.network_address, cidr.broadcast_address}:
        raise InvalidInputError(f"IP address {address} is not a valid IP for the specified subnet.", field=field)
    return str(address)


def parsed_mac(text: str) -> str:
    """Lower case with colons. Raises: InvalidInputError for what is none, or names more than one card."""
    mac = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise InvalidInputError(f"Invalid input for mac_address: '{text[:64]}' is no card's address.")
    return mac


def default_pools(cidr: ipaddress.IPv4Network, gateway_ip: str | None) -> tuple[Pool, ...]:
    """Every address but the gateway's."""
    first, last = int(cidr.network_address) + 1, int(cidr.broadcast_address) - 1
    ranges = [(first, last)]
    if gateway_ip is not None and first <= (gateway := int(ipaddress.IPv4Address(gateway_ip))) <= last:
        ranges = [(first, gateway - 1), (gateway + 1, last)]
    return tuple(
        Pool(str(ipaddress.IPv4Address(start)), str(ipaddress.IPv4Address(end)))
        for start, end in ranges
        if start <= end
    )


def checked_pools(pools: Iterable[Pool], cidr: ipaddress.IPv4Network, gateway_ip: str | None) -> tuple[Pool, ...]:
    """Raises: InvalidInputError for pools outside the range, upside down, overlapping, or around the gateway."""
    checked: list[tuple[int, int]] = []
    for pool in pools:
        start = int(ipaddress.IPv4Address(host_address(pool.start, cidr, "allocation_pools")))
        end = int(ipaddress.IPv4Address(host_address(pool.end, cidr, "allocation_pools")))
        if start > end or any(start <= other_end and other_start <= end for other_start, other_end in checked):
            raise InvalidInputError("Allocation pools are upside down or overlap.", field="allocation_pools")
        if gateway_ip is not None and start <= int(ipaddress.IPv4Address(gateway_ip)) <= end:
            raise InvalidInputError(f"Gateway ip {gateway_ip} conflicts with an allocation pool.", field="gateway_ip")
        checked.append((start, end))
    return tuple(
        Pool(str(ipaddress.IPv4Address(start)), str(ipaddress.IPv4Address(end))) for start, end in sorted(checked)
    )


def free_address(pools: Iterable[Pool], taken: Collection[str]) -> str | None:
    """The lowest that nobody has."""
    used = {int(ipaddress.IPv4Address(address)) for address in taken}
    for pool in pools:
        for candidate in range(int(ipaddress.IPv4Address(pool.start)), int(ipaddress.IPv4Address(pool.end)) + 1):
            if candidate not in used:
                return str(ipaddress.IPv4Address(candidate))
    return None
