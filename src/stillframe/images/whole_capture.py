"""Full-ECS images: all disks of a server, running or stopped, as they were in one moment."""

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.images import consolidation, disk_rows, quota, rows
from stillframe.images.capture import publish
from stillframe.images.disk_capture import DiskCapture, captured_disk
from stillframe.images.disk_rows import ImageDisk
from stillframe.images.model import Image, ImageKind
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_hex_id
from stillframe.servers import captures
from stillframe.servers.captures import WHOLE_KIND
from stillframe.servers.sealing import StoredBytes, make_overlays, seal_disks, sealing_args, undo_sealing
from stillframe.volumes.model import Volume


class WholeCapture(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants, already checked for form."""

    server_id: str
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    min_ram_mib: int = 0
    max_ram_mib: int = 0
    enterprise_project_id: str = "0"


async def capture_whole_server(tx: Transaction, caller: Caller, settings: Settings, request: WholeCapture) -> Job:
    """Notes the image (`queued`) and submits the job that makes it.

    Raises: what `captures.lock_whole` raises, then ImageQuotaExceededError, ImageNameTakenError, ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Creating a Full-ECS Image from an ECS".
    """
    project_id = caller.require_project()
    locked = await captures.lock_whole(tx, project_id, request.server_id)
    await quota.require_room_for_named_images(tx, project_id, settings, [request.name])
    await quota.require_room_for_job(tx, project_id, settings)
    image = _whole_image(request, locked.volumes[0], project_id)
    await rows.insert_image(tx, image)
    job_id = new_hex_id()
    return await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=WHOLE_KIND,
            service=Service.IMS,
            lane=Lane.SEAL,
            subject_id=request.server_id,
            project_id=project_id,
            user_id=caller.user_id,
            args={
                "image_id": image.id,
                "image_name": image.name,
                "data_disks": [_about(volume) for volume in locked.volumes[1:]],
                **sealing_args(job_id, locked.volumes, server_id=request.server_id, is_running=locked.is_running),
            },
            timeout_s=settings.job_timeout_s,
        ),
    )


def _whole_image(request: WholeCapture, root: Volume, project_id: str) -> Image:
    of_root = DiskCapture(
        volume_id=root.id,
        name=request.name,
        description=request.description,
        tags=request.tags,
        kind=ImageKind.SYSTEM,
        min_ram_mib=request.min_ram_mib,
        max_ram_mib=request.max_ram_mib,
        enterprise_project_id=request.enterprise_project_id,
    )
    image = captured_disk(of_root, root, project_id)
    origin = f"instance,{request.server_id}"
    return msgspec.structs.replace(image, origin=origin, properties={"__whole_image": "true"})


def _about(volume: Volume) -> dict[str, object]:
    attachment = volume.attachment
    return {
        "layer_id": volume.layer_id,
        "device_index": attachment.device_index if attachment else 0,
        "size_bytes": volume.size_bytes,
        "volume_type": volume.volume_type,
        "name": volume.name,
        "delete_on_termination": bool(attachment and attachment.delete_on_termination),
    }


async def _seal(resources: Resources, job: Job) -> None:
    args, settings = job.args, resources.settings

    async def finish(tx: Transaction, stored: StoredBytes) -> None:
        image_id, layer_id = args["image_id"], args["disks"][0]["layer_id"]
        await publish(tx, settings, image_id, layer_id, stored[layer_id])
        for about in args["data_disks"]:
            disk = ImageDisk(image_id=image_id, **about)
            await disk_rows.insert_disk(tx, disk)
            if settings.consolidate:
                await consolidation.submit(tx, image_id, disk.layer_id, settings, device_index=disk.device_index)
        await jobs.succeed_job(tx, job.id, {"image_id": image_id, "image_name": args["image_name"]})

    await seal_disks(resources, job, finish)


async def _undo(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        await undo_sealing(tx, job)
        await rows.delete_image_row(tx, job.args["image_id"])


RECIPE = Recipe(
    kind=WHOLE_KIND, steps=(Step("make_overlay", make_overlays), Step("seal", _seal, attempts=5)), undo=_undo
)
