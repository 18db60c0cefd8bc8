"""Imports from the object store: what a caller can ask for, and what stands against it."""

from collections.abc import Iterable

from msgspec.structs import replace

from stillframe.blobs.object_store import ObjectStore
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ObjectNotFoundError, RequestFormatError
from stillframe.identity.model import Caller
from stillframe.images import incoming, quota
from stillframe.images.model import Image, ImageKind
from stillframe.images.service import REGISTER_KIND
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.kit.ids import derived_uuid, new_hex_id
from stillframe.transfers import ova
from stillframe.transfers.errors import ImageFileInvalidError, ImageFileTooLargeError
from stillframe.transfers.model import Disk, FileToImport, GuestWishes, ImportRequest

SYSTEM_KIND = "obs_import"
DATA_KIND = "obs_import_data"
OVA_KIND = "obs_import_ova"


async def check_sources(store: ObjectStore, settings: Settings, request: ImportRequest) -> ImportRequest:
    """The same with the sizes of its files; an OVA is one by its content or its name.

    Asks the buckets themselves; no transaction is open meanwhile.

    Raises, file by file and in this order: BucketRefusedError, BucketRegionError; ImageFileInvalidError for an object
    that is not there or empty, ImageFileTooLargeError.
    """
    looked_at = [await _look_at(store, settings, file) for file in request.files]
    is_ova = request.kind == SYSTEM_KIND and looked_at[0][1] and request.files[0].image.kind is not ImageKind.ISO
    if is_ova and len(looked_at) > 1:
        raise RequestFormatError("data_images cannot be imported together with an OVA file.")
    files = tuple(file for file, _ in looked_at)
    return replace(request, files=files, kind=OVA_KIND if is_ova else request.kind)


async def check_source(store: ObjectStore, settings: Settings, file: FileToImport) -> FileToImport:
    """As `check_sources`, for one file that is no archive."""
    return (await _look_at(store, settings, file))[0]


async def _look_at(store: ObjectStore, settings: Settings, file: FileToImport) -> tuple[FileToImport, bool]:
    """The file with its size, and whether it is an OVA."""
    await store.require_bucket(file.bucket)
    try:
        info, prefix = await store.peek(file.bucket, file.key, ova.PREFIX_BYTES)
    except ObjectNotFoundError as error:
        raise ImageFileInvalidError(f"There is no object {file.url}.", cause=error) from None
    if info.size_bytes == 0:
        raise ImageFileInvalidError(f"The object {file.url} is empty.")
    require_size(settings, info.size_bytes, is_quick=file.is_quick)
    is_ova = ova.begins_like_one(prefix) or file.key.lower().endswith(".ova")
    return replace(file, size_bytes=info.size_bytes), is_ova


def require_size(settings: Settings, size_bytes: int, *, is_quick: bool) -> None:
    """Raises: ImageFileTooLargeError."""
    limit_bytes = settings.quick_import_limit_bytes if is_quick else settings.import_limit_bytes
    if size_bytes > limit_bytes:
        raise ImageFileTooLargeError(f"The object has {size_bytes} bytes, {limit_bytes} are allowed.")


async def submit_import(tx: Transaction, caller: Caller, settings: Settings, request: ImportRequest) -> Job:
    """Notes the images (`queued`, without bytes) and submits the job that brings their data.

    Raises: ImageQuotaExceededError, ImageNameTakenError, ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Creating an Image", "Importing an Image File Quickly", "Creating a
    Data Disk Image from an External Image File".
    """
    project_id = caller.require_project()
    images = [incoming.imported(replace(file.image, origin=f"file,{file.url}")) for file in request.files]
    await incoming.note_images(tx, settings, project_id, images)
    await quota.require_room_for_job(tx, project_id, settings)
    job_id = new_hex_id()
    disks = [
        _disk(job_id, number, image, file)
        for number, (image, file) in enumerate(zip(images, request.files, strict=True))
    ]
    return await _submit(tx, caller, settings, request.kind, job_id, disks, request.guest)


async def submit_registration(tx: Transaction, caller: Caller, settings: Settings, file: FileToImport) -> Job:
    """Has the data of an image that was described before brought from the object store.

    Raises: what `incoming.take_queued_image` raises, then ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Registering an Image".
    """
    image = await incoming.take_queued_image(tx, caller, file.image.id)
    await quota.require_room_for_job(tx, caller.require_project(), settings)
    job_id = new_hex_id()
    disk = _disk(job_id, 0, image, file)
    # What its owner said about its size was said before there was a disk.
    as_it_comes = GuestWishes()
    return await _submit(tx, caller, settings, REGISTER_KIND, job_id, [replace(disk, min_disk_gib=0)], as_it_comes)


def _disk(job_id: str, number: int, image: Image, file: FileToImport) -> Disk:
    return Disk(
        image_id=image.id,
        image_name=image.name or "",
        kind=image.kind,
        layer_id=layer_id_of(job_id, number),
        min_disk_gib=image.min_disk_gib,
        bucket=file.bucket,
        key=file.key,
        source_bytes=file.size_bytes,
        is_quick=file.is_quick,
        checksum=file.checksum,
    )


def layer_id_of(job_id: str, number: int) -> str:
    return derived_uuid(job_id, "layer", str(number))


async def _submit(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    kind: str,
    job_id: str,
    disks: Iterable[Disk],
    guest: GuestWishes,
) -> Job:
    encoded = [disk.encode() for disk in disks]
    return await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=kind,
            service=Service.IMS,
            lane=Lane.TRANSFER,
            subject_id=encoded[0]["image_id"],
            project_id=caller.require_project(),
            user_id=caller.user_id,
            args={"disks": encoded, "guest": guest.encode()},
            timeout_s=settings.job_timeout_s,
        ),
    )
