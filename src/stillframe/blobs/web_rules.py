"""Which addresses of the web this service may be sent to by somebody who is not its operator.

A service that fetches what it is told to fetch lends out its place in the network: its loopback, its neighbours, and
the address where clouds keep the host's credentials. So a host must be public, or named by the operator.

url ──► read_url          scheme, port, no credentials, no address that is refused by itself
         │
         ▼
        public_addresses  one look-up of the name; the connection goes to what was checked, so that a name which answers
                          differently the second time (DNS rebinding) gains nothing
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from typing import TYPE_CHECKING

import msgspec

from stillframe.config import Settings
from stillframe.errors import DownloadFailedError, UrlRefusedError

if TYPE_CHECKING:  # loaded by whoever fetches something: a twentieth of the time of a start
    import httpx

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_LENGTH = 2048

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # a public address by the registry, and Azure's own service for its machines
        "192.0.0.0/24",  # for protocols; Oracle's service for its machines, and global to older Pythons
        "192.88.99.0/24",  # relays to 6to4, and 6to4 itself, which carries any IPv4 address inside
        "2002::/16",
        "3fff::/20",  # for documentation, which older Pythons do not know
        "fec0::/10",
    )
)


class WebRules(msgspec.Struct, frozen=True):
    """What the operator allows. `names` and `networks` may be reached although they are not public."""

    schemes: frozenset[str]
    ports: frozenset[int]
    names: frozenset[str]
    networks: tuple[IpNetwork, ...]

    @classmethod
    def of(cls, settings: Settings) -> "WebRules":
        names, networks = set(), []
        for host in settings.web_download_hosts:
            try:
                networks.append(ipaddress.ip_network(host, strict=False))
            except ValueError:
                names.add(host.lower().rstrip("."))
        return cls(
            schemes=frozenset(settings.web_download_schemes),
            ports=frozenset(settings.web_download_ports),
            names=frozenset(names),
            networks=tuple(networks),
        )


class WebUrl(msgspec.Struct, frozen=True):
    """A URL taken apart once, so that what was checked and what is asked for cannot be two things."""

    parsed: "httpx.URL"
    host: str
    port: int


def read_url(text: str, rules: WebRules) -> WebUrl:
    """Looks up no name.

    Raises: UrlRefusedError.
    """
    if len(text) > MAX_URL_LENGTH or "\\" in text:
        raise UrlRefusedError("The URL is too long or holds a backslash.")
    import httpx  # noqa: PLC0415

    try:
        parsed = httpx.URL(text)
        host = parsed.raw_host.decode("ascii").lower().rstrip(".")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise UrlRefusedError("The URL is malformed.") from None
    if parsed.scheme not in rules.schemes or not _HOST.fullmatch(host):
        raise UrlRefusedError(f"The URL must name a host and start with {_either(rules.schemes)}.")
    if parsed.userinfo or "@" in parsed.netloc.decode("ascii"):
        raise UrlRefusedError("The URL must not hold a user name or a password.")
    port = _DEFAULT_PORTS.get(parsed.scheme, 0) if parsed.port is None else parsed.port
    if port not in rules.ports:
        raise UrlRefusedError(f"The port of the URL must be one of {sorted(rules.ports)}.")
    literal = _literal(host)
    if literal is not None:
        _require_allowed(literal, host, rules)
    return WebUrl(parsed=parsed, host=host, port=port)


def _either(schemes: frozenset[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in sorted(schemes))


def _literal(host: str) -> IpAddress | None:
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            raise UrlRefusedError("The URL is malformed.") from None
    with contextlib.suppress(ValueError):
        return ipaddress.IPv4Address(host)
    return None


async def public_addresses(host: str, port: int, rules: WebRules) -> list[str]:
    """Every address of the host, each of them allowed: one that is not refuses the host.

    Raises: UrlRefusedError, DownloadFailedError when the name cannot be resolved.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DownloadFailedError(f"The host {host[:255]} cannot be resolved.", cause=error) from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        _require_allowed(ipaddress.ip_address(address.partition("%")[0]), host, rules)
    return addresses


def _require_allowed(address: IpAddress, host: str, rules: WebRules) -> None:
    if host in rules.names or any(address in network for network in rules.networks):
        return
    if not _is_public(address):
        raise UrlRefusedError(f"The host {host[:255]} is not in the public internet.")


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in network for network in _NEVER)
