"""Which operating system is on the disk, and which firmware starts it."""

import re
from typing import Any

_ESP_GPT = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_BIOS_BOOT_GPT = "21686148-6449-6E6F-744E-656564454649"
_ESP_MBR = 0xEF
_BOOT_CODE_BYTES = 440
_OS_RELEASE = re.compile(r'^(ID|VERSION_ID|PRETTY_NAME)=["\']?([^"\'\n]{0,100})', re.MULTILINE)


class Found:
    """`root` is the file system that libguestfs knows the system by; empty if none is recognised."""

    def __init__(self, root: str, system: dict[str, Any] | None, firmware: str) -> None:
        self.root = root
        self.system = system
        self.firmware = firmware

    def as_json(self) -> dict[str, Any]:
        return {"system": self.system, "firmware": self.firmware}

    @property
    def is_linux(self) -> bool:
        return self.system is not None and self.system["os_type"] == "linux"


def inspect(handle: Any) -> Found:
    roots = handle.inspect_os()
    root = roots[0] if roots else ""
    return Found(root, _describe(handle, root) if root else None, _firmware(handle))


def mount_all(handle: Any, root: str, *, writable: bool) -> list[str]:
    """Every file system of the guest where its fstab wants it; what cannot be mounted is told in the answer."""
    mount = handle.mount if writable else handle.mount_ro
    problems = []
    points = handle.inspect_get_mountpoints(root)
    for point in sorted(points, key=len):
        try:
            mount(points[point], point)
        except RuntimeError as error:
            problems.append(f"{point}: cannot be mounted: {error}")
    return problems


def _describe(handle: Any, root: str) -> dict[str, Any]:
    described = {
        "os_type": handle.inspect_get_type(root),
        "distro": handle.inspect_get_distro(root),
        "major": handle.inspect_get_major_version(root),
        "minor": handle.inspect_get_minor_version(root),
        "arch": handle.inspect_get_arch(root),
        "product_name": handle.inspect_get_product_name(root)[:200],
    }
    if described["os_type"] == "linux" and "unknown" in (described["distro"], described["product_name"]):
        described.update(_from_os_release(handle, root, described))
    return described


def _from_os_release(handle: Any, root: str, described: dict[str, Any]) -> dict[str, Any]:
    """For systems younger than this libguestfs."""
    mount_all(handle, root, writable=False)
    paths = [path for path in ("/etc/os-release", "/usr/lib/os-release") if handle.is_file(path, followsymlinks=True)]
    text = bytes(handle.pread(paths[0], 16384, 0)).decode(errors="replace") if paths else ""
    handle.umount_all()
    said = dict(_OS_RELEASE.findall(text))
    numbers = [int(number) for number in re.findall(r"\d{1,6}", said.get("VERSION_ID", ""))[:2]]
    known = described["distro"] != "unknown"
    return {
        "distro": described["distro"] if known else said.get("ID", "unknown"),
        "major": described["major"] or (numbers[0] if numbers else 0),
        "minor": described["minor"] or (numbers[1] if len(numbers) > 1 else 0),
        "product_name": said.get("PRETTY_NAME", described["product_name"]),
    }


def _firmware(handle: Any) -> str:
    """UEFI where only UEFI can start the disk: images that both can start are shown as bios, which every server has."""
    device = handle.list_devices()[0]
    try:
        table = handle.part_get_parttype(device)
        numbers = [part["part_num"] for part in handle.part_list(device)]
    except RuntimeError:
        return "bios"
    if table == "gpt":
        kinds = {handle.part_get_gpt_type(device, number).upper() for number in numbers}
        return "uefi" if _ESP_GPT in kinds and _BIOS_BOOT_GPT not in kinds else "bios"
    has_esp = any(handle.part_get_mbr_id(device, number) == _ESP_MBR for number in numbers)
    return "uefi" if has_esp and not any(bytes(handle.pread_device(device, _BOOT_CODE_BYTES, 0))) else "bios"
