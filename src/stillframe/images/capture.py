"""Capturing a server's system disk: the request's part (rows only) and the job's two steps.

The job copies no byte. The disk's top layer is sealed and becomes the image; the server gets a new, empty layer above
it: see servers/sealing.py. Other disks are captured in disk_capture.py.
"""

from typing import Any

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import consolidation, quota, rows
from stillframe.images.model import Image, ImageStatus, OsInfo
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.kit.units import bytes_to_gib_up
from stillframe.servers import service as servers
from stillframe.servers.model import CaptureSource
from stillframe.servers.sealing import StoredBytes, make_overlays, seal_disks, sealing_args, undo_sealing

KIND = "image_capture"


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What IMS call 1a and Nova's createImage ask for, already checked for form."""

    server_id: str
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    min_ram_mib: int = 0
    max_ram_mib: int = 0
    enterprise_project_id: str = "0"
    properties: dict[str, str] = msgspec.field(default_factory=dict)


async def capture_server(tx: Transaction, caller: Caller, settings: Settings, request: CaptureRequest) -> Job:
    """Locks the server, notes the image (`queued`, without bytes) and submits the job that makes it.

    The image's id is in the job's args from the start. Nothing remains when any check refuses.

    Raises: what `servers.lock_for_capture` raises, then ImageQuotaExceededError, ImageNameTakenError,
    ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Creating an Image Using an ECS".
    """
    project_id = caller.require_project()
    allow_running = settings.allow_running_capture
    source = await servers.lock_for_capture(tx, project_id, request.server_id, allow_running=allow_running)
    await quota.require_room_for_named_images(tx, project_id, settings, [request.name])
    await quota.require_room_for_job(tx, project_id, settings)
    image = _captured_image(request, source, project_id, await _parent_image(tx, source))
    await rows.insert_image(tx, image)
    job_id = new_hex_id()
    return await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=KIND,
            service=Service.IMS,
            lane=Lane.SEAL,
            subject_id=source.server_id,
            project_id=project_id,
            user_id=caller.user_id,
            args={
                "image_id": image.id,
                "image_name": image.name,
                **sealing_args(job_id, [source.volume], server_id=source.server_id, is_running=source.is_running),
            },
            timeout_s=settings.job_timeout_s,
        ),
    )


async def _parent_image(tx: Transaction, source: CaptureSource) -> Image | None:
    return await rows.get_image(tx, source.image_id) if source.image_id else None


def _captured_image(request: CaptureRequest, source: CaptureSource, project_id: str, parent: Image | None) -> Image:
    """The system is what the server's source image says it is; an unknown one is "Other Linux(64 bit)"."""
    now = utcnow()
    return Image(
        id=new_uuid(),
        project_id=project_id,
        name=request.name,
        status=ImageStatus.QUEUED,
        disk_format="qcow2",
        container_format="bare",
        virtual_size_bytes=source.volume.size_bytes,
        min_disk_gib=bytes_to_gib_up(source.volume.size_bytes),
        min_ram_mib=request.min_ram_mib,
        max_ram_mib=request.max_ram_mib,
        os=parent.os if parent else OsInfo(),
        firmware=parent.firmware if parent else "bios",
        architecture=parent.architecture if parent else "x86",
        description=request.description,
        origin=f"instance,{source.server_id}",
        source_image_id=source.image_id or "",
        enterprise_project_id=request.enterprise_project_id,
        properties=request.properties,
        tags=tuple(sorted(request.tags)),
        created_at=now,
        updated_at=now,
    )


async def publish(
    tx: Transaction, settings: Settings, image_id: str, layer_id: str, stored_bytes: int, **more: Any
) -> None:
    """The image shows the sealed layer, and is flattened later. Part of the transaction that seals it.

    Raises: NotFoundError when the image was removed meanwhile.
    """
    made = await rows.update_image_columns(
        tx,
        image_id,
        only_in=(ImageStatus.QUEUED, ImageStatus.SAVING),
        status=ImageStatus.ACTIVE,
        layer_id=layer_id,
        size_bytes=stored_bytes,
        updated_at=utcnow(),
        **more,
    )
    if not made:
        raise NotFoundError("The image was removed while it was being made.")
    if settings.consolidate:
        await consolidation.submit(tx, image_id, layer_id, settings)


async def _seal(resources: Resources, job: Job) -> None:
    args = job.args

    async def finish(tx: Transaction, stored: StoredBytes) -> None:
        layer_id = args["disks"][0]["layer_id"]
        await publish(tx, resources.settings, args["image_id"], layer_id, stored[layer_id])
        await jobs.succeed_job(tx, job.id, {"image_id": args["image_id"], "image_name": args["image_name"]})

    await seal_disks(resources, job, finish)


async def _undo(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        await undo_sealing(tx, job)
        await rows.delete_image_row(tx, job.args["image_id"])


RECIPE = Recipe(kind=KIND, steps=(Step("make_overlay", make_overlays), Step("seal", _seal, attempts=5)), undo=_undo)
