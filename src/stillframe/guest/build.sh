#!/usr/bin/env bash
# Makes the public image: a small Linux from Debian's own packages. No root and no mounts are needed.
# Usage: build.sh OUT.qcow2 [KERNEL_ROOT]
# KERNEL_ROOT is "/" or a directory a linux-image-*-cloud-amd64 package was unpacked in (and depmod was run on).
#
#   sector 0        MBR: syslinux boot code, partition table
#   1 MiB           FAT "BOOT": syslinux, kernel, initramfs (finds the root partition, makes it reach the disk's end)
#   25 MiB          ext4 "stillframe-root": busybox, bash, resize2fs, the modules that can wait
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

out=$(realpath -m "$1")
kernel_root=${2:-/}
parts=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

kernel=$(find "$kernel_root/boot" -maxdepth 1 -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -n 1)
[ -n "$kernel" ] || { echo "no cloud kernel in $kernel_root/boot" >&2; exit 1; }
version=${kernel##*/vmlinuz-}
if ldd /bin/busybox >/dev/null 2>&1; then echo "/bin/busybox needs libraries: install busybox-static" >&2; exit 1; fi

boot_mib=24
root_mib=64

# Paths of the named modules and all they need, in the order they load.
modules_of() {
    for module in "$@"; do modprobe -d "$kernel_root" -S "$version" --show-depends "$module"; done |
        awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# Debian 13 compresses its modules; busybox loads plain ones.
copy_module() {
    mkdir -p "$(dirname "$2")"
    case $1 in
        *.xz) xz -dc "$1" >"${2%.xz}" ;;
        *) cp "$1" "$2" ;;
    esac
}

# Copies programs and the libraries they are linked with to the same places below a tree.
copy_programs() {
    local tree=$1
    shift
    ldd "$@" | grep -o '/[^ :]* ' | sort -u | while read -r library; do install -D "$library" "$tree$library"; done
}

make_initramfs() {
    mkdir -p initramfs/{bin,dev,modules,proc,root,sys}
    install "$parts/initramfs/init" initramfs/init
    install /bin/busybox initramfs/bin/busybox
    local number=10
    modules_of virtio_pci virtio_blk | while read -r module; do
        copy_module "$module" "initramfs/modules/$((number++))-${module##*/}"
    done
    (cd initramfs && find . | sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9n >initrd.gz
}

# no_timer_check: on a busy host an emulated timer ticks too late for the kernel's check, and the kernel would give up.
make_boot_partition() {
    cat >syslinux.cfg <<-CONFIG
	SERIAL 0 115200
	DEFAULT linux
	PROMPT 0
	LABEL linux
	 KERNEL vmlinuz
	 APPEND initrd=initrd.gz console=ttyS0 quiet panic=5 cryptomgr.notests no_timer_check
	CONFIG
    truncate -s "${boot_mib}M" boot.fat
    mkfs.vfat -n BOOT boot.fat >/dev/null
    mcopy -i boot.fat "$kernel" ::vmlinuz
    mcopy -i boot.fat initrd.gz ::initrd.gz
    mcopy -i boot.fat syslinux.cfg ::syslinux.cfg
    syslinux --install boot.fat
}

make_root_tree() {
    mkdir -p root/{bin,dev,etc,lib,mnt,proc,root,run,sbin,sys,tmp,var/lib/stillframe,lib64,usr}
    cp -R "$parts/root/." root/
    install /bin/busybox root/bin/busybox
    for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "root/bin/$applet"; done
    ln -s ../bin root/usr/bin
    for applet in init poweroff reboot halt; do ln -s ../bin/busybox "root/sbin/$applet"; done
    install /bin/bash root/bin/bash
    install /sbin/resize2fs root/sbin/resize2fs
    copy_programs root /bin/bash /sbin/resize2fs
    modules_of virtio_pci button evdev virtio_net isofs | while read -r module; do
        copy_module "$module" "root/lib/modules/$version/${module#"${kernel_root%/}/lib/modules/$version/"}"
    done
    cp "$kernel_root/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "root/lib/modules/$version/"
    depmod -b root "$version"
    ln -s /proc/mounts root/etc/mtab
    echo "VERSION_ID=\"$version\"" >>root/etc/os-release
    chmod -R go-w root
    chmod 755 root root/etc/rc root/etc/rc.shutdown root/etc/acpi/PWRF/* root/usr/lib/stillframe/*
    chmod 700 root/root
    chmod 1777 root/tmp
}

# resize= reserves room for the descriptors of a file system of 2 TiB, the most a PC partition table can hold.
make_root_partition() {
    truncate -s "${root_mib}M" root.ext4
    mke2fs -q -F -t ext4 -b 4096 -I 256 -N 4096 -J size=16 -L stillframe-root -E resize=$((2 << 28)) -d root root.ext4
    # Whoever builds, the files belong to the guest's root.
    find root -mindepth 1 -printf 'sif "/%P" uid 0\nsif "/%P" gid 0\n' | debugfs -w -f - root.ext4 >/dev/null 2>&1
}

make_disk() {
    local boot_start=2048 boot_size=$((boot_mib * 2048)) root_size=$((root_mib * 2048))
    truncate -s "$((1 + boot_mib + root_mib))M" disk.raw
    sfdisk -q disk.raw <<-TABLE
	label: dos
	start=$boot_start,size=$boot_size,type=c,bootable
	start=$((boot_start + boot_size)),size=$root_size,type=83
	TABLE
    dd if=/usr/lib/syslinux/mbr/mbr.bin of=disk.raw conv=notrunc status=none
    dd if=boot.fat of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
    dd if=root.ext4 of=disk.raw bs=1M seek="$((1 + boot_mib))" conv=notrunc,sparse status=none
    qemu-img convert -f raw -O qcow2 -c disk.raw "$out"
}

make_initramfs
make_boot_partition
make_root_tree
make_root_partition
make_disk
