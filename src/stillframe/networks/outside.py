"""The way out of the host, as far as networks know of it: which addresses cards have there, and what leads in.

guest 192.168.0.5 ──► switch ──► 198.18.1.7 ──► QEMU's network stack ──► what the host reaches
host 127.77.3.9:22 ─────────────────────────────────► 198.18.1.7:22 ──► switch ──► guest 192.168.0.5:22
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping

import msgspec

from stillframe.networks.model import FloatingIp, Port
from stillframe.switch.plan import Rule

RANGE = "198.18.0.0/16"
"""Of the stack's inside: kept for measuring networks (RFC 2544), so that nobody means it."""
HOST_ADDRESS = "198.18.0.2"
NAME_SERVER = "198.18.0.3"
HOST_MAC = "52:55:c6:12:00:02"
_FIRST = int(ipaddress.IPv4Address("198.18.1.0"))

WIDE_PORTS = (22, 80, 443, 3389, 5985, 5986, 8080, 8443)
"""What a rule for very many ports opens on a floating address: each is a socket of the host's."""
MOST_PORTS_OF_A_RULE = 64


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """A port of the host's that leads to one of a card's."""

    protocol: str
    address: str
    port: int
    inner: str


class InnerAddresses:
    """The addresses that cards have inside the stack, for as long as it runs."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, port_ids: Collection[str]) -> dict[str, str]:
        """Each keeps the one it has; those of cards that are gone can be given again."""
        self._numbers = {port_id: number for port_id, number in self._numbers.items() if port_id in port_ids}
        taken = set(self._numbers.values())
        number = 0
        for port_id in sorted(set(port_ids) - set(self._numbers)):
            while number in taken:
                number += 1
            taken.add(number)
            self._numbers[port_id] = number
        return {port_id: str(ipaddress.IPv4Address(_FIRST + number)) for port_id, number in self._numbers.items()}


def forwards(
    floating_ips: Iterable[FloatingIp],
    ports: Mapping[str, Port],
    rules: Mapping[str, tuple[Rule, ...]],
    inner: Mapping[str, str],
) -> list[Forward]:
    """For every floating address the TCP and UDP ports that the groups of its card let in."""
    found = set()
    for floating in floating_ips:
        port = ports.get(floating.port_id or "")
        if port is None or port.id not in inner:
            continue
        of_port = [rule for group_id in port.security_group_ids for rule in rules[group_id]]
        for protocol, name in ((6, "tcp"), (17, "udp")):
            for number in _open_ports(of_port if port.port_security_enabled else None, protocol):
                found.add(Forward(protocol=name, address=floating.address, port=number, inner=inner[port.id]))
    return sorted(found, key=msgspec.structs.astuple)


def _open_ports(rules: Iterable[Rule] | None, protocol: int) -> set[int]:
    if rules is None:
        return set(WIDE_PORTS) if protocol == 6 else set()
    found: set[int] = set()
    for rule in rules:
        if rule.direction == "ingress" and rule.protocol in {None, protocol} and _lets_host_in(rule):
            low, high = rule.low or 0, 65535 if rule.high is None else rule.high
            if high - low < MOST_PORTS_OF_A_RULE:
                found |= set(range(max(1, low), high + 1))
            elif protocol == 6:
                found |= {number for number in WIDE_PORTS if low <= number <= high}
    return found


def _lets_host_in(rule: Rule) -> bool:
    host = ipaddress.IPv4Address(HOST_ADDRESS)
    return rule.remotes is None or any(host in ipaddress.IPv4Network(text) for text in rule.remotes)
