#!/usr/bin/env bash
# Makes a Debian with systemd, cloud-init and an SSH server from Debian's own packages, as its cloud images are. No mounts.
# Usage: build.sh OUT.qcow2        as root: the packages' scripts run in a chroot
#
#   sector 0        MBR: syslinux boot code, partition table
#   1 MiB           FAT "BOOT": syslinux, kernel, initramfs
#   97 MiB          ext4 "debian-root", which cloud-init makes reach the disk's end
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

out=$(realpath -m "$1")
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

boot_mib=96
packages=(
    linux-image-cloud-amd64 systemd-sysv dbus udev kmod e2fsprogs ca-certificates
    cloud-init cloud-guest-utils cloud-initramfs-growroot openssh-server sudo
    ifupdown isc-dhcp-client iproute2 iputils-ping netbase
)

mmdebstrap --quiet --mode=root --variant=minbase --include="${packages[*]}" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" root

echo 'LABEL=debian-root / ext4 defaults 0 1' >root/etc/fstab
echo debian >root/etc/hostname
: >root/etc/machine-id
rm -f root/etc/ssh/ssh_host_* root/etc/resolv.conf root/etc/network/interfaces.d/*
echo 'locale: C.UTF-8' >root/etc/cloud/cloud.cfg.d/91_locale.cfg
printf 'source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n' >root/etc/network/interfaces
# What takes minutes of an emulated processor and is not needed here.
rm -f root/etc/systemd/system/timers.target.wants/*

kernel=$(echo root/boot/vmlinuz-*)
cat >syslinux.cfg <<CONFIG
SERIAL 0 115200
DEFAULT linux
PROMPT 0
LABEL linux
 KERNEL vmlinuz
 APPEND initrd=initrd.img root=LABEL=debian-root ro console=ttyS0 net.ifnames=0
CONFIG
truncate -s "${boot_mib}M" boot.fat
mkfs.vfat -n BOOT boot.fat >/dev/null
mcopy -i boot.fat "$kernel" ::vmlinuz
mcopy -i boot.fat root/boot/initrd.img-* ::initrd.img
mcopy -i boot.fat syslinux.cfg ::syslinux.cfg
syslinux --install boot.fat
rm -f root/boot/initrd.img-* root/var/lib/apt/lists/*_* root/var/cache/apt/*.bin

root_mib=$(($(du -sm root | cut -f1) * 5 / 4 + 64))
truncate -s "${root_mib}M" root.ext4
mke2fs -q -F -t ext4 -L debian-root -d root root.ext4

boot_start=2048 boot_size=$((boot_mib * 2048)) root_size=$((root_mib * 2048))
truncate -s "$((1 + boot_mib + root_mib))M" disk.raw
sfdisk -q disk.raw <<TABLE
label: dos
start=$boot_start,size=$boot_size,type=c,bootable
start=$((boot_start + boot_size)),size=$root_size,type=83
TABLE
dd if=/usr/lib/syslinux/mbr/mbr.bin of=disk.raw conv=notrunc status=none
dd if=boot.fat of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
dd if=root.ext4 of=disk.raw bs=1M seek="$((1 + boot_mib))" conv=notrunc,sparse status=none
qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd disk.raw "$out.new"
mv "$out.new" "$out"
