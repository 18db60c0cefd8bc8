"""Nothing that only one machine may have, and nothing of the life the system had before.

Source: Open Telekom Cloud, IMS user guide, "Clearing System Logs"; virt-sysprep(1) for what else two machines must not
share; machine-id(5): an empty file is filled in at the next start.
"""

from stillframe.qemu.guestfs.inside.guest import Guest

_MACHINE_ID = "/etc/machine-id"
_DBUS_ID = "/var/lib/dbus/machine-id"
_SINGLE_FILES = ("/var/lib/systemd/random-seed", "/var/lib/random-seed")
_KEY_UNIT = "/etc/systemd/system/generate-ssh-host-keys.service"
_KEY_UNIT_TEXT = """\
[Unit]
Description=Host keys of its own for each server made from the image
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
Before=ssh.service sshd.service

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
_MAKERS_OF_KEYS = (
    "/usr/lib/systemd/system/sshd-keygen.service",
    "/usr/lib/systemd/system/sshd-keygen@.service",
    "/usr/lib/systemd/system/sshdgenkeys.service",
)
_HISTORIES = ("/root/.bash_history", "/home/*/.bash_history")


def forget_machine(guest: Guest) -> None:
    if guest.has_file(_MACHINE_ID) and guest.handle.filesize(_MACHINE_ID):
        guest.handle.truncate(_MACHINE_ID)
        guest.changed(f"{_MACHINE_ID}: emptied")
    if guest.has_file(_DBUS_ID) and not guest.is_link(_DBUS_ID):
        guest.remove(_DBUS_ID)
    for path in _SINGLE_FILES:
        if guest.has_file(path):
            guest.remove(path)


def forget_host_keys(guest: Guest) -> None:
    keys = [path for pattern in ("*_key", "*_key.pub") for path in guest.names(f"/etc/ssh/ssh_host_{pattern}")]
    for path in keys:
        guest.remove(path)
    has_maker = guest.has_cloud_init or any(map(guest.has_file, _MAKERS_OF_KEYS))
    if keys and guest.has_file("/usr/bin/ssh-keygen") and not has_maker:
        _make_keys_at_start(guest)


def _make_keys_at_start(guest: Guest) -> None:
    """Debian makes them when the package is installed, and never again: without them sshd would not start."""
    if not guest.has_directory("/etc/systemd/system"):
        guest.noted("/etc/ssh: nothing here makes new host keys; run ssh-keygen -A in a server made from the image")
        return
    wants = "/etc/systemd/system/multi-user.target.wants"
    guest.write(_KEY_UNIT, _KEY_UNIT_TEXT)
    guest.handle.mkdir_p(wants)
    guest.handle.ln_sf(_KEY_UNIT, f"{wants}/{_KEY_UNIT.rpartition('/')[2]}")
    guest.changed(f"{_KEY_UNIT}: makes new host keys at the first start")


def forget_cloud_init(guest: Guest) -> None:
    """As `cloud-init clean`: the next start is the first one. A seed on the disk is configuration, and stays."""
    for path in guest.names("/var/lib/cloud/*"):
        if path.rstrip("/").rpartition("/")[2] != "seed":
            guest.remove_tree(path.rstrip("/"))


def clear_logs(guest: Guest) -> None:
    """Files go, directories stay: there are services which do not start without theirs."""
    for path in guest.names("/var/log/journal/*/"):
        guest.remove_tree(path.rstrip("/"))
    files = [] if not guest.has_directory("/var/log") else _files_below(guest, "/var/log")
    for path in files:
        guest.handle.rm_f(path)
    if files:
        guest.changed(f"/var/log: {len(files)} files removed")
    for path in [path for pattern in _HISTORIES for path in guest.names(pattern)]:
        guest.remove(path)


def _files_below(guest: Guest, directory: str) -> list[str]:
    try:
        names = guest.handle.find(directory)
    except UnicodeDecodeError:
        guest.noted(f"{directory}: left as it is, for some names are not UTF-8")
        return []
    paths = [f"{directory}/{name}" for name in names]
    return [path for path in paths if guest.handle.is_file(path, followsymlinks=False)]
