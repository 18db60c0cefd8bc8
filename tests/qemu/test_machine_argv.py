import itertools
import json
from pathlib import Path

import pytest

from stillframe.qemu.machine_argv import build_argv, uefi_vars
from stillframe.qemu.machine_spec import DiskSpec, Firmware, MachineFiles, MachineSpec, NicSpec
from stillframe.qemu.model import ChainLink

ID = "6b1f2d0e-6d0f-4b53-9a53-0d9a5be1b0f1"
TOP = ChainLink(Path("/data/layers/top.qcow2"), "qcow2")
BASE = ChainLink(Path("/data/layers/base.qcow2"), "qcow2")
DATA = ChainLink(Path("/data/layers/data.raw"), "raw")
DRIVE = Path("/data/machines/config-drive.iso")
UEFI = Path("/usr/share/OVMF/CODE.fd")
RUN = Path("/data/machines/one")


def spec(**changes: object) -> MachineSpec:
    values: dict[str, object] = {
        "server_id": ID,
        "run_dir": RUN,
        "memory_mib": 512,
        "vcpus": 2,
        "disks": (DiskSpec(chain=(TOP, BASE), device_index=0, serial="abc"), DiskSpec(chain=(DATA,), device_index=9)),
        "accelerator": "tcg",
        "config_drive": DRIVE,
        "nics": (NicSpec(port_id=ID, mac="fa:16:3e:00:00:01"),),
    }
    return MachineSpec(**{**values, **changes})  # type: ignore[arg-type]


def argv(machine: MachineSpec, uefi_code: Path | None = None) -> list[str]:
    disks = {
        TOP.path: 20,
        BASE.path: 21,
        DATA.path: 22,
        DRIVE: 23,
        uefi_vars(machine): 24,
        Path("/cd.iso"): 25,
        UEFI: 26,
    }
    files = MachineFiles(qmp=10, serial=11, console=12, disks=disks, nics=(30,) * len(machine.nics))
    return build_argv(machine, files, uefi_code=uefi_code)


def values(words: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_no_path_of_ours_reaches_qemu() -> None:
    assert "/data" not in " ".join(argv(spec()))


def test_disks_are_opened_by_descriptor_and_only_the_top_for_writing() -> None:
    top = json.loads(values(argv(spec()), "-blockdev")[0])
    assert (top["file"]["filename"], top["read-only"]) == ("/dev/fdset/20", False)
    assert (top["backing"]["file"]["filename"], top["backing"]["read-only"]) == ("/dev/fdset/21", True)
    assert "fd=20,set=20" in values(argv(spec()), "-add-fd")


def test_devices_have_fixed_places() -> None:
    devices = values(argv(spec()), "-device")
    assert "virtio-blk-pci,id=virtio-disk0,drive=disk0,addr=0x08.0,multifunction=on,serial=abc,bootindex=1" in devices
    assert "pcie-pci-bridge,id=disks,addr=0x09.0,multifunction=on" in devices
    assert "virtio-blk-pci,id=virtio-disk9,drive=disk9,bus=disks,addr=0x9,bootindex=10" in devices
    assert "virtio-blk-pci,drive=config-drive,bus=disks,addr=0x1f" in devices
    assert "pcie-pci-bridge,id=cards,addr=0x0a.0,multifunction=on" in devices
    card = f"virtio-net-pci,id=nic-{ID},netdev=net-{ID},mac=fa:16:3e:00:00:01,romfile=,bus=cards,addr=0x1"
    assert card in devices


def test_a_card_is_a_socket_that_the_switch_connects_to() -> None:
    assert values(argv(spec()), "-netdev") == [f"stream,id=net-{ID},server=on,addr.type=fd,addr.str=30"]
    assert values(argv(spec(nics=())), "-netdev") == []


def test_nothing_but_the_control_socket_controls_it() -> None:
    words = argv(spec())
    assert values(words, "-monitor") == ["none"]
    assert values(words, "-display") == ["none"]
    assert values(words, "-sandbox") == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    assert {"-nodefaults", "-no-user-config"} < set(words)
    assert values(words, "-vnc") == ["none"]
    assert not {"-qmp", "-gdb", "-s", "-incoming"} & set(words)


def test_kvm_gets_the_host_s_processor() -> None:
    assert values(argv(spec(accelerator="kvm")), "-accel") == ["kvm"]
    assert values(argv(spec(accelerator="kvm")), "-cpu") == ["host"]


def test_uefi_has_its_code_and_variables_of_its_own() -> None:
    words = argv(spec(firmware=Firmware.UEFI), uefi_code=UEFI)
    assert values(words, "-machine") == ["q35,pflash0=uefi-code,pflash1=uefi-vars"]
    code, variables = (json.loads(node) for node in values(words, "-blockdev")[:2])
    assert code["file"] == {"driver": "file", "filename": "/dev/fdset/26", "read-only": True}
    assert variables["file"]["filename"] == "/dev/fdset/24"


def test_a_cdrom_boots_first_only_when_told() -> None:
    words = argv(spec(cdrom=Path("/cd.iso")))
    assert "ide-cd,drive=cdrom,bus=ide.0,bootindex=100" in values(words, "-device")
    words = argv(spec(cdrom=Path("/cd.iso"), boots_from_cdrom=True))
    assert "ide-cd,drive=cdrom,bus=ide.0,bootindex=0" in values(words, "-device")


@pytest.mark.parametrize(
    "changes",
    [
        {"server_id": "x,y"},
        {"server_id": ID.upper()},
        {"memory_mib": 0},
        {"vcpus": 0},
        {"disks": (DiskSpec(chain=(DATA,), device_index=1),) * 2},
    ],
)
def test_a_machine_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"server id|memory|two disks"):
        spec(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"mac": "FA:16:3E:00:00:01"},
        {"mac": "fa:16:3e:00:00:01,id=x"},
        {"port_id": "../../etc/passwd"},
    ],
)
def test_a_card_that_cannot_be_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"hardware address|port id"):
        NicSpec(**{"mac": "fa:16:3e:00:00:01", "port_id": ID, **changes})


@pytest.mark.parametrize("changes", [{"serial": "a,b"}, {"serial": "x" * 21}, {"device_index": 31}])
def test_a_disk_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"serial|room"):
        DiskSpec(**{"chain": (DATA,), "device_index": 0, **changes})  # type: ignore[arg-type]
