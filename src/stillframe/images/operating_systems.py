"""The operating systems that images can be said to hold, by the names IMS has for them.

Source: Open Telekom Cloud, IMS API reference, "Values of Related Parameters", table 1; the newer releases, which that
table has not got yet, are named alike.
"""

import enum
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import msgspec

from stillframe.images.model import OsInfo


class Platform(enum.StrEnum):
    """`__platform` on the wire."""

    WINDOWS = "Windows"
    SUSE = "SUSE"
    ORACLE = "Oracle Linux"
    RED_HAT = "Red Hat"
    UBUNTU = "Ubuntu"
    OPENSUSE = "OpenSUSE"
    CENTOS = "CentOS"
    DEBIAN = "Debian"
    FEDORA = "Fedora"
    EULEROS = "EulerOS"
    OPENEULER = "openEuler"
    COREOS = "CoreOS"
    OTHER = "Other"


class OperatingSystem(msgspec.Struct, frozen=True, kw_only=True):
    """`version` is the value of `__os_version`: the whole name, its bits included."""

    version: str
    os_type: str
    platform: Platform
    bits: int

    @property
    def info(self) -> OsInfo:
        return OsInfo(os_type=self.os_type, version=self.version, platform=str(self.platform), bits=str(self.bits))


_TABLE: tuple[tuple[Platform, str, str], ...] = (
    # platform, name with {} for the release, releases: one with bits behind a slash has those instead of 64
    (Platform.WINDOWS, "Windows {}", "11 | 10 | 7 Enterprise | 7 Professional | 7 Professional/32"),
    (
        Platform.WINDOWS,
        "Windows Server {}",
        (
            "2022 Standard | 2022 Datacenter | 2019 Standard | 2019 Datacenter | 2016 Standard | 2016 Datacenter"
            " | 2012 R2 Standard | 2012 Essentials R2 | 2012 R2 Datacenter | 2012 Datacenter | 2012 Standard"
            " | 2008 R2 WEB | 2008 R2 Standard | 2008 R2 Enterprise | 2008 R2 Datacenter"
        ),
    ),
    (
        Platform.SUSE,
        "SUSE Linux Enterprise Server {}",
        (
            "15 SP6 | 15 SP5 | 15 SP4 | 15 SP3 | 15 SP2 | 15 SP1 | 15 | 12 SP5 | 12 SP4 | 12 SP3 | 12 SP2 | 12 SP1 | 12"
            " | 11 SP4 | 11 SP3 | 11 SP3/32 | 11 SP1"
        ),
    ),
    (
        Platform.ORACLE,
        "Oracle Linux Server release {}",
        "9.4 | 8.10 | 7.9 | 7.6 | 7.5 | 7.4 | 7.3 | 7.2 | 7.1 | 7.0 | 6.10 | 6.9 | 6.8 | 6.7 | 6.5",
    ),
    (
        Platform.RED_HAT,
        "Redhat Linux Enterprise {}",
        (
            "9.4 | 8.10 | 8.0 | 7.9 | 7.5 | 7.4 | 7.3 | 7.2 | 7.1 | 7.0 | 6.10 | 6.9 | 6.8 | 6.7 | 6.6 | 6.6/32"
            " | 6.5 | 6.4 | 6.4/32"
        ),
    ),
    (Platform.RED_HAT, "Redhat {}", "7.6"),
    (
        Platform.UBUNTU,
        "Ubuntu {}",
        (
            "24.04 server | 22.04 server | 20.04 server | 19.04 server | 18.04 server | 16.04.3 Server | 16.04.2 Server"
            " | 16.04 server | 14.04.5 server | 14.04.4 server | 14.04.4 server/32 | 14.04.3 server | 14.04.3 server/32"
            " | 14.04.1 server | 14.04.1 server/32 | 14.04 server | 14.04 server/32"
        ),
    ),
    (Platform.OPENSUSE, "openSUSE {}", "15.6 | 15.5 | 42.3 | 42.2 | 42.1 | 15.1 | 15.0 | 13.2 | 11.3"),
    (
        Platform.CENTOS,
        "CentOS {}",
        (
            "9 | 8.0 | 7.9 | 7.7 | 7.6 | 7.5 | 7.4 | 7.3 | 7.2 | 7.1 | 7.0 | 7.0/32 | 6.10 | 6.10/32 | 6.9 | 6.9/32"
            " | 6.8 | 6.7 | 6.7/32 | 6.6 | 6.6/32 | 6.5 | 6.5/32 | 6.4 | 6.4/32 | 6.3 | 6.3/32"
        ),
    ),
    (
        Platform.DEBIAN,
        "Debian GNU/Linux {}",
        (
            "13.0.0 | 12.0.0 | 11.0.0 | 10.0.0 | 9.3.0 | 9.0.0 | 8.10.0 | 8.8.0 | 8.7.0 | 8.6.0 | 8.5.0 | 8.4.0 | 8.2.0"
            " | 8.1.0"
        ),
    ),
    (
        Platform.FEDORA,
        "Fedora {}",
        "42 | 41 | 40 | 39 | 38 | 37 | 36 | 35 | 34 | 33 | 32 | 31 | 30 | 29 | 28 | 27 | 26 | 25 | 24 | 23 | 22",
    ),
    (Platform.EULEROS, "EulerOS {}", "2.10 | 2.9 | 2.5 | 2.3 | 2.2 | 2.1"),
    (Platform.OPENEULER, "openEuler {}", "24.03 | 22.03 | 20.03"),
)

_PLATFORM_OF_PREFIX = tuple((name.partition("{}")[0].lower(), platform) for platform, name, _ in _TABLE)
_BITS = re.compile(r"(32|64) ?bit", re.IGNORECASE)


def _from_table() -> Iterator[OperatingSystem]:
    for platform, name, releases in _TABLE:
        os_type = "Windows" if platform is Platform.WINDOWS else "Linux"
        for release in releases.split(" | "):
            label, _, bits = release.partition("/")
            version = f"{name.format(label)} {bits or 64}bit"
            yield OperatingSystem(version=version, os_type=os_type, platform=platform, bits=int(bits or 64))


def _other(version: str, os_type: str, bits: int = 64) -> OperatingSystem:
    return OperatingSystem(version=version, os_type=os_type, platform=Platform.OTHER, bits=bits)


_COREOS = tuple(
    OperatingSystem(version=f"CoreOS {release}", os_type="Linux", platform=Platform.COREOS, bits=64)
    for release in ("1068.10.0", "1010.5.0", "1298.6.0")
)
_UNKNOWN = (
    _other("Other Linux(64 bit)", "Linux"),
    _other("Other Linux(32 bit)", "Linux", 32),
    _other("Other Windows(64 bit)", "Windows"),
    _other("Other(64 bit)", "Other"),
)
OPERATING_SYSTEMS: tuple[OperatingSystem, ...] = (*_from_table(), *_COREOS, *_UNKNOWN)
"""What every deployment knows; by platform, the newest first."""


def list_operating_systems(extra: Sequence[str] = ()) -> tuple[OperatingSystem, ...]:
    """`extra` are names of the operator's (`extra_os_versions`), which count as the table's own do."""
    return tuple(_by_version(tuple(extra)).values())


def find_operating_system(version: str, extra: Sequence[str] = ()) -> OperatingSystem | None:
    """By its exact name; None for one nobody has heard of."""
    return _by_version(tuple(extra)).get(version)


def by_platform(extra: Sequence[str] = ()) -> dict[Platform, list[OperatingSystem]]:
    """Only platforms that have any, in the table's order."""
    found: dict[Platform, list[OperatingSystem]] = {}
    for system in list_operating_systems(extra):
        found.setdefault(system.platform, []).append(system)
    return found


def unknown_system(os_type: str = "Linux", bits: int = 64) -> OperatingSystem:
    """What an image holds of which only so much is known; `os_type` is Linux, Windows or Other."""
    of_type = [system for system in _UNKNOWN if system.os_type == os_type] or [_UNKNOWN[-1]]
    return next((system for system in of_type if system.bits == bits), of_type[0])


def named_alike(version: str) -> OperatingSystem:
    """What a name says by itself: the platform by how it begins, the bits where they stand in it."""
    lowered = version.lower()
    known = (platform for prefix, platform in _PLATFORM_OF_PREFIX if lowered.startswith(prefix))
    platform = Platform.COREOS if lowered.startswith("coreos ") else next(known, Platform.OTHER)
    is_windows = platform is Platform.WINDOWS or "windows" in lowered
    bits = _BITS.search(version)
    return OperatingSystem(
        version=version,
        os_type="Windows" if is_windows else "Linux",
        platform=platform,
        bits=int(bits[1]) if bits else 64,
    )


@lru_cache(maxsize=8)
def _by_version(extra: tuple[str, ...]) -> dict[str, OperatingSystem]:
    return {system.version: system for system in (*OPERATING_SYSTEMS, *_named_alike(extra))}


def _named_alike(versions: Iterable[str]) -> Iterator[OperatingSystem]:
    known = {system.version for system in OPERATING_SYSTEMS}
    return (named_alike(version) for version in versions if version not in known)
