"""Copying an image within the region: a new image on the same immutable layer, so no byte is read or written.

The copy refers to the layer from the moment it is asked for; what happens to the original after that, even deletion,
concerns the copy no more.
"""

from typing import Any

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ImageNotActiveError,
    IsoImageRefusedError,
    NotFoundError,
)
from stillframe.identity.model import Caller
from stillframe.images import consolidation, quota, rows
from stillframe.images.model import Image, ImageKind, ImageStatus, MemberStatus, Visibility
from stillframe.images.refusals import (
    BareMetalKeyError,
    CopyLimitError,
    CopyTooLargeError,
    EncryptedShareCopyError,
    ForeignImageError,
    KeyNotFoundError,
    OriginalKeyNotFoundError,
    SameKeyError,
    ShareNotAcceptedError,
    WholeImageCopyError,
)
from stillframe.images.service import get_visible_image
from stillframe.images.visibility import is_owner
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.layers import service as layers

KIND = "image_copy"

_NOT_COPIED = frozenset({"__backup_id"})


class CopyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What IMS asks for, already checked for form; `key_id` is that of a key to encrypt the copy with."""

    image_id: str
    name: str
    description: str = ""
    key_id: str = ""
    enterprise_project_id: str = "0"


async def copy_image(tx: Transaction, caller: Caller, settings: Settings, request: CopyRequest) -> Job:
    """Notes the copy (`queued`) in the caller's project and submits the job that makes it active.

    Raises, in this order: ImageNotFoundError, ForeignImageError, ShareNotAcceptedError, EncryptedShareCopyError,
     WholeImageCopyError, IsoImageRefusedError, ImageNotActiveError, BareMetalKeyError,
    SameKeyError, OriginalKeyNotFoundError, KeyNotFoundError, CopyTooLargeError, ImageQuotaExceededError,
    ImageNameTakenError, CopyLimitError, ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Replicating an Image Within a Region".
    """
    project_id = caller.require_project()
    source = await _source(tx, caller, settings, request)
    await quota.require_room_for_named_images(tx, project_id, settings, [request.name])
    await _require_room_for_copy(tx, project_id, settings)
    while source.layer_id is None or not await layers.lock_sealed(tx, source.layer_id):
        # It has got another layer since it was read, or none any more.
        source = await _source(tx, caller, settings, request)
    copy = _copied(source, request, project_id, settings.region)
    await rows.insert_image(tx, copy)
    return await jobs.submit_job(
        tx,
        NewJob(
            kind=KIND,
            service=Service.IMS,
            lane=Lane.SEAL,
            subject_id=copy.id,
            project_id=project_id,
            user_id=caller.user_id,
            args={"image_id": copy.id, "image_name": copy.name, "layer_id": copy.layer_id},
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _source(tx: Transaction, caller: Caller, settings: Settings, request: CopyRequest) -> Image:
    image = await get_visible_image(tx, caller, request.image_id)
    if not is_owner(caller, image):
        await _require_accepted(tx, caller, image)
    if image.is_whole:
        raise WholeImageCopyError
    if image.kind is ImageKind.ISO:
        raise IsoImageRefusedError
    if image.status is not ImageStatus.ACTIVE or image.layer_id is None:
        raise ImageNotActiveError
    _require_no_key(image, request.key_id)
    if (image.virtual_size_bytes or 0) > settings.copy_limit_bytes:
        raise CopyTooLargeError
    return image


async def _require_accepted(tx: Transaction, caller: Caller, image: Image) -> None:
    member = await rows.get_member(tx, image.id, caller.require_project())
    if member is None or image.visibility is not Visibility.SHARED:
        raise ForeignImageError
    if member.status is not MemberStatus.ACCEPTED:
        raise ShareNotAcceptedError
    if image.is_encrypted:
        raise EncryptedShareCopyError


def _require_no_key(image: Image, key_id: str) -> None:
    """No key can be found here, since there is no service that keeps any."""
    own_key_id = image.properties.get("__system__cmkid", "")
    if image.kind is ImageKind.BARE_METAL and (key_id or own_key_id):
        raise BareMetalKeyError
    if own_key_id:
        raise SameKeyError if key_id == own_key_id else OriginalKeyNotFoundError
    if key_id:
        raise KeyNotFoundError


async def _require_room_for_copy(tx: Transaction, project_id: str, settings: Settings) -> None:
    if await jobs.count_live_jobs_of_kind(tx, project_id, Service.IMS, KIND) >= settings.image_copies_limit:
        raise CopyLimitError
    await quota.require_room_for_job(tx, project_id, settings)


def _copied(source: Image, request: CopyRequest, project_id: str, region: str) -> Image:
    now = utcnow()
    changed: dict[str, Any] = {
        "id": new_uuid(),
        "project_id": project_id,
        "name": request.name,
        "description": request.description,
        "status": ImageStatus.QUEUED,
        "visibility": Visibility.PRIVATE,
        "protected": False,
        "os_hidden": False,
        "origin": f"image,{region},{source.id}",
        "source_image_id": source.id,
        "enterprise_project_id": request.enterprise_project_id,
        "properties": {name: value for name, value in source.properties.items() if name not in _NOT_COPIED},
        "tags": (),
        "created_at": now,
        "updated_at": now,
    }
    return msgspec.structs.replace(source, **changed)


async def _activate(resources: Resources, job: Job) -> None:
    args, settings = job.args, resources.settings
    async with resources.database.writing() as tx:
        made = await rows.update_image_columns(
            tx, args["image_id"], only_in=(ImageStatus.QUEUED,), status=ImageStatus.ACTIVE, updated_at=utcnow()
        )
        copy = await rows.get_image(tx, args["image_id"]) if made else None
        if copy is None:
            raise NotFoundError("The copy was removed while it was being made.")
        if copy.is_lazy and settings.consolidate:
            await consolidation.submit(tx, copy.id, args["layer_id"], settings)
        await jobs.succeed_job(tx, job.id, {"image_id": args["image_id"], "image_name": args["image_name"]})


async def _undo(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        await rows.delete_image_row(tx, job.args["image_id"])
        await layers.release(tx, job.args["layer_id"])


RECIPE = Recipe(kind=KIND, steps=(Step("activate", _activate, attempts=5),), undo=_undo)
