"""The name image management has for the operating system that was found on a disk."""

import re
from collections.abc import Sequence

from stillframe.images.operating_systems import (
    OperatingSystem,
    Platform,
    find_operating_system,
    list_operating_systems,
    unknown_system,
)
from stillframe.qemu.guestfs.model import GuestSystem

_NAMES: dict[str, tuple[Platform, str]] = {
    "debian": (Platform.DEBIAN, "Debian GNU/Linux "),
    "ubuntu": (Platform.UBUNTU, "Ubuntu "),
    "centos": (Platform.CENTOS, "CentOS "),
    "rhel": (Platform.RED_HAT, "Redhat Linux Enterprise "),
    "oraclelinux": (Platform.ORACLE, "Oracle Linux Server release "),
    "sles": (Platform.SUSE, "SUSE Linux Enterprise Server "),
    "opensuse": (Platform.OPENSUSE, "openSUSE "),
    "opensuse-leap": (Platform.OPENSUSE, "openSUSE "),
    "fedora": (Platform.FEDORA, "Fedora "),
    "coreos": (Platform.COREOS, "CoreOS "),
    "euleros": (Platform.EULEROS, "EulerOS "),
    "openeuler": (Platform.OPENEULER, "openEuler "),
}
"""How the names of each distribution's releases begin, by what libguestfs or os-release calls it."""

_ARCHITECTURES_OF_32_BITS = {"i386", "i486", "i586", "i686", "arm", "armv7l", "ppc", "sparc"}
_SERVICE_PACK = re.compile(r"\bSP(\d{1,2})")


def name_system(found: GuestSystem | None, *, os_type: str = "", extra: Sequence[str] = ()) -> OperatingSystem:
    """The release itself, else the nearest older one of the same major version, else the nearest newer one.

    `os_type` is what the caller has said; a disk that holds something else does not overrule that. What no table knows
    is "Other Linux(64 bit)" and its like.
    """
    if found is None:
        return unknown_system(os_type or "Linux")
    bits = 32 if found.arch in _ARCHITECTURES_OF_32_BITS else 64
    kind = {"linux": "Linux", "windows": "Windows"}.get(found.os_type, "Other")
    if os_type and kind != os_type:
        return unknown_system(os_type, bits)
    named = _windows(found, bits, extra) if kind == "Windows" else _nearest(found, bits, extra)
    return named or unknown_system(kind, bits)


def _nearest(found: GuestSystem, bits: int, extra: Sequence[str]) -> OperatingSystem | None:
    name = _NAMES.get(found.distro.lower())
    if name is None:
        return None
    platform, prefix = name
    release = (found.major, _minor(found))
    named = {
        _numbers(system.version): system
        for system in list_operating_systems(extra)
        if system.platform is platform and system.bits == bits and system.version.startswith(prefix)
    }
    same_major = [numbers for numbers in named if numbers[:1] == release[:1]]
    older = [numbers for numbers in same_major if numbers[:2] <= release]
    if not same_major:
        return None
    # Of `16.04.3` and `16.04` the one that says no more than was found.
    return named[max(older, key=lambda numbers: (numbers[:2], -sum(numbers[2:]))) if older else min(same_major)]


def _minor(found: GuestSystem) -> int:
    """EulerOS 2.9 calls itself `2.0 (SP9)`."""
    pack = _SERVICE_PACK.search(found.product_name) if found.distro.lower() == "euleros" else None
    return int(pack[1]) if pack else found.minor


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.removesuffix("64bit").removesuffix("32bit")))


def _windows(found: GuestSystem, bits: int, extra: Sequence[str]) -> OperatingSystem | None:
    """`Windows 10 Pro` is in the table as `Windows 10`, so words are taken away from the end."""
    words = found.product_name.split()
    names = [" ".join(words[:length]) for length in range(len(words), 1, -1)]
    matches = (find_operating_system(f"{name} {bits}bit", extra) for name in names)
    return next((system for system in matches if system is not None), None)
