"""QEMU's argv for a machine. Pure: what it names was opened before, by `machine`.

PCI slots are fixed, since guests call their disks and cards after them: a machine started again is the same machine.

    01  graphics card     09  a bridge: data disks, each in the slot of its index, and last the config drive
    08  system disk       0a  a bridge: network cards, each in the slot after its index
    1c  random numbers

What is behind a bridge can be plugged in and out.
"""

import json
from pathlib import Path

from stillframe.qemu.graph import blockdev
from stillframe.qemu.machine_spec import DiskSpec, Firmware, MachineFiles, MachineSpec, NicSpec
from stillframe.qemu.model import ChainLink

PROGRAM = "qemu-system-x86_64"
# TCG's cache of translated code is 1 GiB by default, more than most guests have memory.
TCG_CACHE_MIB = 256
# q35 plugs PCI devices in and out behind a bridge only, by ACPI, which every guest knows. One bridge costs less time at
# boot than a PCI Express port for each disk that might come.
_BRIDGE = "disks"
_CARD_BRIDGE = "cards"
_CONFIG_DRIVE_SLOT = 0x1F
_SECCOMP = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def build_argv(spec: MachineSpec, files: MachineFiles, *, uefi_code: Path | None = None) -> list[str]:
    """A machine with UEFI has its code in `files` as `uefi_code`, and its variables as `uefi_vars(spec)`."""
    return [
        PROGRAM,
        *_nothing_by_default(spec),
        *_processor(spec, uefi_code),
        *_firmware(spec, files, uefi_code),
        *_channels(files),
        *_file_sets(files),
        *_disks(spec, files),
        *_drives(spec, files),
        *_nics(spec, files),
        *_small_devices(),
    ]


def uefi_vars(spec: MachineSpec) -> Path:
    """Where the machine keeps its boot variables."""
    return spec.run_dir / "uefi-vars.fd"


def _nothing_by_default(spec: MachineSpec) -> list[str]:
    # The screen listens nowhere: who is to see it is handed over by the control socket.
    bare = ["-nodefaults", "-no-user-config", "-display", "none", "-vnc", "none", "-monitor", "none"]
    # By what the PC says of itself, cloud-init knows before it looks that there is a metadata service of OpenStack's.
    about = "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,family=Virtual Machine"
    names = ["-name", spec.server_id, "-uuid", spec.server_id, "-smbios", f"{about},serial={spec.server_id}"]
    return [*names, *bare, "-sandbox", _SECCOMP, "-msg", "timestamp=on", "-rtc", "base=utc"]


def _processor(spec: MachineSpec, uefi_code: Path | None) -> list[str]:
    pflash = ",pflash0=uefi-code,pflash1=uefi-vars" if uefi_code else ""
    if spec.accelerator == "kvm":
        accelerator, cpu = "kvm", "host"
    else:
        accelerator, cpu = f"tcg,thread=multi,tb-size={TCG_CACHE_MIB}", "max"
    size = ["-smp", str(spec.vcpus), "-m", f"{spec.memory_mib}M"]
    return ["-machine", f"q35{pflash}", "-accel", accelerator, "-cpu", cpu, *size, "-boot", "strict=on"]


def _firmware(spec: MachineSpec, files: MachineFiles, uefi_code: Path | None) -> list[str]:
    if spec.firmware is Firmware.BIOS:
        return []
    if uefi_code is None:
        raise ValueError("a machine with UEFI needs its code")
    code = {"driver": "file", "filename": _set(files, uefi_code), "read-only": True}
    variables = {"driver": "file", "filename": _set(files, uefi_vars(spec))}
    return [
        "-blockdev",
        json.dumps({"driver": "raw", "node-name": "uefi-code", "read-only": True, "file": code}),
        "-blockdev",
        json.dumps({"driver": "raw", "node-name": "uefi-vars", "file": variables}),
    ]


def _channels(files: MachineFiles) -> list[str]:
    """The control socket, and the serial console, whose log is written whether or not somebody listens."""
    serial = f"socket,id=serial0,fd={files.serial},server=on,wait=off"
    return [
        *("-chardev", f"socket,id=qmp0,fd={files.qmp},server=on,wait=off", "-mon", "chardev=qmp0,mode=control"),
        *("-chardev", f"{serial},logfile=/dev/fdset/{files.console},logappend=on"),
        *("-device", "isa-serial,chardev=serial0"),
    ]


def _file_sets(files: MachineFiles) -> list[str]:
    opened = (files.console, *files.disks.values())
    return [word for number in opened for word in ("-add-fd", f"fd={number},set={number}")]


def _disks(spec: MachineSpec, files: MachineFiles) -> list[str]:
    bridge = ["-device", f"pcie-pci-bridge,id={_BRIDGE},{_slot(0x09, 0)}"]
    return [*bridge, *(word for disk in spec.disks for word in _disk(disk, files))]


def _disk(disk: DiskSpec, files: MachineFiles) -> list[str]:
    # 0 is for a CD-ROM which is to boot first.
    device = disk_device(disk) | {"bootindex": str(disk.device_index + 1)}
    driver = device.pop("driver")
    node = blockdev(disk.chain, name=disk.node_name, writable=disk.writable, file_name=lambda path: _set(files, path))
    return ["-blockdev", node, "-device", ",".join([driver, *(f"{name}={value}" for name, value in device.items())])]


def disk_device(disk: DiskSpec) -> dict[str, str]:
    """The guest's device on top of the disk's node, as `device_add` takes it; the disk is in its place for good."""
    device = {"driver": "virtio-blk-pci", "id": disk.device_id, "drive": disk.node_name}
    if disk.device_index:
        device |= {"bus": _BRIDGE, "addr": hex(disk.device_index)}
    else:
        device |= {"addr": "0x08.0", "multifunction": "on"}
    return device | {"serial": disk.serial} if disk.serial else device


def _drives(spec: MachineSpec, files: MachineFiles) -> list[str]:
    argv = []
    if spec.config_drive:
        node = _read_only("config-drive", spec.config_drive, files)
        slot = f"bus={_BRIDGE},addr={_CONFIG_DRIVE_SLOT:#04x}"
        argv += ["-blockdev", node, "-device", f"virtio-blk-pci,drive=config-drive,{slot}"]
    if spec.cdrom:
        boot_index = 0 if spec.boots_from_cdrom else 100
        argv += ["-blockdev", _read_only("cdrom", spec.cdrom, files)]
        argv += ["-device", f"ide-cd,drive=cdrom,bus=ide.0,bootindex={boot_index}"]
    return argv


def _read_only(name: str, path: Path, files: MachineFiles) -> str:
    chain = (ChainLink(path, "raw"),)
    return blockdev(chain, name=name, writable=False, file_name=lambda found: _set(files, found))


def _nics(spec: MachineSpec, files: MachineFiles) -> list[str]:
    argv = ["-device", f"pcie-pci-bridge,id={_CARD_BRIDGE},{_slot(0x0A, 0)}"]
    for nic, listening in zip(spec.nics, files.nics, strict=True):
        device = nic_device(nic)
        driver = device.pop("driver")
        argv += ["-netdev", f"stream,id={nic.netdev_id},server=on,addr.type=fd,addr.str={listening}"]
        argv += ["-device", ",".join([driver, *(f"{name}={value}" for name, value in device.items())])]
    return argv


def nic_device(nic: NicSpec) -> dict[str, str]:
    """The guest's card on top of its netdev, as `device_add` takes it."""
    # No option ROM: these machines never boot from the network.
    device = {"driver": "virtio-net-pci", "id": nic.device_id, "netdev": nic.netdev_id, "mac": nic.mac, "romfile": ""}
    return device | {"bus": _CARD_BRIDGE, "addr": hex(nic.device_index + 1)}


def _small_devices() -> list[str]:
    random = ["-object", "rng-builtin,id=rng0", "-device", f"virtio-rng-pci,rng=rng0,{_slot(0x1C, 0)}"]
    return ["-device", f"VGA,{_slot(0x01, 0)}", *random]


def _slot(first: int, number: int) -> str:
    return f"addr={first + number // 8:#04x}.{number % 8},multifunction=on"


def _set(files: MachineFiles, path: Path) -> str:
    return f"/dev/fdset/{files.disks[path]}"
