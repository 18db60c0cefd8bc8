"""What is true of the public image, for those who register it."""

from pathlib import Path

import msgspec
import platformdirs


class PublicImage(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str
    os_type: str
    os_version: str
    """One of the labels which image management accepts as `__os_version`."""
    platform: str
    os_bits: str
    architecture: str
    firmware: str
    disk_format: str
    min_disk_gib: int
    min_ram_mib: int


PUBLIC_IMAGE = PublicImage(
    name="stillframe-tiny",
    description="A small Linux with a root shell on the serial console; reads a config drive, grows to its disk.",
    os_type="Linux",
    os_version="Other Linux(64 bit)",
    platform="Other",
    os_bits="64",
    architecture="x86",
    firmware="bios",
    disk_format="qcow2",
    min_disk_gib=1,
    min_ram_mib=128,
)


def default_cache_dir() -> Path:
    return platformdirs.user_cache_path("stillframe")
