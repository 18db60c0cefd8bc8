"""A small ISO file that starts a machine: the public image's kernel, and a program instead of a system."""

import subprocess
from pathlib import Path

import pycdlib

from stillframe.guest.builder import public_image
from stillframe.guest.facts import default_cache_dir
from tests.qemu.disks import tool

BOOT_PARTITION_AT = "1M"
CONFIG = """SERIAL 0 115200
DEFAULT installer
LABEL installer
  KERNEL vmlinuz
  INITRD initrd.gz,program.gz
  APPEND console=ttyS0 quiet panic=5 rdinit=/program cryptomgr.notests
"""
PROGRAM = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do insmod "$module"; done
until [ -b /dev/vda ]; do sleep 0.1; done
found=$(head -c 9 /dev/vda | tr -d '\\000')
echo "installer: a disk of $(cat /sys/class/block/vda/size) sectors holds '$found'" >/dev/console
printf installed | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null
poweroff -f
"""


def build_installer(path: Path) -> Path:
    """It tells on the console what it finds on the first disk, leaves a mark there, and powers the machine off."""
    raw = path.with_suffix(".raw")
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(public_image(default_cache_dir())), str(raw))
    for name in ("vmlinuz", "initrd.gz"):
        tool("mcopy", "-n", "-i", f"{raw}@@{BOOT_PARTITION_AT}", f"::{name}", str(path.with_name(name)))
    raw.unlink()
    _pack_program(path.parent)
    path.with_name("isolinux.cfg").write_text(CONFIG)
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, rock_ridge="1.09")
    files = [Path("/usr/lib/ISOLINUX/isolinux.bin"), Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")]
    files += [path.with_name(name) for name in ("vmlinuz", "initrd.gz", "program.gz", "isolinux.cfg")]
    for number, file in enumerate(files):
        iso.add_file(str(file), f"/FILE{number}.;1", rr_name=file.name)
    iso.add_eltorito(
        "/FILE0.;1", bootcatfile="/BOOT.CAT;1", rr_bootcatname="boot.cat", boot_info_table=True, boot_load_size=4
    )
    iso.write(str(path))
    iso.close()
    return path


def _pack_program(directory: Path) -> None:
    program = directory / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    script = "echo program | cpio --quiet -o -H newc -R 0:0 | gzip >program.gz"
    subprocess.run(["sh", "-c", script], cwd=directory, check=True)
