"""Security groups as the switch asks about them: may this first packet of a conversation pass? Pure."""

import ipaddress
from collections.abc import Callable, Iterable

from stillframe.switch import frames
from stillframe.switch.plan import PortPlan, Rule

Test = Callable[[int, int, int, int], bool]
"""Of protocol, the other side's address, and the port there (for ICMP the type) with the code of ICMP."""

_WITH_PORTS = frozenset({frames.TCP, frames.UDP, 33, 132, 136})


def compiled(port: PortPlan, direction: str) -> list[Test]:
    return [_test(rule) for rule in port.rules if rule.direction == direction]


def passes(tests: Iterable[Test], protocol: int, remote: bytes, payload: bytes, *, is_first: bool = True) -> bool:
    """`payload` is what follows the IP header. A later fragment has no ports: only rules about none of them fit it."""
    address = int.from_bytes(remote, "big")
    port, code = -1, -1
    if is_first and protocol in _WITH_PORTS and len(payload) >= 4:
        port = int.from_bytes(payload[2:4], "big")
    elif is_first and protocol == frames.ICMP and len(payload) >= 2:
        port, code = payload[0], payload[1]
    return any(test(protocol, address, port, code) for test in tests)


def _test(rule: Rule) -> Test:
    fits_remote = _remote_test(rule.remotes)
    protocol, low, high = rule.protocol, rule.low, rule.high
    if protocol is None or (low is None and high is None):
        return lambda proto, address, _port, _code: protocol in {None, proto} and fits_remote(address)
    if protocol == frames.ICMP:
        return lambda proto, address, kind, code: (
            proto == protocol and kind == low and high in {None, code} and fits_remote(address)
        )
    first, last = low or 0, 65535 if high is None else high
    return lambda proto, address, port, _code: proto == protocol and first <= port <= last and fits_remote(address)


def _remote_test(remotes: tuple[str, ...] | None) -> Callable[[int], bool]:
    if remotes is None:
        return lambda _address: True
    networks = [ipaddress.IPv4Network(text) for text in remotes]
    single = frozenset(int(network.network_address) for network in networks if network.prefixlen == 32)
    ranges = [(int(network.network_address), int(network.netmask)) for network in networks if network.prefixlen < 32]
    return lambda address: address in single or any(address & mask == start for start, mask in ranges)
