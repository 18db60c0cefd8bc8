"""Finding out what is on a disk, and preparing it, between its conversion and its image's first use.

The disk is a file that is the job's own, and no image's yet.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from stillframe.errors import GuestDiskUnreadableError, GuestToolsMissingError, UnavailableError
from stillframe.images.model import OsInfo
from stillframe.images.os_detection import name_system
from stillframe.qemu import img
from stillframe.qemu.guestfs.model import Inspection, Preparation
from stillframe.qemu.guestfs.runner import guest_tools, inspect_guest, prepare_guest
from stillframe.qemu.model import ChainLink

log = structlog.get_logger("stillframe.images")


class GuestReport(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` and `notes` are sentences for people; the rest is None where nothing was found out."""

    system: OsInfo | None = None
    firmware: str | None = None
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


async def require_guest_tools() -> None:
    """Raises: GuestToolsMissingError where guests cannot be prepared on this host; the message says what to install."""
    await guest_tools()


async def detect_operating_system(disk: ChainLink, *, os_type: str = "", extra: Sequence[str] = ()) -> GuestReport:
    """Never fails for what is on the disk, or for tools that are not there: the report has a note then.

    A disk that no machine starts from is not looked into. `os_type` is what the caller has said, `extra` are the
    operator's names of systems.
    """
    if not await img.has_boot_sector((disk,)):
        return GuestReport()
    try:
        found = await inspect_guest((disk,))
    except (GuestToolsMissingError, GuestDiskUnreadableError, UnavailableError) as error:
        log.warning("images.system_not_detected", disk=disk.path.name, error=error.message, cause=str(error.cause))
        return GuestReport(notes=(f"The operating system was not found out. {error.message}",))
    return _report(Preparation(inspection=found), os_type, extra)


async def prepare_above(disk: ChainLink, overlay: Path, *, os_type: str = "", extra: Sequence[str] = ()) -> GuestReport:
    """Makes `overlay`, which shows the disk with its guest prepared; the disk stays as it is. Repeating starts anew.

    Raises: GuestToolsMissingError, GuestDiskUnreadableError.
    """
    await asyncio.to_thread(overlay.unlink, missing_ok=True)
    top = ChainLink(overlay, "qcow2")
    await img.create_overlay(overlay, (disk,), await img.virtual_size(disk))
    return _report(await prepare_guest((top, disk)), os_type, extra)


async def keep_changes(disk: ChainLink, overlay: Path) -> None:
    """Writes what `prepare_above` has made into the disk. Safe to repeat; nothing to do where there is no overlay."""
    if await asyncio.to_thread(overlay.exists):
        await img.commit(ChainLink(overlay, "qcow2"), disk)
        await asyncio.to_thread(overlay.unlink)


def _report(prepared: Preparation, os_type: str, extra: Sequence[str]) -> GuestReport:
    found: Inspection = prepared.inspection
    named = name_system(found.system, os_type=os_type, extra=extra)
    return GuestReport(
        system=named.info,
        firmware=found.firmware if found.system else None,
        changes=prepared.changes,
        notes=prepared.notes,
    )
