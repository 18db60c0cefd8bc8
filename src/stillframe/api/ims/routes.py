"""IMS: decode, one service call, encode."""

from typing import Any

from litestar import Request, Router, delete, get, post
from litestar.handlers import HTTPRouteHandler

from stillframe.api.ims import captures, catalogs, copies, imports, members, tag_queries, tags, updates, wire
from stillframe.api.ims.errors import exception_handlers
from stillframe.api.ims.jobs import job_to_wire
from stillframe.api.ims.lists import image_query, images_page
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import (
    FlavorFilterInvalidError,
    JobNotFoundError,
    NotFoundError,
)
from stillframe.flavors import service as flavors
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.images import capture
from stillframe.images import service as images
from stillframe.images.refusals import FlavorLookupError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Service
from stillframe.jobs.resources import Resources
from stillframe.transfers import service as transfers
from stillframe.transfers.stores import store_of_project

AnyRequest = Request[Any, Any, Any]


@post(["/v2/cloudimages/action", "/v2.1/cloudimages/action", "/v1/cloudimages/action"], status_code=200)
async def create_image(
    request: AnyRequest, caller: Caller, settings: Settings, database: Database, resources: Resources
) -> dict[str, str]:
    """From a server's system disk, from volumes, or from a file of the object store."""
    raw = await request.body()
    body = wire.decode_body(raw, wire.CreateImageBody)
    wire.require_one_source(body)
    if body.image_url:
        return await imports.create_image_from_file(request, caller, resources)
    if body.volume_id:
        return await captures.create_volume_image(raw, caller, settings, database)
    if body.data_images:
        return await captures.create_data_images(raw, caller, settings, database)
    async with database.writing() as tx:
        job = await capture.capture_server(tx, caller, settings, wire.capture_request(body))
    return {"job_id": job.id}


@post(["/v1/cloudimages/{image_id:str}/file", "/v2.1/cloudimages/{image_id:str}/file"], status_code=200)
async def export_image(
    request: AnyRequest,
    image_id: str,
    caller: Caller,
    settings: Settings,
    database: Database,
    resources: Resources,
) -> dict[str, str]:
    body = wire.decode_body(await request.body(), wire.ExportBody)
    wanted = wire.export_request(wire.checked_image_id(image_id), body, zvhd_writes_vhd=settings.zvhd_writes_vhd)
    async with database.reading() as tx:
        await transfers.check_exportable(tx, caller, settings, wanted)
    store = await store_of_project(resources, caller.require_project())
    await transfers.check_target(store, wanted)
    async with database.writing() as tx:
        job = await transfers.submit_export(tx, caller, settings, wanted)
    return {"job_id": job.id}


@get("/v1/{project_id:str}/jobs/{job_id:str}")
async def show_job(project_id: str, job_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return job_to_wire(await _find_job(tx, caller, project_id, job_id))


@get("/v1/cloudimages/job/{job_id:str}")
async def show_job_of_token(job_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return job_to_wire(await _find_job(tx, caller, caller.require_project(), job_id))


@delete("/v1/{project_id:str}/jobs/{job_id:str}", status_code=204)
async def cancel_job(project_id: str, job_id: str, tx: Transaction, caller: Caller) -> None:
    """An addition of ours: asks an unfinished job to stop and to undo what it did."""
    wire.require_own_project(project_id, caller)
    job = await _find_job(tx, caller, project_id, job_id)
    await jobs.cancel_job(tx, job.id, project_id=project_id, service=Service.IMS)


async def _find_job(tx: Transaction, caller: Caller, project_id: str, job_id: str) -> Job:
    wire.require_same_project(project_id, caller)
    try:
        return await jobs.get_job(tx, job_id, project_id=project_id, service=Service.IMS)
    except NotFoundError as error:
        raise JobNotFoundError(cause=error) from None


@get("/v2/cloudimages")
async def list_images(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, Any]:
    parameters = list(request.query_params.multi_items())
    query = image_query(parameters, caller, await _fitting_flavor(tx, parameters))
    return images_page(await images.list_images(tx, caller, query), query, caller, settings)


async def _fitting_flavor(tx: Transaction, parameters: list[tuple[str, str]]) -> Flavor | None:
    wanted = dict(parameters).get("flavor_id")
    if not wanted:
        return None
    if not wanted.isprintable() or len(wanted) > 255:
        raise FlavorLookupError
    try:
        return await flavors.get_flavor(tx, wanted)
    except NotFoundError as error:
        raise FlavorFilterInvalidError(cause=error) from None


_offered: list[HTTPRouteHandler] = [
    create_image,
    export_image,
    show_job,
    show_job_of_token,
    cancel_job,
    list_images,
    *imports.handlers,
    *captures.handlers,
    *members.handlers,
    *copies.handlers,
    *updates.handlers,
    *catalogs.handlers,
    *tags.handlers,
    *tag_queries.handlers,
]

handlers = [Router(path="/", route_handlers=_offered, exception_handlers=exception_handlers)]
