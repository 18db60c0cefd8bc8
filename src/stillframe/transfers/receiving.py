"""The first step of an import: each object is written to the disk, once, unpacked on the way where it is compressed."""

from collections.abc import Callable, Collection

from msgspec.structs import replace

from stillframe.blobs.object_store import ObjectInfo
from stillframe.blobs.staging import Staged, stage
from stillframe.errors import InvalidInputError, LimitExceededError, ObjectNotFoundError, UnavailableError
from stillframe.images import incoming
from stillframe.images.model import ImageKind
from stillframe.jobs.model import Job
from stillframe.jobs.progress import ProgressReporter
from stillframe.jobs.resources import Resources
from stillframe.kit.units import GIB, MIB
from stillframe.transfers import guests
from stillframe.transfers.errors import ImageFileChecksumError, ImageFileInvalidError, ImageFileTooLargeError
from stillframe.transfers.imports import OVA_KIND, require_size
from stillframe.transfers.job_disks import clear_staging, disks_of, note_disks, staged_file, staging_dir
from stillframe.transfers.model import Disk
from stillframe.transfers.stores import store_of_project

_QCOW2_MAGIC = b"QFI\xfb"
_SLACK_BYTES = 64 * MIB
"""What a file may have beyond its disk's bytes: headers, and the tables of any format there is."""


async def receive(resources: Resources, job: Job) -> None:
    """One object after the other, since one alone is fetched in several ranges at a time."""
    if "disks" in job.result:
        return
    await guests.require_tools(job)
    disks = disks_of(job)
    async with resources.database.writing() as tx:
        for disk in disks:
            await incoming.begin_saving(tx, disk.image_id)
    await clear_staging(resources, job)
    staging_dir(resources, job).mkdir(mode=0o700)
    total_bytes = sum(disk.source_bytes for disk in disks)
    received: list[Disk] = []
    async with ProgressReporter(resources.database, job.id, "downloading", total=2 * total_bytes) as progress:
        for number, disk in enumerate(disks):
            before_bytes = sum(one.source_bytes for one in disks[:number])

            def on_progress(done_bytes: int, _: int, before_bytes: int = before_bytes) -> None:
                progress.update(before_bytes + done_bytes, 2 * total_bytes)

            received.append(await _receive_one(resources, job, replace(disk, staged=number), on_progress))
    async with resources.database.writing() as tx:
        await note_disks(tx, job, received)


async def _receive_one(resources: Resources, job: Job, disk: Disk, on_progress: Callable[[int, int], None]) -> Disk:
    store = await store_of_project(resources, job.project_id or "")
    try:
        info, chunks = await store.open_object(disk.bucket, disk.key)
        require_size(resources.settings, info.size_bytes, is_quick=disk.is_quick)
        staged = await stage(
            chunks,
            staged_file(resources, job, disk),
            source_bytes=info.size_bytes,
            max_unpacked_bytes=resources.settings.import_limit_bytes if job.kind == OVA_KIND else _largest_file(disk),
            which_digests=lambda prefix: _wanted_digests(disk, info, prefix),
            on_progress=on_progress,
        )
    except ObjectNotFoundError as error:
        raise ImageFileInvalidError(f"There is no object {disk.url}.", cause=error) from None
    except LimitExceededError as error:
        raise ImageFileTooLargeError(error.message, cause=error) from error
    except InvalidInputError as error:
        raise ImageFileInvalidError(f"{disk.url}: {error.message}", cause=error) from error
    except OSError as error:
        raise UnavailableError("The disk of the image service cannot be written.", cause=error) from error
    _check_checksum(disk, staged)
    return _with_facts(disk, staged, info)


def _largest_file(disk: Disk) -> int:
    """In bytes, of any format: a file has no more than its disk, and what the format adds."""
    disk_bytes = disk.min_disk_gib * GIB or disk.largest_bytes
    return disk_bytes + disk_bytes // 64 + _SLACK_BYTES


def _wanted_digests(disk: Disk, info: ObjectInfo, prefix: bytes) -> Collection[str]:
    """What the caller wants checked; and of a file that may become the image's as it is, what an image has."""
    wanted = {str(disk.checksum.algorithm)} if disk.checksum else set()
    if prefix.startswith(_QCOW2_MAGIC) or disk.is_quick or disk.kind is ImageKind.ISO:
        wanted |= {"sha512"} if info.md5 else {"md5", "sha512"}
    return wanted


def _check_checksum(disk: Disk, staged: Staged) -> None:
    wanted = disk.checksum
    if wanted and staged.digests[wanted.algorithm] != wanted.value:
        raise ImageFileChecksumError(
            f"The {wanted.algorithm} of {disk.url} is {staged.digests[wanted.algorithm]}, "
            f"but {wanted.value} was expected."
        )


def _with_facts(disk: Disk, staged: Staged, info: ObjectInfo) -> Disk:
    """Digests are kept where the file is what the object was."""
    with_size = replace(disk, staged_bytes=staged.size_bytes)
    if staged.compression is not None or "sha512" not in staged.digests:
        return with_size
    return replace(with_size, md5=staged.digests.get("md5") or info.md5, sha512=staged.digests["sha512"])
