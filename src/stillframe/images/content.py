"""Whether uploaded bytes are what they were declared to be, and harmless."""

import asyncio
from pathlib import Path

from oslo_utils.imageutils import format_inspector

from stillframe.images.errors import ImageContentError

_RECOGNIZED = frozenset({"raw", "qcow2", "iso", "vmdk", "vhd", "vhdx", "vdi"})


async def checked_virtual_size(path: Path, disk_format: str, size_bytes: int) -> int | None:
    """The size of the disk in the file; None for formats that nobody can look into.

    Raises: ImageContentError.
    """
    if disk_format not in _RECOGNIZED:
        return None
    found, virtual_size_bytes = await asyncio.to_thread(_inspect, path)
    if found != disk_format:
        raise ImageContentError(f"The data is of the format {found}, not {disk_format} as declared.")
    return size_bytes if found in {"raw", "iso"} else virtual_size_bytes


def _inspect(path: Path) -> tuple[str, int]:
    inspector = format_inspector.detect_file_format(str(path))
    if inspector is None:
        raise ImageContentError
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        raise ImageContentError("The data refers to other files or is damaged.", cause=error) from None
    return str(inspector), inspector.virtual_size
