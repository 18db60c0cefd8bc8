"""OVA archives: which disks they hold, and where in the file.

Source: DMTF DSP0243, "Open Virtualization Format Specification": a tar archive whose first member is the descriptor, an
XML document that names the files of the disks.
"""

from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree as ET

from stillframe.qemu.inspection import Window
from stillframe.transfers.errors import ImageFileInvalidError, TooManyFilesError
from stillframe.transfers.tar_index import BLOCK_BYTES, MAGIC, MAGIC_AT, Member, list_members

PREFIX_BYTES = BLOCK_BYTES
MAX_DISKS = 16
_MAX_DESCRIPTOR_BYTES = 1024 * 1024
_OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"


def begins_like_one(prefix: bytes) -> bool:
    """`prefix` are the first `PREFIX_BYTES` of the file."""
    name = prefix[:100].split(b"\0")[0]
    return prefix[MAGIC_AT:].startswith(MAGIC) and name.lower().endswith(b".ovf")


def find_disks(path: Path) -> list[Window]:
    """Where each disk lies, in the order of the descriptor: the first one is the system disk. Blocks.

    Raises: ImageFileInvalidError when it is no whole OVA, TooManyFilesError.
    """
    with path.open("rb") as file:
        members = list(list_members(file, path.stat().st_size))
        if not members or not members[0].name.lower().endswith(".ovf"):
            raise ImageFileInvalidError("The archive is no OVA: its first member is not an OVF descriptor.")
        names = _disk_files(_descriptor(file, members[0]))
    if not names:
        raise ImageFileInvalidError("The OVF descriptor names no disk.")
    if len(names) > MAX_DISKS:
        raise TooManyFilesError(f"The OVA has {len(names)} disks, {MAX_DISKS} are allowed.")
    places = {member.name: Window(member.offset, member.length) for member in members}
    if missing := [name for name in names if name not in places]:
        raise ImageFileInvalidError(f"The OVA does not hold the file {missing[0][:255]}, which its descriptor names.")
    return [places[name] for name in names]


def _descriptor(file: BinaryIO, member: Member) -> ET.Element:
    if member.length > _MAX_DESCRIPTOR_BYTES:
        raise ImageFileInvalidError("The OVF descriptor is too large.")
    file.seek(member.offset)
    text = file.read(member.length)
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ImageFileInvalidError("The OVF descriptor defines entities, which are not accepted.")
    try:
        return ET.fromstring(text)  # noqa: S314 - without entities there is nothing to expand or fetch
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ImageFileInvalidError("The OVF descriptor is no XML document.", cause=error) from error


def _disk_files(envelope: ET.Element) -> list[str]:
    """Of disks that have one: a disk without a file is empty, and there is nothing to import."""
    files = {one.get(f"{_OVF}id"): one for one in envelope.iterfind(f"{_OVF}References/{_OVF}File")}
    names = []
    for disk in envelope.iterfind(f"{_OVF}DiskSection/{_OVF}Disk"):
        reference = disk.get(f"{_OVF}fileRef")
        if reference is None:
            continue
        file = files.get(reference)
        name = None if file is None else file.get(f"{_OVF}href")
        if file is None or name is None:
            raise ImageFileInvalidError("The OVF descriptor is damaged: a disk refers to no file.")
        if file.get(f"{_OVF}compression", "identity") != "identity" or file.get(f"{_OVF}chunkSize"):
            raise ImageFileInvalidError("Compressed and split files in an OVA are not supported.")
        if disk.get(f"{_OVF}parentRef"):
            raise ImageFileInvalidError("The OVA holds a disk which depends on another one.")
        names.append(name)
    return names
