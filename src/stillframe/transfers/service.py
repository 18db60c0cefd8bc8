"""What a caller can do with transfers."""

from stillframe.blobs.object_store import ObjectStore
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    BackupImageExportError,
    ChargedImageExportError,
    ExportRunningError,
    ExportTooLargeError,
    ImageNotActiveError,
    ImageNotExportableError,
    IsoImageRefusedError,
    NotImageOwnerError,
    ObjectExistsError,
    PublicImageExportError,
    WholeImageExportError,
)
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.images import quota
from stillframe.images import service as images
from stillframe.images.model import Image, ImageKind, ImageStatus, Visibility
from stillframe.images.service import EXPORT_KIND
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.transfers.model import ExportRequest


async def check_exportable(
    tx: Transaction, caller: Caller, settings: Settings, request: ExportRequest, *, lock: bool = False
) -> Image:
    """The image, when nothing but the bucket can stand against its export. `lock` keeps it unchanged from then on.

    Raises, in this order: ImageNotFoundError, NotImageOwnerError, PublicImageExportError, WholeImageExportError,
    IsoImageRefusedError, BackupImageExportError, ChargedImageExportError, ImageNotActiveError, ExportTooLargeError,
    ImageNotExportableError.
    Source: Open Telekom Cloud, IMS API reference, "Exporting an Image".
    """
    image = await images.get_visible_image(tx, caller, request.image_id, lock=lock)
    if image.visibility is Visibility.PUBLIC:
        raise PublicImageExportError
    if image.project_id != caller.require_project():
        raise NotImageOwnerError
    if image.properties.get("__whole_image") == "true":
        raise WholeImageExportError
    if image.kind is ImageKind.ISO:
        raise IsoImageRefusedError
    if image.properties.get("__backup_id"):
        raise BackupImageExportError
    if image.properties.get("__productcode") or image.os.platform in settings.unexportable_platforms:
        raise ChargedImageExportError
    if image.status is not ImageStatus.ACTIVE:
        raise ImageNotActiveError
    _require_size(image, settings, is_quick=request.file_format is None)
    if request.file_format is None and image.is_encrypted:
        raise ImageNotExportableError("An encrypted image cannot be exported quickly.")
    return image


def _require_size(image: Image, settings: Settings, *, is_quick: bool) -> None:
    size_bytes, limit_bytes = image.virtual_size_bytes or 0, settings.quick_export_limit_bytes
    if is_quick and size_bytes > limit_bytes:
        raise ExportTooLargeError(f"An export as it is stored may have {limit_bytes} bytes.")
    if not is_quick and size_bytes >= settings.export_limit_bytes:
        raise ExportTooLargeError


async def check_target(store: ObjectStore, request: ExportRequest) -> None:
    """Asks the bucket itself; no transaction is open meanwhile.

    Raises: BucketRefusedError when it is not there or not the project's, BucketRegionError, ObjectExistsError.
    """
    await store.require_bucket(request.bucket)
    if await store.object_exists(request.bucket, request.key):
        raise ObjectExistsError


async def submit_export(tx: Transaction, caller: Caller, settings: Settings, request: ExportRequest) -> Job:
    """Raises: ExportRunningError while the image is already being exported, ObjectExistsError while another is being
    exported to the same object, ImageJobLimitError, and what `check_exportable` raises, for the image may have changed
    since.
    """
    image = await check_exportable(tx, caller, settings, request, lock=True)
    project_id = caller.require_project()
    # Of two requests at once the second waits here, and then finds the job of the first.
    await identity.lock_project(tx, project_id)
    if await jobs.has_live_job(tx, image.id, EXPORT_KIND):
        raise ExportRunningError
    for other in await jobs.list_live_jobs_of_kind(tx, project_id, Service.IMS, EXPORT_KIND):
        if (other.args["bucket"], other.args["key"]) == (request.bucket, request.key):
            raise ObjectExistsError
    await quota.require_room_for_job(tx, project_id, settings)
    return await jobs.submit_job(
        tx,
        NewJob(
            kind=EXPORT_KIND,
            service=Service.IMS,
            lane=Lane.TRANSFER,
            subject_id=image.id,
            project_id=project_id,
            user_id=caller.user_id,
            args={
                "image_id": image.id,
                "bucket": request.bucket,
                "key": request.key,
                "file_format": request.file_format,
            },
            timeout_s=settings.job_timeout_s,
        ),
    )
