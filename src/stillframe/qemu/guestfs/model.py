"""What is found out about a guest's disk, and what is done to it."""

import msgspec


class GuestSystem(msgspec.Struct, frozen=True, kw_only=True):
    """An operating system as libguestfs names it; numbers it could not find out are 0, words "unknown" or empty.

    Source: libguestfs, guestfs(3), "INSPECTION".
    """

    os_type: str
    """linux, windows, freebsd ..."""
    distro: str
    """debian, ubuntu, rhel, windows ...; where libguestfs does not know it, the ID of its os-release."""
    major: int = 0
    minor: int = 0
    arch: str = "unknown"
    """x86_64, i386, aarch64 ..."""
    product_name: str = ""
    """For people: `Debian GNU/Linux 12 (bookworm)`, `Windows Server 2019 Standard`."""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """`system` is None where no operating system is recognised; `firmware` is bios or uefi."""

    system: GuestSystem | None = None
    firmware: str = "bios"


class Preparation(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` are sentences for people, in the order they were made; `notes` tell what was left as it is, and why."""

    inspection: Inspection
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
