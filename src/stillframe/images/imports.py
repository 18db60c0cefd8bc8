"""Importing an image's data: asked for here, carried out by a job (import_job.py), watched as a task (tasks.py).

glance-direct   uploading ──► importing ──► active       the data was staged before
web-download    queued ─────► importing ──► active       the job fetches it
                   ▲              │
                   └──────────────┘                      whatever goes wrong, and the staged data is gone
copy-image      active                                   nothing to copy: the only store has the data

Source: OpenStack Image API v2, "Interoperable image import"; openstack/glance glance/api/v2/images.py (the order of
checks), glance/async_/flows/api_image_import.py (the attributes an import leaves behind).
"""

import enum
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.blobs.web_rules import WebRules, read_url
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError, InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images import rows, service, stores
from stillframe.images.errors import ImportConflictError
from stillframe.images.model import IMPORT_TASK_PROPERTY, SERVICE_PROPERTIES, Image, ImageStatus
from stillframe.images.visibility import require_may_change
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid

KIND = "api_image_import"
LEGACY_KIND = "import"
"""A task of its own that first makes the image; its failure takes the image away again."""

IMPORTING = SERVICE_PROPERTIES + "importing_to_stores"
FAILED = SERVICE_PROPERTIES + "failed_import"


class ImportMethod(enum.StrEnum):
    GLANCE_DIRECT = "glance-direct"
    WEB_DOWNLOAD = "web-download"
    COPY_IMAGE = "copy-image"


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`store_ids` empty means the default store; `as_sent` is what the task shows as its input."""

    method: ImportMethod
    url: str
    store_ids: tuple[str, ...]
    all_stores: bool
    as_sent: dict[str, Any]


async def submit_import(
    tx: Transaction, caller: Caller, settings: Settings, image_id: str, request: ImportRequest, request_id: str
) -> None:
    """Raises, in this order: ImageNotFoundError, ImportConflictError, ForbiddenError and NotImageOwnerError,
    StoreNotFoundError as a conflict, InvalidInputError and UrlRefusedError.
    """
    image = await service.get_visible_image(tx, caller, image_id, lock=True)
    _require_fit(image, request.method)
    if request.method is ImportMethod.COPY_IMAGE:
        if not caller.is_platform_admin:
            raise ForbiddenError("Only an administrator of the platform may copy images between stores.")
        stores.require_known(request.store_ids)
        await _copy_nothing(tx, image, request)
        return
    require_may_change(caller, image)
    stores.require_known(request.store_ids)
    if request.method is ImportMethod.WEB_DOWNLOAD:
        read_url(request.url, WebRules.of(settings))
    shown = {"image_id": image.id, "import_req": request.as_sent, "backend": [stores.STORE_ID]}
    await _submit_job(tx, caller, settings, image, kind=KIND, url=request.url, shown=shown, request_id=request_id)


def _require_fit(image: Image, method: ImportMethod) -> None:
    if method is ImportMethod.COPY_IMAGE and image.status is not ImageStatus.ACTIVE:
        raise ImportConflictError("Only images with status active can be targeted for copying.")
    if method is not ImportMethod.COPY_IMAGE and image.status is ImageStatus.ACTIVE:
        raise ImportConflictError("Image with status active cannot be target for import.")
    if method is ImportMethod.WEB_DOWNLOAD and (image.status is not ImageStatus.QUEUED or image.origin):
        raise ImportConflictError("Image needs to be in 'queued' state to use 'web-download' method.")
    if method is ImportMethod.GLANCE_DIRECT and (image.status is not ImageStatus.UPLOADING or image.layer_id is None):
        raise ImportConflictError("Image needs to be staged before 'glance-direct' method can be used.")
    if image.container_format is None:
        raise ImportConflictError("'container_format' needs to be set before import.")
    if image.disk_format is None:
        raise ImportConflictError("'disk_format' needs to be set before import.")


async def _copy_nothing(tx: Transaction, image: Image, request: ImportRequest) -> None:
    """The data is in every store there is; only that is left to note."""
    if not request.all_stores:
        raise InvalidInputError(f"Image is already present at store '{stores.STORE_ID}'.", field="stores")
    await rows.replace_image(tx, replace(image, properties=marked(image, task_id=None), updated_at=utcnow()))


async def submit_legacy_import(
    tx: Transaction, caller: Caller, settings: Settings, image: Image, url: str, shown: dict[str, Any], request_id: str
) -> Job:
    """A task that makes an image and fetches its data. `shown` is the task's input, as it was sent.

    Raises: UrlRefusedError, InvalidInputError without formats; what `create_image` raises.
    """
    read_url(url, WebRules.of(settings))
    if image.disk_format is None or image.container_format is None:
        raise InvalidInputError("The image properties disk_format and container_format must be set.")
    await service.create_image(tx, caller, settings, image)
    return await _submit_job(tx, caller, settings, image, kind=LEGACY_KIND, url=url, shown=shown, request_id=request_id)


async def _submit_job(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    image: Image,
    *,
    kind: str,
    url: str,
    shown: dict[str, Any],
    request_id: str,
) -> Job:
    task_id = new_uuid()
    properties = marked(image, task_id=task_id, importing=True)
    await rows.replace_image(
        tx, replace(image, status=ImageStatus.IMPORTING, properties=properties, updated_at=utcnow())
    )
    return await jobs.submit_job(
        tx,
        NewJob(
            id=task_id,
            kind=kind,
            service=Service.GLANCE,
            # What was staged needs no more than a look; that must not wait behind somebody's download.
            lane=Lane.DOWNLOAD if url else Lane.SEAL,
            subject_id=image.id,
            project_id=caller.require_project(),
            user_id=caller.user_id,
            args={
                "image_id": image.id,
                "layer_id": image.layer_id or new_uuid(),
                "url": url,
                "input": shown,
                "request_id": request_id,
            },
            timeout_s=settings.web_download_timeout_s,
        ),
    )


def marked(image: Image, *, task_id: str | None, importing: bool = False, failed: bool = False) -> dict[str, str]:
    """The image's properties with those that tell how its import stands, lists of stores; without those before."""
    kept = {
        name: value for name, value in image.properties.items() if name not in {IMPORT_TASK_PROPERTY, IMPORTING, FAILED}
    }
    if task_id is not None:
        kept[IMPORT_TASK_PROPERTY] = task_id
    return kept | {IMPORTING: stores.STORE_ID if importing else "", FAILED: stores.STORE_ID if failed else ""}
