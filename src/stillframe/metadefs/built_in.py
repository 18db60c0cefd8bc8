"""The definitions a new installation has: the properties of images that this service itself reads or writes.

Open Telekom Cloud, IMS API reference, "Image Attributes", is where their names and values come from.
"""

from typing import Any

from stillframe.images.model import ImageKind

IMAGES = "OS::Glance::Image"
"""The resource type that all of them are for."""


def _text(title: str, description: str, *values: str, default: str | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "title": title, "description": description}
    if values:
        schema["enum"] = list(values)
    return schema if default is None else {**schema, "default": default}


NAMESPACES: dict[str, tuple[str, str, dict[str, dict[str, Any]]]] = {
    "Stillframe::Image::OperatingSystem": (
        "Operating system",
        "What runs from the image. Filled in from the disk's content when nobody says it.",
        {
            "__os_type": _text("Kind", "The family of the operating system.", "Linux", "Windows", default="Linux"),
            "__platform": _text("Platform", "The distribution, such as Ubuntu or Debian.", default="Other"),
            "__os_version": _text(
                "Version",
                "The whole name, such as `Debian GNU/Linux 12.0.0 64bit`.",
                default="Other Linux(64 bit)",
            ),
            "__os_bit": _text("Bits", "How wide the system's addresses are.", "32", "64", default="64"),
        },
    ),
    "Stillframe::Image::Machine": (
        "Machine",
        "What a server started from the image must be like.",
        {
            "hw_firmware_type": _text("Firmware", "What starts the server.", "bios", "uefi", default="bios"),
            "architecture": _text(
                "Architecture", "The processors the image was made for.", "x86", "arm", default="x86"
            ),
            "max_ram": {
                "type": "integer",
                "title": "Largest memory",
                "description": "MiB that a server may have at most; 0 for any number.",
                "minimum": 0,
                "default": "0",
            },
            "virtual_env_type": _text(
                "Purpose", "What the disk in the image is for.", *ImageKind, default=ImageKind.SYSTEM.value
            ),
        },
    ),
}
"""Name -> (what people call it, what it is for, its properties)."""
