"""What is done to a guest, in order.

Source: Open Telekom Cloud, IMS user guide, "What Will the System Do to an Image File When I Use the File to Register a
Private Image?"; the record in the guest has the name it is given there.
"""

from collections.abc import Callable
from typing import Any

from stillframe.qemu.guestfs.inside import drivers, identity, network, storage
from stillframe.qemu.guestfs.inside.guest import Guest
from stillframe.qemu.guestfs.inside.inspection import Found, mount_all

_RECORD = "/var/log/rainbow_modification_record.log"

_STEPS: tuple[Callable[[Guest], None], ...] = (
    network.remove_rules,
    network.use_dhcp,
    storage.name_by_uuid,
    drivers.ensure_virtio,
    identity.forget_cloud_init,
    identity.forget_host_keys,
    identity.clear_logs,
    identity.forget_machine,
)


def prepare(handle: Any, found: Found) -> dict[str, Any]:
    """The changes and notes. Repeating it changes nothing more.

    Raises: RuntimeError of libguestfs where the guest's file systems cannot be read or written.
    """
    if not found.is_linux:
        what = "No operating system was recognised" if found.system is None else "No Linux was found"
        return {"changes": [], "notes": [f"{what} on the disk: nothing was changed."]}
    system = found.system or {}
    guest = Guest(handle, distro=system["distro"], major=system["major"])
    for problem in mount_all(handle, found.root, writable=True):
        guest.noted(problem)
    if not guest.has_directory("/etc"):
        guest.noted("The root file system cannot be used: nothing was changed.")
        return {"changes": [], "notes": guest.notes}
    for step in _STEPS:
        step(guest)
    _leave_record(guest)
    handle.umount_all()
    return {"changes": guest.changes, "notes": guest.notes}


def _leave_record(guest: Guest) -> None:
    lines = [*guest.changes, *(f"not done: {note}" for note in guest.notes)]
    if guest.has_directory("/var/log"):
        guest.write(_RECORD, "".join(f"{line}\n" for line in lines))
    if guest.changes and guest.has_file("/etc/selinux/config"):
        # New files have no labels; SELinux gives them theirs at the next start.
        guest.write("/.autorelabel", "")
