"""File systems named by UUID, in fstab and in what the boot loader hands to the kernel.

The disk may have another name in the cloud (`/dev/vda` instead of `/dev/sda` or `/dev/xvda`) than where it came from.

Source: Open Telekom Cloud, IMS user guide, "Changing Disk Identifiers in the fstab File to UUID" and "... in the GRUB
File to UUID".
"""

import re
from collections.abc import Callable

from stillframe.qemu.guestfs.inside.guest import Guest

UuidOf = Callable[[int], str]
"""The UUID of what is in a partition of the first disk, by the partition's number; empty if it has none."""

_FIRST_DISK = r"/dev/(?:(?:[shv]|xv)da|(?:nvme0n1|mmcblk0)p|disk/by-(?:id|path)/[^\s\"']*-part)([0-9]{1,3})"
_DEVICE = re.compile(rf"{_FIRST_DISK}(?![\w-])")
_FSTAB = re.compile(rf"^(\s*){_FIRST_DISK}(?=\s)")
_KERNEL_ARGUMENT = re.compile(rf"\b(root|resume)={_FIRST_DISK}(?![\w-])")
_BOOT_ENTRIES = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/loader/entries/*.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/etc/default/grub",
    "/etc/kernel/cmdline",
)
_INITRD = re.compile(r"\b(initrd|initramfs)", re.IGNORECASE)
_NEVER_HAVE_INITRD_LINES = ("/etc/default/grub", "/etc/kernel/cmdline")


def name_by_uuid(guest: Guest) -> None:
    uuid_of = _uuids(guest)
    text = guest.read("/etc/fstab")
    guest.rewrite("/etc/fstab", text, None if text is None else fstab(text, uuid_of), "devices named by UUID")
    _tell_of_other_devices(guest)
    for path in [path for pattern in _BOOT_ENTRIES for path in guest.names(pattern)]:
        text = guest.read(path)
        if text is not None and (path in _NEVER_HAVE_INITRD_LINES or _INITRD.search(text)):
            guest.rewrite(path, text, boot_entries(text, uuid_of), "root file system named by UUID")
        elif text is not None and _KERNEL_ARGUMENT.search(text):
            guest.noted(f"{path}: its root device keeps its name, for a kernel without initramfs knows no UUIDs")


def fstab(text: str, uuid_of: UuidOf) -> str:
    return "".join(_FSTAB.sub(_replacer(uuid_of), line) for line in text.splitlines(keepends=True))


def boot_entries(text: str, uuid_of: UuidOf) -> str:
    return _KERNEL_ARGUMENT.sub(_replacer(uuid_of, between="="), text)


def _replacer(uuid_of: UuidOf, between: str = "") -> "Callable[[re.Match[str]], str]":
    def replace(found: "re.Match[str]") -> str:
        uuid = uuid_of(int(found[2]))
        return f"{found[1]}{between}UUID={uuid}" if uuid else found[0]

    return replace


def _uuids(guest: Guest) -> UuidOf:
    partitions = set(guest.handle.list_partitions())

    def uuid_of(number: int) -> str:
        device = f"/dev/sda{number}"
        return str(guest.handle.vfs_uuid(device)) if device in partitions else ""

    return uuid_of


def _tell_of_other_devices(guest: Guest) -> None:
    for line in (guest.read("/etc/fstab") or "").splitlines():
        if re.match(r"\s*/dev/(?:(?:[shv]|xv)d[a-z]|nvme|mmcblk)", line) or _DEVICE.match(line.strip()):
            guest.noted(f"/etc/fstab: {line.split()[0]} keeps its name, for it is not on this disk or has no UUID")
