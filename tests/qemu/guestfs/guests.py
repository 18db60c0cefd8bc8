"""Disks with the files of an operating system on them: nothing that starts, all that can be found out and changed.

Made from Debian's own tools, without root and without mounting anything, in a tenth of a second.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stillframe.qemu.model import ChainLink
from tests.qemu.disks import MIB, tool

ROOT_UUID = "4eb40294-4c6f-4384-bbb6-b8795bbb1130"
_ROOT_MIB = 24
_FIRST_MIB = 1

DEBIAN = {
    "etc/os-release": (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
        'VERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
    ),
    "etc/debian_version": "12.5\n",
    "etc/hostname": "old-name\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/fstab": "# file systems\n/dev/xvda1  /  ext4  errors=remount-ro  0 1\n/dev/sdb1  /data  ext4  defaults  0 2\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", NAME="eth0"\n',
    "etc/udev/rules.d/60-mine.rules": "# stays\n",
    "etc/network/interfaces": (
        "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n"
        "    address 192.168.1.109/24\n    gateway 192.168.1.1\n    mtu 1400\n"
    ),
    "etc/ssh/ssh_host_ed25519_key": "secret\n",
    "etc/ssh/ssh_host_ed25519_key.pub": "public\n",
    "etc/ssh/sshd_config": "PermitRootLogin no\n",
    "etc/systemd/system/.keep": "",
    "etc/default/grub": 'GRUB_CMDLINE_LINUX="root=/dev/sda1"\n',
    "etc/initramfs-tools/modules": "# one a line\n",
    "boot/grub/grub.cfg": (
        "menuentry 'Debian' {\n  linux /boot/vmlinuz-6.1.0-1-amd64 root=/dev/sda1 ro\n"
        "  initrd /boot/initrd.img-6.1.0-1-amd64\n}\n"
    ),
    "boot/vmlinuz-6.1.0-1-amd64": "not a kernel\n",
    "boot/initrd.img-6.1.0-1-amd64": "not an initramfs\n",
    "usr/bin/ssh-keygen": "#!/bin/sh\n",
    "usr/bin/lsinitramfs": "#!/bin/sh\ncat /var/lib/initramfs-content\n",
    "usr/sbin/update-initramfs": "#!/bin/sh\necho kernel/virtio_blk.ko >>/var/lib/initramfs-content\n",
    "usr/bin/mount": "#!/bin/sh\n",
    "var/lib/initramfs-content": "kernel/ahci.ko\n",
    "var/lib/cloud/data/instance-id": "i-1\n",
    "var/lib/cloud/seed/nocloud/meta-data": "instance-id: mine\n",
    "var/log/syslog": "a line\n",
    "var/log/apt/history.log": "a line\n",
    "var/log/journal/0123456789abcdef0123456789abcdef/system.journal": "binary\n",
    "root/.bash_history": "secret command\n",
    "home/.keep": "",
    "tmp/.keep": "",
    "dev/.keep": "",
    "proc/.keep": "",
    "sys/.keep": "",
}


def debian_disk(path: Path, changes: Mapping[str, str | None] | None = None) -> ChainLink:
    """A qcow2 disk with one partition that holds Debian 12; None takes a file away."""
    files = {name: text for name, text in {**DEBIAN, **(changes or {})}.items() if text is not None}
    tree = path.with_suffix(".tree")
    for name, text in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)
    (tree / "bin").symlink_to("usr/bin")
    shutil.copy("/bin/busybox", tree / "usr/bin/busybox")
    for name in ("sh", "bash", "cat", "echo"):
        (tree / "usr/bin" / name).symlink_to("busybox")
    return disk_of_tree(tree, path)


def open_euler_disk(path: Path) -> ChainLink:
    """A system that Debian 12's libguestfs has not heard of, and that only UEFI starts."""
    tree = path.with_suffix(".tree")
    for name in ("etc", "bin", "boot", "dev", "root", "usr", "var"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/os-release").write_text('ID="openEuler"\nVERSION_ID="24.03"\nPRETTY_NAME="openEuler 24.03 (LTS)"\n')
    (tree / "etc/fstab").write_text("")
    return disk_of_tree(tree, path, "label: gpt\nstart=2048, size=49152, type=L\nstart=51200, size=1024, type=U\n")


def disk_of_tree(tree: Path, path: Path, table: str = "label: dos\nstart=2048, type=83, bootable\n") -> ChainLink:
    """The tree as an ext4 file system in the first partition."""
    root, raw = path.with_suffix(".ext4"), path.with_suffix(".raw")
    with root.open("wb") as file:
        file.truncate(_ROOT_MIB * MIB)
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-U", ROOT_UUID, "-d", str(tree), str(root))
    with raw.open("wb") as file:
        file.truncate((_FIRST_MIB + _ROOT_MIB + 1) * MIB)
    subprocess.run(["sfdisk", "-q", str(raw)], input=table, text=True, check=True)
    tool("dd", f"if={root}", f"of={raw}", f"seek={_FIRST_MIB}", "bs=1M", "conv=notrunc,sparse", "status=none")
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(raw), str(path))
    shutil.rmtree(tree)
    root.unlink()
    raw.unlink()
    return ChainLink(path, "qcow2")


def file_in(disk: Path, name: str) -> str | None:
    """Read by e2fsprogs, not by the tools under test; None for what is not there."""
    raw, root = disk.with_suffix(".look.raw"), disk.with_suffix(".look.ext4")
    if not root.exists() or root.stat().st_mtime < disk.stat().st_mtime:
        tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(disk), str(raw))
        tool("dd", f"if={raw}", f"of={root}", f"skip={_FIRST_MIB}", f"count={_ROOT_MIB}", "bs=1M", "status=none")
    done = subprocess.run(["debugfs", "-R", f'cat "/{name}"', str(root)], capture_output=True, check=True)
    return None if b"File not found" in done.stderr else done.stdout.decode()
