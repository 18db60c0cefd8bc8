"""Making images of files in the object store.

Source: Open Telekom Cloud, IMS API reference, "Creating an Image", "Importing an Image File Quickly", "Creating a Data
Disk Image from an External Image File", "Registering an Image".
"""

from typing import Any

from litestar import Request, post, put
from msgspec.structs import replace

from stillframe.api.ims import import_wire, wire
from stillframe.config import Settings
from stillframe.db import Database
from stillframe.identity.model import Caller
from stillframe.images import incoming
from stillframe.images import service as images
from stillframe.images.model import ImageKind
from stillframe.jobs.resources import Resources
from stillframe.transfers import imports
from stillframe.transfers.model import ImportRequest
from stillframe.transfers.stores import store_of_project

AnyRequest = Request[Any, Any, Any]


async def create_image_from_file(request: AnyRequest, caller: Caller, resources: Resources) -> dict[str, str]:
    """POST /v2/cloudimages/action with `image_url`; on the v1 path, some clients mean data disk images by it."""
    raw = await request.body()
    body = wire.decode_body(raw, import_wire.ImportBody)
    is_of_data_image = request.url.path.startswith("/v1/") and import_wire.names_no_system(body)
    if is_of_data_image or body.type == ImageKind.DATA:
        return await _create_data_image(raw, caller, resources)
    wanted = import_wire.import_request(images.new_image(caller), body, resources.settings)
    return await _submit(caller, resources, wanted)


@post(["/v1/cloudimages/dataimages/action", "/v2.1/cloudimages/dataimages/action"], status_code=200)
async def create_data_image(request: AnyRequest, caller: Caller, resources: Resources) -> dict[str, str]:
    return await _create_data_image(await request.body(), caller, resources)


async def _create_data_image(raw: bytes, caller: Caller, resources: Resources) -> dict[str, str]:
    body = wire.decode_body(raw, import_wire.DataImageBody)
    return await _submit(caller, resources, import_wire.data_image_request(images.new_image(caller), body))


@post(["/v2/cloudimages/quickimport/action", "/v2.1/cloudimages/quickimport/action"], status_code=200)
async def import_image_quickly(request: AnyRequest, caller: Caller, resources: Resources) -> dict[str, str]:
    body = wire.decode_body(await request.body(), import_wire.ImportBody)
    wanted = import_wire.quick_request(images.new_image(caller), body, resources.settings)
    return await _submit(caller, resources, wanted)


async def _submit(caller: Caller, resources: Resources, wanted: ImportRequest) -> dict[str, str]:
    """The buckets are asked in between, while no transaction is open."""
    store = await store_of_project(resources, caller.require_project())
    checked = await imports.check_sources(store, resources.settings, wanted)
    async with resources.database.writing() as tx:
        job = await imports.submit_import(tx, caller, resources.settings, checked)
    return {"job_id": job.id}


@put("/v1/cloudimages/{image_id:str}/upload")
async def register_image(
    request: AnyRequest, image_id: str, caller: Caller, resources: Resources, database: Database, settings: Settings
) -> dict[str, str]:
    body = wire.decode_body(await request.body(), import_wire.RegistrationBody)
    blank = replace(images.new_image(caller), id=wire.checked_image_id(image_id))
    file = import_wire.registration_file(blank, body)
    async with database.reading() as tx:
        await incoming.require_queued_image(tx, caller, blank.id)
    store = await store_of_project(resources, caller.require_project())
    checked = await imports.check_source(store, settings, file)
    async with database.writing() as tx:
        job = await imports.submit_registration(tx, caller, settings, checked)
    return {"job_id": job.id}


handlers = [create_data_image, import_image_quickly, register_image]
