"""What a machine is made of. Nothing in it is a caller's text: each field ends up in QEMU's argv and is checked."""

import enum
import re
from pathlib import Path
from typing import Literal

import msgspec

from stillframe.qemu.model import Chain

AcceleratorKind = Literal["kvm", "tcg"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_SERIAL = re.compile(r"[0-9A-Za-z-]{0,20}", re.ASCII)

MAX_DISKS = 31
MAX_NICS = 16


class Firmware(enum.StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class DiskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A disk of the guest. `device_index` 0 is /dev/vda and the one to boot from.

    `serial` shows up in the guest as /dev/disk/by-id/virtio-<serial>; 20 characters are what virtio has room for.
    """

    chain: Chain
    device_index: int
    writable: bool = True
    serial: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.device_index < MAX_DISKS:
            raise ValueError(f"a machine has room for {MAX_DISKS} disks")
        if not _SERIAL.fullmatch(self.serial):
            raise ValueError(f"{self.serial!r} is no disk serial")

    @property
    def node_name(self) -> str:
        return f"disk{self.device_index}"

    @property
    def device_id(self) -> str:
        return f"virtio-disk{self.device_index}"


class NicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A network card. Its frames go through a socket in the machine's directory, where the switch connects.

    Until it does, and while it is away, the card is there and its frames are lost. `device_index` is its place.
    """

    port_id: str
    mac: str
    device_index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.device_index < MAX_NICS:
            raise ValueError(f"a machine has room for {MAX_NICS} network cards")
        if not _MAC.fullmatch(self.mac):
            raise ValueError(f"{self.mac!r} is no hardware address in lower case")
        if not _UUID.fullmatch(self.port_id):
            raise ValueError(f"{self.port_id!r} is no port id")

    @property
    def netdev_id(self) -> str:
        return f"net-{self.port_id}"

    @property
    def device_id(self) -> str:
        return f"nic-{self.port_id}"


def spare_socket(descriptor: int) -> str:
    """A listening socket that QEMU has under that number, for a card which comes later."""
    return f"spare-{descriptor}.sock"


def nic_socket(port_id: str) -> str:
    """The socket's name in the machine's directory."""
    return f"nic-{port_id}.sock"


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """`run_dir` is the machine's own private directory: sockets, console log, what QEMU had to say."""

    server_id: str
    run_dir: Path
    memory_mib: int
    vcpus: int
    disks: tuple[DiskSpec, ...]
    accelerator: AcceleratorKind
    firmware: Firmware = Firmware.BIOS
    config_drive: Path | None = None
    cdrom: Path | None = None
    nics: tuple[NicSpec, ...] = ()
    boots_from_cdrom: bool = False

    def __post_init__(self) -> None:
        if not _UUID.fullmatch(self.server_id):
            raise ValueError(f"{self.server_id!r} is no server id")
        if self.memory_mib < 1 or self.vcpus < 1:
            raise ValueError("a machine has memory and a processor")
        indexes = [disk.device_index for disk in self.disks]
        if len(set(indexes)) != len(indexes):
            raise ValueError("two disks in one place")
        if len({nic.device_index for nic in self.nics}) != len(self.nics):
            raise ValueError("two network cards in one place")


class MachineFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Descriptors QEMU inherits. It opens no file of ours itself, so it needs no right to their paths."""

    qmp: int
    serial: int
    console: int
    disks: dict[Path, int]
    nics: tuple[int, ...] = ()
    spares: tuple[int, ...] = ()
    """Sockets for cards that are plugged in later."""

    @property
    def all(self) -> tuple[int, ...]:
        return (self.qmp, self.serial, self.console, *self.disks.values(), *self.nics, *self.spares)


class RunningMachine(msgspec.Struct, frozen=True, kw_only=True):
    """One QEMU process. The kernel's start time tells it from a later process with the same pid."""

    server_id: str
    run_dir: Path
    pid: int
    start_time_ticks: int
