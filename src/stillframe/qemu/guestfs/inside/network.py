"""DHCP on every card, and no rule that ties a card's name to the hardware the system came from.

Source: Open Telekom Cloud, IMS user guide, "Configuring DHCP" and "Deleting Files from the Network Rule Directory".
"""

import re
from collections.abc import Callable

from stillframe.qemu.guestfs.inside.guest import Guest

_RULES = ("/etc/udev/rules.d/*persistent*net*.rules", "/etc/udev/rules.d/*net*persistent*.rules")
_NO_GENERATOR = "/etc/udev/rules.d/75-persistent-net-generator.rules"
_LEASES = ("/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*", "/var/lib/NetworkManager/*.lease")
_INTERFACES = "/etc/network/interfaces"
_ANY_CARD_IFUPDOWN = """
# every card, whatever it is called on the machine this runs on
auto /e*=any-card
iface any-card inet dhcp
"""
_ANY_CARD_NETWORKD = "/etc/systemd/network/90-all-dhcp.network"
_ANY_CARD_NETWORKD_TEXT = "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n"
_NETPLAN = "/etc/netplan/60-all-dhcp.yaml"
_NETPLAN_TEXT = """\
network:
  version: 2
  ethernets:
    all:
      match:
        name: "e*"
      dhcp4: true
"""

_PORT_OR_LOOPBACK = re.compile(r"^\s*(MASTER|BRIDGE|SLAVE)=|^\s*DEVICE=[\"']?lo\b", re.MULTILINE)
_STATIC_OPTIONS = re.compile(
    r"\s*(address|netmask|gateway|broadcast|network|dns-\S+|hwaddress|scope|pointopoint)\s", re.IGNORECASE
)
_AUTO = re.compile(r"^(\s*)auto(\s+)(?!lo\b)(\w\S*)[^\S\n]*$", re.MULTILINE)
_STATIC_STANZA = re.compile(r"(\s*iface\s+\S+\s+inet\s+)static\b.*", re.IGNORECASE)
_STANZA = re.compile(r"\s*(iface|auto|allow-\S+|mapping|source\S*|no-auto-down)\s", re.IGNORECASE)
_STATIC_IFCFG = re.compile(
    r"""["']?(IPADDR|NETMASK|PREFIX|PREFIXLEN|NETWORK|BROADCAST|GATEWAY|DNS|HWADDR|MACADDR|LLADDR|UUID)\d*(_\w+)?=""",
    re.IGNORECASE,
)
_BOOTPROTO = re.compile(r"\s*BOOTPROTO\s*=", re.IGNORECASE)
_STATIC_KEYS = re.compile(r"\s*(address|addresses|gateway|dns|route|mac-address|cloned-mac-address)\d*\s*=")
_STATIC_NETPLAN = re.compile(
    r"^\s*(-?\s*addresses|gateway4|macaddress)\s*:|^\s*dhcp4\s*:\s*(no|false|off)\b", re.MULTILINE
)
_ETHERNETS = re.compile(r"^\s*ethernets\s*:", re.MULTILINE)
_MORE_THAN_NAMES = re.compile(r"^\s*(match|bonds|bridges|vlans|wifis)\s*:", re.MULTILINE)
_STATIC_NETWORKD = re.compile(r"\s*(Address|Gateway|DNS|DHCP|MACAddress|PermanentMACAddress)\s*=")


def remove_rules(guest: Guest) -> None:
    for path in sorted({path for pattern in _RULES for path in guest.names(pattern)}):
        guest.remove(path)
    if guest.distro in ("centos", "rhel") and guest.major == 6 and not guest.has_file(_NO_GENERATOR):
        guest.write(_NO_GENERATOR, "")
        guest.changed(f"{_NO_GENERATOR}: empty, so that no rules are generated")
    for path in [path for pattern in _LEASES for path in guest.names(pattern)]:
        guest.remove(path)


def use_dhcp(guest: Guest) -> None:
    """For the cards that are configured, and for those which will be called something else: a name tells of a slot."""
    _rewrite_all(guest, "/etc/network/interfaces", ifupdown)
    _rewrite_all(guest, "/etc/network/interfaces.d/*", ifupdown)
    _rewrite_all(guest, "/etc/sysconfig/network-scripts/ifcfg-*", ifcfg)
    _rewrite_all(guest, "/etc/sysconfig/network/ifcfg-*", ifcfg)
    _rewrite_all(guest, "/etc/NetworkManager/system-connections/*", keyfile)
    _rewrite_all(guest, "/etc/systemd/network/*.network", networkd)
    _replace_netplan(guest)
    _add_any_card(guest)


def ifupdown(text: str) -> str:
    """/etc/network/interfaces: static IPv4 stanzas become DHCP, without the options that only static ones have."""
    lines = []
    in_static = False
    for line in text.splitlines(keepends=True):
        if _STANZA.match(line):
            in_static = bool(_STATIC_STANZA.match(line))
        if in_static and _STATIC_OPTIONS.match(line):
            continue
        lines.append(_STATIC_STANZA.sub(r"\1dhcp", line) if in_static else line)
    return "".join(lines)


def ifcfg(text: str) -> str:
    """Of Red Hat and SUSE: one card's file. A bond's or a bridge's port has no address to get."""
    if _PORT_OR_LOOPBACK.search(text) or not _is_static_ifcfg(text):
        return text
    dropped = (_STATIC_IFCFG, _BOOTPROTO)
    lines = [line for line in text.splitlines() if not any(pattern.match(line.strip()) for pattern in dropped)]
    return "\n".join([*lines, "BOOTPROTO=dhcp", ""])


def _is_static_ifcfg(text: str) -> bool:
    lines = text.splitlines()
    has_dhcp = any(re.match(r"\s*BOOTPROTO\s*=\s*[\"']?dhcp", line, re.IGNORECASE) for line in lines)
    return not has_dhcp or any(_STATIC_IFCFG.match(line.strip()) for line in lines)


def keyfile(text: str) -> str:
    """A connection of NetworkManager's."""
    return _in_sections(text, {"ipv4": _STATIC_KEYS, "ethernet": _STATIC_KEYS, "802-3-ethernet": _STATIC_KEYS}).replace(
        "method=manual", "method=auto"
    )


def networkd(text: str) -> str:
    """A .network file of systemd's: asks for addresses instead of having them."""
    if not re.search(r"^\s*Address\s*=", text, re.MULTILINE):
        return text
    kept = _in_sections(text, {"network": _STATIC_NETWORKD, "match": _STATIC_NETWORKD})
    kept = re.sub(r"^\[(Address|Route)\]\n(?:(?!\[).*\n?)*", "", kept, flags=re.MULTILINE)
    return re.sub(r"^\[Network\][^\S\n]*\n", "[Network]\nDHCP=yes\n", kept, count=1, flags=re.MULTILINE)


def _in_sections(text: str, dropped: dict[str, "re.Pattern[str]"]) -> str:
    """Without the lines that match, each pattern in the section it is given for."""
    section, lines = "", []
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            section = line.strip().strip("[]").lower()
        if section not in dropped or not dropped[section].match(line):
            lines.append(line)
    return "".join(lines)


def _rewrite_all(guest: Guest, pattern: str, edit: Callable[[str], str]) -> None:
    for path in guest.names(pattern):
        if not path.endswith("/ifcfg-lo"):
            text = guest.read(path)
            guest.rewrite(path, text, None if text is None else edit(text), "DHCP instead of a fixed address")


def _replace_netplan(guest: Guest) -> None:
    """Its YAML may be spread over files that add up, so a fixed address or name anywhere sets all of them aside."""
    paths = guest.names("/etc/netplan/*.yaml")
    texts = "\n".join(guest.read(path) or "" for path in paths)
    names_cards = _ETHERNETS.search(texts) and not _MORE_THAN_NAMES.search(texts) and not guest.has_cloud_init
    if not _STATIC_NETPLAN.search(texts) and not names_cards:
        return
    for path in paths:
        guest.handle.mv(path, f"{path}.before-import")
        guest.changed(f"{path}: set aside as {path}.before-import")
    guest.write(_NETPLAN, _NETPLAN_TEXT)
    guest.handle.chmod(0o600, _NETPLAN)
    guest.changed(f"{_NETPLAN}: DHCP on every card")


def _add_any_card(guest: Guest) -> None:
    """NetworkManager asks by itself for cards it knows nothing of, and cloud-init writes what the others read."""
    if guest.has_cloud_init:
        return
    text = guest.read(_INTERFACES)
    # Patterns came with Debian 9 and Ubuntu 18.04; before those, the first card was eth0 everywhere.
    if text is not None and guest.major >= {"debian": 9, "ubuntu": 18}.get(guest.distro, 1000):
        guest.rewrite(_INTERFACES, text, any_card(text), "DHCP on every card")
    if guest.names("/etc/systemd/network/*.network") and not guest.has_file(_ANY_CARD_NETWORKD):
        guest.write(_ANY_CARD_NETWORKD, _ANY_CARD_NETWORKD_TEXT)
        guest.changed(f"{_ANY_CARD_NETWORKD}: DHCP on every card")


def any_card(text: str) -> str:
    """/etc/network/interfaces: all cards come up; that one which is named is not there is no error any more."""
    if "=any-card" in text:
        return text
    return _AUTO.sub(r"\1allow-hotplug\2\3", text.rstrip("\n")) + "\n" + _ANY_CARD_IFUPDOWN
