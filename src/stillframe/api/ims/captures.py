"""Images of volumes and of whole servers: decode, one service call, encode."""

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from stillframe.api.ims import capture_wire as wire
from stillframe.api.ims.wire import decode_body
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.identity.model import Caller
from stillframe.images import disk_capture, whole_capture

AnyRequest = Request[Any, Any, Any]


async def create_data_images(body: bytes, caller: Caller, settings: Settings, database: Database) -> dict[str, str]:
    """POST /v2/cloudimages/action with data_images of volumes."""
    requests = wire.data_captures(decode_body(body, wire.DataImagesBody))
    async with database.writing() as tx:
        job = await disk_capture.capture_data_disks(tx, caller, settings, requests)
    return {"job_id": job.id}


async def create_volume_image(body: bytes, caller: Caller, settings: Settings, database: Database) -> dict[str, str]:
    """POST /v2/cloudimages/action with the volume_id of a disk to start servers from."""
    request = wire.volume_capture(decode_body(body, wire.VolumeImageBody), settings)
    async with database.writing() as tx:
        job = await disk_capture.capture_volume(tx, caller, settings, request)
    return {"job_id": job.id}


@post(["/v1/cloudimages/wholeimages/action", "/v2.1/cloudimages/wholeimages/action"], status_code=200)
async def create_whole_image(
    request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings
) -> dict[str, str]:
    wanted = wire.whole_capture(decode_body(await request.body(), wire.WholeImageBody))
    job = await whole_capture.capture_whole_server(tx, caller, settings, wanted)
    return {"job_id": job.id}


handlers: list[HTTPRouteHandler] = [create_whole_image]
