"""EVS v2: cloudvolumes with jobs, and the tags of volumes.

Source: Open Telekom Cloud, EVS API reference, "Creating EVS Disks", "Querying Details About All Disks", "Expanding
Capacity of an EVS Disk", "Querying Task Status", "Tag Management".
"""

from typing import Any

from litestar import Request, delete, get, post, put
from msgspec import Struct, field

from stillframe.api.compute_v2.bodies import decode_body, int_of
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import next_page, query_pairs
from stillframe.api.volume_v3 import evs_wire as wire
from stillframe.api.volume_v3.wire import volume_query
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, JobNotFoundError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Service
from stillframe.servers import growth
from stillframe.volumes import evs_jobs
from stillframe.volumes import service as volumes

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_TAGGED = ["/cloudvolumes/{volume_id:str}", "/os-vendor-volumes/{volume_id:str}"]


class NewSize(Struct):
    new_size: int | str


class ExtendBody(Struct):
    extend: NewSize = field(name="os-extend")


@post("/cloudvolumes", status_code=200)
async def create_volumes(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    new, count = wire.new_volumes(decode_body(await request.body(), wire.CreateBody))
    made, job = await evs_jobs.create_volumes(tx, caller, settings, new, count)
    return {"job_id": job.id, "volume_ids": [volume.id for volume in made]}


@get(["/cloudvolumes/detail", "/os-vendor-volumes/detail"])
async def list_volumes(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    pairs = query_pairs(request)
    query = wire.narrowed(volume_query(pairs), dict(pairs))
    found = await volumes.list_volumes(tx, caller, query)
    base = base_url(request)
    answer: Json = {"volumes": [wire.volume_to_wire(volume, base) for volume in found]}
    answer["count"] = await volumes.count_volumes(tx, caller, query)
    if found and len(found) == query.limit:
        path = f"{base}{request.scope['path']}"
        answer["volumes_links"] = next_page(path, [pair for pair in pairs if pair[0] != "offset"], found[-1].id)
    return answer


@get(_TAGGED)
async def show_volume(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"volume": wire.volume_to_wire(await volumes.get_volume(tx, caller, volume_id), base_url(request))}


@put("/cloudvolumes/{volume_id:str}", status_code=200)
async def update_volume(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    """Huawei's SDK looks for the volume's fields outside of `volume`."""
    changes = wire.changes_of(decode_body(await request.body(), wire.ChangesBody).volume)
    volume = wire.volume_to_wire(await volumes.update_volume(tx, caller, volume_id, **changes), base_url(request))
    return {**volume, "volume": volume}


@delete("/cloudvolumes/{volume_id:str}", status_code=200)
async def delete_volume(volume_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return {"job_id": (await evs_jobs.delete_volume(tx, caller, settings, volume_id)).id}


@post("/cloudvolumes/{volume_id:str}/action", status_code=202)
async def extend_volume(
    request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    size_gib = int_of(decode_body(await request.body(), ExtendBody).extend.new_size, "new_size") or 0
    _volume, job = await growth.extend_volume(tx, caller, settings, volume_id, size_gib)
    return {"job_id": job.id}


@get([f"{path}/tags" for path in _TAGGED])
async def list_tags(volume_id: str, tx: Transaction, caller: Caller) -> Json:
    tags = (await volumes.get_volume(tx, caller, volume_id)).tags
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


@post([f"{path}/tags/action" for path in _TAGGED], status_code=204)
async def change_tags(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> None:
    body = decode_body(await request.body(), wire.TagsAction)
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    given = {tag.key: tag.value or "" for tag in body.tags}
    if body.action == "create":
        after = wire.checked_tags(volume.tags | given)
    elif body.action == "delete":
        after = {key: value for key, value in volume.tags.items() if key not in given}
    else:
        raise InvalidInputError("action must be create or delete.", field="action")
    await volumes.change_volume(tx, volume, tags=after)


@get("/os-vendor-tags/volumes/{volume_id:str}")
async def show_old_tags(volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"tags": (await volumes.get_volume(tx, caller, volume_id)).tags}


@put("/os-vendor-tags/volumes/{volume_id:str}", status_code=200)
async def replace_old_tags(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    tags = wire.checked_tags(decode_body(await request.body(), wire.OldTags).tags)
    await volumes.update_volume(tx, caller, volume_id, tags=tags)
    return {"tags": tags}


@get("/v1/{project_id:str}/jobs/{job_id:str}")
async def show_job(project_id: str, job_id: str, tx: Transaction, caller: Caller) -> Json:
    if project_id != caller.require_project():
        raise InvalidInputError("invalid tenant id!", field="project_id")
    try:
        job = await jobs.get_job(tx, job_id, project_id=project_id, service=Service.EVS)
        part_ids = job.args.get("job_ids", [])
        parts = [await jobs.get_job(tx, one, project_id=project_id, service=Service.EVS) for one in part_ids]
    except NotFoundError as error:
        raise JobNotFoundError("invalid request.", cause=error) from None
    return wire.job_to_wire(job, parts)


handlers = [
    create_volumes,
    list_volumes,
    show_volume,
    update_volume,
    delete_volume,
    extend_volume,
    list_tags,
    change_tags,
    show_old_tags,
    replace_old_tags,
]

paid_handlers = [create_volumes, extend_volume]
