"""What a file is, by oslo.utils' inspectors; whether it is whole and alone, by the rules of its format."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from stillframe.errors import InvalidInputError
from stillframe.qemu.inspection import plain, qcow, qcow2, qed, vdi, vhd, vhdx, vmdk
from stillframe.qemu.inspection.model import ForeignFormat, InspectedImage, Window
from stillframe.qemu.inspection.reader import Part, Reader, refuse

_RULES = {
    ForeignFormat.QCOW2: qcow2.virtual_size,
    ForeignFormat.QCOW: qcow.virtual_size,
    ForeignFormat.RAW: plain.raw_size,
    ForeignFormat.VMDK: vmdk.virtual_size,
    ForeignFormat.VHD: vhd.virtual_size,
    ForeignFormat.VHDX: vhdx.virtual_size,
    ForeignFormat.VDI: vdi.virtual_size,
    ForeignFormat.QED: qed.virtual_size,
    ForeignFormat.ISO: plain.iso_size,
}
# What oslo says about these is stricter than a service needs that never lets a tool guess: it bans QED as such, and
# disks with a boot sector but no partitions. Of VHDX it may not have seen enough (see `_HeadAndTail`).
_JUDGED_BY_OUR_RULES_ONLY = {"qed", "gpt", "raw", "vhdx"}
_HEAD_BYTES = 4 * 1024**2
_TAIL_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024


async def inspect_image(
    path: Path,
    *,
    max_virtual_size_bytes: int,
    declared_format: ForeignFormat | None = None,
    window: Window | None = None,
) -> InspectedImage:
    """Whether this file, or the part of it in the window, may become a disk, and of which size.

    What nobody has declared to be a raw disk must look like one: nothing else that is known, and whole sectors.

    Raises: InvalidInputError with a reason for whoever sent the file. Nothing else, whatever the bytes are.
    """
    return await asyncio.to_thread(_inspect, path, max_virtual_size_bytes, declared_format, window)


def _inspect(
    path: Path, max_virtual_size_bytes: int, declared: ForeignFormat | None, window: Window | None = None
) -> InspectedImage:
    with path.open("rb") as whole:
        size_bytes = os.fstat(whole.fileno()).st_size
        if window and window.offset + window.length > size_bytes:
            raise refuse("The image file is truncated: parts of the disk are missing.")
        opened = cast("BinaryIO", Part(whole, window)) if window else whole  # reading is all that is done with it
        file = Reader(opened, window.length if window else size_bytes)
        if file.size_bytes == 0:
            raise refuse("The image file is empty.")
        found = _detect(opened, file)
        # An ISO which also boots from a stick is both; so is any file that somebody calls a raw disk of an ISO.
        if declared and found is not declared and not (declared is ForeignFormat.RAW and found is ForeignFormat.ISO):
            raise refuse(f"The image file is not {declared} but {found}.")
        if declared is None and found is ForeignFormat.RAW:
            plain.require_disk(file)
        size = _RULES[declared or found](file)
    if size == 0:
        raise refuse("The disk in the image file has no size.")
    if size > max_virtual_size_bytes:
        raise refuse(f"The disk in the image file is larger than the {max_virtual_size_bytes} bytes allowed.")
    return InspectedImage(format=declared or found, virtual_size_bytes=size, file_size_bytes=file.size_bytes)


def _detect(opened: BinaryIO, file: Reader) -> ForeignFormat:
    # Loaded with the first file that is looked at: whoever starts a system need not wait for it.
    from oslo_utils.imageutils import format_inspector  # noqa: PLC0415

    if qcow.is_first_version(file):
        return ForeignFormat.QCOW
    try:
        matches = _matches(opened, file.size_bytes)
        names = {inspector.NAME for inspector in matches}
        _check_safety(matches)
    except InvalidInputError:
        raise
    except format_inspector.SafetyCheckFailed as error:
        raise InvalidInputError(_reason(error.failures), field="file", cause=error.failures) from error
    except Exception as error:  # its parsers meet arbitrary bytes; whatever they stumble over is a reason to refuse
        raise InvalidInputError("The image file is damaged.", field="file", cause=error) from error
    if names == {"iso", "gpt"}:
        return ForeignFormat.ISO
    if len(names) != 1:
        raise refuse(f"The image file looks like several formats at once: {', '.join(sorted(names))}.")
    (name,) = names
    if name in ("raw", "gpt"):
        return ForeignFormat.VHD if vhd.is_fixed_vhd(file) else ForeignFormat.RAW
    return ForeignFormat(name)


def _check_safety(matches: list[Any]) -> None:
    for inspector in matches:
        if inspector.NAME == "luks":
            raise refuse("The image file is encrypted.")
        if inspector.NAME not in _JUDGED_BY_OUR_RULES_ONLY:
            inspector.safety_check()


def _matches(opened: BinaryIO, size_bytes: int) -> list[Any]:
    from oslo_utils.imageutils import format_inspector  # noqa: PLC0415

    source = cast("BinaryIO", _HeadAndTail(opened, size_bytes))  # reading is all the wrapper does
    wrapper = format_inspector.InspectWrapper(source)
    while wrapper.formats is None and wrapper.read(_READ_BYTES):
        pass
    wrapper.close()
    return list(wrapper.formats or [])


class _HeadAndTail:
    """The beginning and the end of a file as one stream: all inspectors need, without reading what is between.

    Inspectors which want something from between see something else there, so their word is not taken for more than the
    format: the rules look it up where it really is.
    """

    def __init__(self, opened: BinaryIO, size_bytes: int) -> None:
        self._opened = opened
        self._tail_at = size_bytes - _TAIL_BYTES
        opened.seek(0)

    def read(self, length: int) -> bytes:
        at = self._opened.tell()
        if at >= _HEAD_BYTES and at < self._tail_at:
            self._opened.seek(self._tail_at)
        return self._opened.read(length)


_REASONS = {
    "backing_file": "The image file refers to a backing file.",
    "data_file": "The image file keeps its data in another file.",
    "unknown_features": "The image file uses features which are not supported.",
    "descriptor": "The image file is not a VMDK of one sparse extent: monolithicSparse or streamOptimized.",
    "footer": "The image file is damaged or truncated: its footer does not fit.",
}


def _reason(failures: Iterable[str]) -> str:
    return next((_REASONS[name] for name in failures if name in _REASONS), "The image file is not safe to use.")
