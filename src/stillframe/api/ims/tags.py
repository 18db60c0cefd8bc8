"""Tags of images in both generations of the API.

Source: Open Telekom Cloud, IMS API reference, "Image Tag" and "Image Tag Format"; huaweicloudsdkims, batch_delete_tags.
"""

from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request, delete, get, post, put

from stillframe.api.image_v2.kinds import checked_text
from stillframe.api.ims import wire
from stillframe.api.ims.errors import answer_not_found
from stillframe.api.ims.lists import tags_query
from stillframe.db import Transaction
from stillframe.errors import ImageTagInvalidError, NotFoundError, RequestFormatError
from stillframe.identity.model import Caller
from stillframe.images import tagging
from stillframe.images.refusals import OperationNotSupportedError, ResourceIdInvalidError
from stillframe.images.tagging import Pair, pair_of
from stillframe.kit.ids import normalized_uuid

AnyRequest = Request[Any, Any, Any]


_NOT_FOUND: dict[Any, Any] = {NotFoundError: answer_not_found}
"""Where the resource is in the path, its absence is a 404."""


class TagBody(msgspec.Struct, kw_only=True):
    """PUT /v1/cloudimages/tags"""

    image_id: str | None = None
    tag: str | None = None
    image_tag: wire.TagPair | None = None


class OneTagBody(msgspec.Struct, kw_only=True):
    """POST /v2/{project_id}/images/{image_id}/tags"""

    tag: wire.TagPair | None = None


class TagsBody(msgspec.Struct, kw_only=True):
    """POST .../tags/action, and DELETE .../tags/delete, where the action goes without saying."""

    action: str | None = None
    tags: list[wire.TagPair] | None = None


@put("/v1/cloudimages/tags", status_code=204)
async def set_tag(request: AnyRequest, tx: Transaction, caller: Caller) -> None:
    body = wire.decode_body(await request.body(), TagBody)
    pairs = _single_pair(body)
    await tagging.set_tags(tx, caller, wire.checked_image_id(body.image_id or ""), pairs)


def _single_pair(body: TagBody) -> list[Pair]:
    """Some clients send the form they do not use with nothing in it."""
    has_pair = body.image_tag is not None and bool(body.image_tag.key or body.image_tag.value)
    if body.tag and has_pair:
        raise RequestFormatError("tag and image_tag exclude each other.")
    if not body.tag and not has_pair:
        raise ImageTagInvalidError
    pair = [body.image_tag] if body.image_tag is not None and has_pair else None
    return _pairs(wire.checked_tags([body.tag] if body.tag else None, pair))


def _pairs(tags: tuple[str, ...]) -> list[Pair]:
    return [pair_of(tag) for tag in tags]


@get("/v1/cloudimages/tags")
async def list_tags(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query, limit, offset = tags_query(request.query_params.multi_items(), caller)
    return {"tags": await tagging.list_used_tags(tx, caller, query, limit=limit, offset=offset)}


@delete("/v1/{project_id:str}/cloudimages/{image_id:str}/tags/delete")
async def delete_tags(request: AnyRequest, project_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    wire.require_own_project(project_id, caller)
    doomed = _doomed_pairs(wire.decode_body(await request.body(), TagsBody))
    await tagging.drop_tags(tx, caller, wire.checked_image_id(image_id), doomed)


def _doomed_pairs(body: TagsBody) -> list[Pair]:
    """Free texts: what other doors have set can be removed here."""
    if not body.tags:
        raise RequestFormatError("tags must be given.")
    pairs = [((pair.key or "").strip(" "), (pair.value or "").strip(" ")) for pair in body.tags]
    if not all(key for key, _ in pairs):
        raise ImageTagInvalidError
    return pairs


@post("/v2/{project_id:str}/images/{image_id:str}/tags", status_code=204, exception_handlers=_NOT_FOUND)
async def add_tag(request: AnyRequest, project_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    wire.require_same_project(project_id, caller)
    body = wire.decode_body(await request.body(), OneTagBody)
    if body.tag is None:
        raise RequestFormatError("tag must be given.")
    await tagging.set_tags(tx, caller, _resource_id(image_id), _pairs(wire.checked_tags(None, [body.tag])))


@get("/v2/{project_id:str}/images/{image_id:str}/tags", exception_handlers=_NOT_FOUND)
async def list_image_tags(project_id: str, image_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    wire.require_same_project(project_id, caller)
    return {"tags": pairs_to_wire(await tagging.list_tags(tx, caller, _resource_id(image_id)))}


@delete(
    ["/v2/{project_id:str}/images/{image_id:str}/tags/{key:path}"],
    exception_handlers=_NOT_FOUND,
)
async def delete_tag(request: AnyRequest, project_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    wire.require_same_project(project_id, caller)
    await tagging.drop_tag(tx, caller, _resource_id(image_id), _key(request))


@delete("/v2/{project_id:str}/images/{image_id:str}/tags/action", exception_handlers=_NOT_FOUND)
async def delete_tag_called_action(project_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    """The path of another operation, and of a tag as good as any."""
    wire.require_same_project(project_id, caller)
    await tagging.drop_tag(tx, caller, _resource_id(image_id), "action")


@post("/v2/{project_id:str}/images/{image_id:str}/tags/action", status_code=204, exception_handlers=_NOT_FOUND)
async def change_tags(request: AnyRequest, project_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    wire.require_same_project(project_id, caller)
    body = wire.decode_body(await request.body(), TagsBody)
    if not body.action:
        raise RequestFormatError("action must be given.")
    if body.action == "create":
        if not body.tags:
            raise RequestFormatError("tags must be given.")
        await tagging.set_tags(tx, caller, _resource_id(image_id), _pairs(wire.checked_tags(None, body.tags)))
    elif body.action == "delete":
        await tagging.drop_tags(tx, caller, _resource_id(image_id), _doomed_pairs(body))
    else:
        raise OperationNotSupportedError("action must be create or delete.")


@get("/v2/{project_id:str}/images/tags")
async def list_project_tags(project_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    wire.require_same_project(project_id, caller)
    values = await tagging.list_tags_of_project(tx, caller)
    return {"tags": [{"key": key, "values": known} for key, known in values.items()]}


def pairs_to_wire(pairs: list[Pair]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in pairs]


def _resource_id(text: str) -> str:
    image_id = normalized_uuid(text)
    if image_id is None:
        raise ResourceIdInvalidError
    return image_id


def _key(request: AnyRequest) -> str:
    """From the path as it was sent: a decoded one cannot tell a slash in a key from one behind it."""
    raw = bytes(request.scope["raw_path"]).partition(b"?")[0].decode("latin-1")
    return checked_text("key", unquote(raw.partition("/tags/")[2]))


handlers = [
    set_tag,
    list_tags,
    delete_tags,
    add_tag,
    list_image_tags,
    delete_tag,
    delete_tag_called_action,
    change_tags,
    list_project_tags,
]
