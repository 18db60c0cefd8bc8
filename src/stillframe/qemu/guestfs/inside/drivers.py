"""What the kernel needs to find the cloud's disks and cards: virtio, already in the initramfs.

Source: Open Telekom Cloud, IMS user guide, "Installing Native KVM Drivers".
"""

import re

from stillframe.qemu.guestfs.inside.guest import Guest

_MODULES = ("virtio", "virtio_ring", "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net")
_NEEDED = "virtio_blk"
_KERNELS = ("/boot/vmlinuz-*", "/boot/vmlinux-*")
_INITRAMFS = ("/boot/initrd.img-{}", "/boot/initramfs-{}.img", "/boot/initrd-{}")
_BUILT_IN = re.compile(r"^CONFIG_VIRTIO_BLK=y$", re.MULTILINE)

_LOADED_BY_INITRAMFS_TOOLS = "/etc/initramfs-tools/modules"
_DRACUT = "/etc/dracut.conf.d/50-virtio.conf"
_SUSE = "/etc/sysconfig/kernel"


def ensure_virtio(guest: Guest) -> None:
    """Looks into each kernel's initramfs; one without the drivers is made anew by the guest's own program."""
    lacking = [kernel for kernel in _kernels(guest) if _lacks_virtio(guest, kernel)]
    if lacking:
        _configure(guest)
    for kernel in lacking:
        _make_initramfs(guest, kernel)
    _remove_vmware_services(guest)
    _set_aside_xorg(guest)


def _kernels(guest: Guest) -> list[str]:
    paths = [path for pattern in _KERNELS for path in guest.names(pattern)]
    return [path.partition("-")[2] for path in paths if "rescue" not in path]


def _lacks_virtio(guest: Guest, kernel: str) -> bool:
    if _BUILT_IN.search(guest.read(f"/boot/config-{kernel}") or ""):
        return False
    initramfs = next((path.format(kernel) for path in _INITRAMFS if guest.has_file(path.format(kernel))), None)
    if initramfs is None:
        return False
    listed = _content(guest, initramfs)
    if listed is None:
        guest.noted(f"{initramfs}: cannot be looked into; whether it has the virtio drivers is not known")
        return False
    return _NEEDED not in listed


def _content(guest: Guest, initramfs: str) -> str | None:
    """Names of the files in it, by the guest's own program, or by libguestfs for a single compressed archive."""
    for program in ("/usr/bin/lsinitramfs", "/usr/bin/lsinitrd"):
        if guest.has_file(program):
            try:
                return str(guest.handle.command([program, initramfs]))
            except (RuntimeError, UnicodeDecodeError):
                break
    try:
        return "\n".join(guest.handle.initrd_list(initramfs))
    except (RuntimeError, UnicodeDecodeError):
        return None


def _configure(guest: Guest) -> None:
    """So that later kernels of the guest's get them, too."""
    text = guest.read(_LOADED_BY_INITRAMFS_TOOLS)
    if text is not None:
        missing = [module for module in _MODULES if not re.search(rf"^\s*{module}\b", text, re.MULTILINE)]
        new_text = "".join([text.rstrip("\n"), "\n", *(f"{module}\n" for module in missing)])
        guest.rewrite(_LOADED_BY_INITRAMFS_TOOLS, text, new_text, "virtio drivers added")
    elif guest.has_directory("/etc/dracut.conf.d"):
        guest.write(_DRACUT, f'add_drivers+=" {" ".join(_MODULES)} "\n')
        guest.changed(f"{_DRACUT}: virtio drivers added")
    elif (text := guest.read(_SUSE)) is not None:
        added = re.sub(r'^(INITRD_MODULES=")', rf"\1{' '.join(_MODULES)} ", text, flags=re.MULTILINE)
        guest.rewrite(_SUSE, text, added, "virtio drivers added")


def _make_initramfs(guest: Guest, kernel: str) -> None:
    makers: tuple[tuple[str, list[str]], ...] = (
        ("/usr/sbin/update-initramfs", ["-u", "-k", kernel]),
        ("/usr/bin/dracut", ["--force", f"/boot/initramfs-{kernel}.img", kernel]),
        ("/usr/sbin/dracut", ["--force", f"/boot/initramfs-{kernel}.img", kernel]),
        ("/sbin/mkinitrd", []),
    )
    maker = next(((program, rest) for program, rest in makers if guest.has_file(program)), None)
    if maker is None:
        guest.noted(f"the initramfs of kernel {kernel} has no virtio drivers, and nothing here can make another")
        return
    program, rest = maker
    try:
        guest.handle.command([program, *rest])
    except (RuntimeError, UnicodeDecodeError) as error:
        guest.noted(f"the initramfs of kernel {kernel} has no virtio drivers, and {program} failed: {error}")
    else:
        guest.changed(f"the initramfs of kernel {kernel}: made anew with the virtio drivers")


def _remove_vmware_services(guest: Guest) -> None:
    """Links that start them; the programs stay."""
    for name in ("vmtoolsd", "vgauthd", "open-vm-tools", "vmware-tools"):
        for path in guest.names(f"/etc/systemd/system/*.wants/{name}.service"):
            guest.remove(path, "removed, the service is not started any more")
        for path in guest.names(f"/etc/rc*.d/S*{name}"):
            guest.remove(path, "removed, the service is not started any more")


def _set_aside_xorg(guest: Guest) -> None:
    if guest.has_file("/etc/X11/xorg.conf"):
        guest.handle.mv("/etc/X11/xorg.conf", "/etc/X11/xorg.conf.before-import")
        guest.changed("/etc/X11/xorg.conf: set aside, for it names the display hardware of another machine")
