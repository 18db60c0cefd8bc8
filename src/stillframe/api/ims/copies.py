"""Copying an image within the region, and the refusal to copy it to another.

Source: Open Telekom Cloud, IMS API reference, "Replicating an Image Within a Region".
"""

from typing import Any

import msgspec
from litestar import Request, post

from stillframe.api.ims import wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.images import copying
from stillframe.images.refusals import ImageNameBlankError, OperationNotSupportedError

AnyRequest = Request[Any, Any, Any]


class CopyBody(msgspec.Struct, kw_only=True):
    """POST /v1/cloudimages/{image_id}/copy"""

    name: str | None = None
    description: str | None = None
    cmk_id: str | None = None
    enterprise_project_id: str | None = None


@post(["/v1/cloudimages/{image_id:str}/copy", "/v2.1/cloudimages/{image_id:str}/copy"], status_code=200)
async def copy_image(
    request: AnyRequest, image_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> dict[str, str]:
    wanted = _copy_request(image_id, wire.decode_body(await request.body(), CopyBody))
    job = await copying.copy_image(tx, caller, settings, wanted)
    return {"job_id": job.id}


def _copy_request(image_id: str, body: CopyBody) -> copying.CopyRequest:
    """Raises, in this order: IMG.0013 0062 0002 0003 0004 0054 0155 0066, by their classes."""
    if body.name and not body.name.strip():
        raise ImageNameBlankError
    return copying.CopyRequest(
        name=wire.checked_name(body.name),
        description=wire.checked_description(body.description),
        key_id=(body.cmk_id or "").strip(),
        enterprise_project_id=wire.checked_enterprise_project(body.enterprise_project_id),
        image_id=wire.checked_image_id(image_id),
    )


@post("/v1/cloudimages/{image_id:str}/cross_region_copy", status_code=200)
async def copy_image_to_another_region(image_id: str) -> None:
    """There is one region; the answer is the documented refusal, whatever is asked for."""
    wire.checked_image_id(image_id)
    raise OperationNotSupportedError


handlers = [copy_image, copy_image_to_another_region]
