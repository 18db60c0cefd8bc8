"""Images of volumes: data disk images (several in one job, sealed in one moment), and a system image of any disk.

What the jobs do to the disks is in servers/sealing.py.
"""

from typing import Any

import msgspec

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import OtherDisksBusyError
from stillframe.identity.model import Caller
from stillframe.images import quota, rows
from stillframe.images.capture import publish
from stillframe.images.model import Image, ImageKind, ImageStatus, OsInfo
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.kit.units import bytes_to_gib_up
from stillframe.servers import captures
from stillframe.servers.captures import LockedDisks
from stillframe.servers.sealing import StoredBytes, make_overlays, seal_disks, sealing_args, undo_sealing
from stillframe.volumes.model import Volume, VolumeStatus

DATA_KIND = "image_capture_data"
DATA_PART_KIND = "image_capture_data_part"
VOLUME_KIND = "image_capture_volume"
UPLOAD_KIND = "volume_upload"


class DiskCapture(msgspec.Struct, frozen=True, kw_only=True):
    """One image to be made of a volume, already checked for form. `os` None is what the disk's own image says."""

    volume_id: str
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    kind: ImageKind = ImageKind.DATA
    os: OsInfo | None = None
    min_ram_mib: int = 0
    max_ram_mib: int = 0
    enterprise_project_id: str = "0"
    blank: Image | None = None
    """An image whose description is given already, for Cinder's upload."""


async def capture_data_disks(tx: Transaction, caller: Caller, settings: Settings, requests: list[DiskCapture]) -> Job:
    """Notes the images (`queued`) and submits the job that makes all of them, in one moment.

    Raises: what `captures.lock_volumes` raises, then ImageQuotaExceededError, ImageNameTakenError, ImageJobLimitError.
    Source: Open Telekom Cloud, IMS API reference, "Creating a Data Disk Image Using an ECS's Data Disk".
    """
    job_id, allow_running = new_hex_id(), settings.allow_running_capture
    locked = await captures.lock_volumes(
        tx,
        caller.require_project(),
        [request.volume_id for request in requests],
        job_id,
        allow_running=allow_running,
        data_only=True,
        busy=OtherDisksBusyError,
    )
    return await _submit(tx, caller, settings, DATA_KIND, job_id, locked, requests)


async def capture_volume(tx: Transaction, caller: Caller, settings: Settings, request: DiskCapture) -> Job:
    """A system image of any disk; whether there is a system on it, nobody looks.

    Raises: as `capture_data_disks`.
    Source: Open Telekom Cloud, IMS API reference, "Creating a System Disk Image from a Data Disk".
    """
    job_id, allow_running = new_hex_id(), settings.allow_running_capture
    project_id = caller.require_project()
    locked = await captures.lock_volumes(tx, project_id, [request.volume_id], job_id, allow_running=allow_running)
    return await _submit(tx, caller, settings, VOLUME_KIND, job_id, locked, [request])


async def upload_volume(tx: Transaction, caller: Caller, settings: Settings, request: DiskCapture) -> Job:
    """An image of a volume, which is `uploading` meanwhile, also of a running server's.

    Raises: as `capture_data_disks`.
    Source: OpenStack Block Storage API v3 reference, "Upload volume to image".
    """
    job_id, project_id = new_hex_id(), caller.require_project()
    locked = await captures.lock_volumes(
        tx, project_id, [request.volume_id], job_id, allow_running=True, status=VolumeStatus.UPLOADING
    )
    return await _submit(tx, caller, settings, UPLOAD_KIND, job_id, locked, [request])


async def _submit(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    kind: str,
    job_id: str,
    locked: LockedDisks,
    requests: list[DiskCapture],
) -> Job:
    project_id = caller.require_project()
    await quota.require_room_for_named_images(tx, project_id, settings, [request.name for request in requests])
    await quota.require_room_for_job(tx, project_id, settings)
    made = []
    for request, volume in zip(requests, locked.volumes, strict=True):
        image = captured_disk(request, volume, project_id)
        await rows.insert_image(tx, image)
        made.append({"image_id": image.id, "image_name": image.name, "layer_id": volume.layer_id})
    server_id = locked.server.id if locked.server else None
    return await jobs.submit_job(
        tx,
        NewJob(
            id=job_id,
            kind=kind,
            service=Service.IMS,
            lane=Lane.SEAL,
            subject_id=server_id or locked.volumes[0].id,
            project_id=project_id,
            user_id=caller.user_id,
            args={
                "images": made,
                **sealing_args(job_id, locked.volumes, server_id=server_id, is_running=locked.is_running),
            },
            timeout_s=settings.job_timeout_s,
        ),
    )


def captured_disk(request: DiskCapture, volume: Volume, project_id: str) -> Image:
    """What the volume's own image said of its system holds for this one, unless the request knows better."""
    about, now = volume.image_metadata or {}, utcnow()
    known = OsInfo(
        os_type=about.get("__os_type") or "Linux",
        version=about.get("__os_version") or OsInfo().version,
        platform=about.get("__platform") or OsInfo().platform,
        bits=about.get("__os_bit") or OsInfo().bits,
    )
    blank = request.blank or Image(
        id=new_uuid(),
        project_id=project_id,
        name=request.name,
        status=ImageStatus.QUEUED,
        created_at=now,
        updated_at=now,
    )
    changes: dict[str, Any] = {
        "kind": request.kind,
        "disk_format": "qcow2",
        "container_format": "bare",
        "virtual_size_bytes": volume.size_bytes,
        "min_disk_gib": bytes_to_gib_up(volume.size_bytes),
        "os": request.os or known,
        "firmware": about.get("hw_firmware_type") or "bios",
        "origin": f"volume,{volume.id}",
        "source_image_id": about.get("image_id", ""),
    }
    if request.blank is None:
        changes |= {
            "description": request.description,
            "tags": tuple(sorted(request.tags)),
            "min_ram_mib": request.min_ram_mib,
            "max_ram_mib": request.max_ram_mib,
            "enterprise_project_id": request.enterprise_project_id,
        }
    return msgspec.structs.replace(blank, **changes)


async def _seal(resources: Resources, job: Job) -> None:
    async def finish(tx: Transaction, stored: StoredBytes) -> None:
        for image in job.args["images"]:
            stored_bytes = stored[image["layer_id"]]
            await publish(tx, resources.settings, image["image_id"], image["layer_id"], stored_bytes)
        await jobs.succeed_job(tx, job.id, await _result(tx, job))

    await seal_disks(resources, job, finish)


async def _result(tx: Transaction, job: Job) -> dict[str, Any]:
    made = [{name: image[name] for name in ("image_id", "image_name")} for image in job.args["images"]]
    if job.kind != DATA_KIND:
        return made[0]
    return {**made[0], **await jobs.record_sub_jobs(tx, job, [(DATA_PART_KIND, one) for one in made])}


async def _undo(resources: Resources, job: Job) -> None:
    async with resources.database.writing() as tx:
        await undo_sealing(tx, job)
        for image in job.args["images"]:
            await rows.delete_image_row(tx, image["image_id"])


RECIPES = tuple(
    Recipe(kind=kind, steps=(Step("make_overlay", make_overlays), Step("seal", _seal, attempts=5)), undo=_undo)
    for kind in (DATA_KIND, VOLUME_KIND, UPLOAD_KIND)
)
