"""Finding images by their tags.

Source: Open Telekom Cloud, IMS API reference, "Querying Images by Tag".
"""

from typing import Any

import msgspec
from litestar import Request, get, post

from stillframe.api.image_v2.kinds import parsed_int
from stillframe.api.ims import wire
from stillframe.api.ims.lists import status_to_wire
from stillframe.api.ims.tags import pairs_to_wire
from stillframe.db import Transaction
from stillframe.errors import ImageTagInvalidError, RequestFormatError
from stillframe.identity.model import Caller
from stillframe.images import tagging
from stillframe.images.refusals import OperationNotSupportedError, ResourceIdInvalidError, ResourceTypeError
from stillframe.images.tag_search import TagCondition, TaggedImage, TagQuery
from stillframe.images.tagging import pair_of
from stillframe.kit.ids import normalized_uuid

AnyRequest = Request[Any, Any, Any]

DEFAULT_LIMIT, MAX_LIMIT = 10, 1000
MAX_KEYS, MAX_VALUES = 10, 10
MAX_OFFSET = 2**31 - 1


class TagValues(msgspec.Struct, kw_only=True):
    key: str | None = None
    values: list[str] | None = None


class TagQueryBody(msgspec.Struct, kw_only=True):
    """POST /v2/{project_id}/images/resource_instances/action"""

    action: str | None = None
    tags: list[TagValues] | None = None
    tags_any: list[TagValues] | None = None
    not_tags: list[TagValues] | None = None
    not_tags_any: list[TagValues] | None = None
    without_any_tag: bool | None = None
    limit: int | str | None = None
    offset: int | str | None = None
    matches: list[wire.TagPair] | None = None


@post("/v2/{project_id:str}/images/resource_instances/action", status_code=200)
async def find_images(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    wire.require_same_project(project_id, caller)
    body = wire.decode_body(await request.body(), TagQueryBody)
    query = tag_query(body)
    if body.action == "count":
        return {"total_count": await tagging.count_images(tx, caller, query)}
    found = await tagging.find_images(tx, caller, query)
    return {"total_count": found.total, "resources": [_resource(image) for image in found.images]}


@post("/v2/{project_id:str}/{resource_type:str}/resource_instances/action", status_code=200)
async def find_others(project_id: str, resource_type: str, caller: Caller) -> None:
    """The tag service's path for any kind of resource; this service has images only."""
    await _refuse_others(project_id, resource_type, caller)


@get("/v2/{project_id:str}/{resource_type:str}/tags")
async def list_tags_of_others(project_id: str, resource_type: str, caller: Caller) -> None:
    await _refuse_others(project_id, resource_type, caller)


async def _refuse_others(project_id: str, resource_type: str, caller: Caller) -> None:
    wire.require_same_project(project_id, caller)
    raise ResourceTypeError(f"There are images here, and no {resource_type[:64]!r}.")


def tag_query(body: TagQueryBody) -> TagQuery:
    """Raises, in this order: IMG.0001 0105 0001 0115 0031, by their classes."""
    if not body.action:
        raise RequestFormatError("action must be given.")
    if body.action not in ("filter", "count"):
        raise OperationNotSupportedError("action must be filter or count.")
    limit, offset = DEFAULT_LIMIT, 0
    if body.action == "filter":
        limit, offset = _number("limit", body.limit, DEFAULT_LIMIT), _number("offset", body.offset, 0)
    if not (1 <= limit <= MAX_LIMIT and 0 <= offset <= MAX_OFFSET):
        raise RequestFormatError(f"limit must be between 1 and {MAX_LIMIT}, offset 0 or more.")
    return TagQuery(
        all_of=_conditions("tags", body.tags),
        any_of=_conditions("tags_any", body.tags_any),
        not_all_of=_conditions("not_tags", body.not_tags),
        not_any_of=_conditions("not_tags_any", body.not_tags_any),
        untagged=bool(body.without_any_tag),
        name_parts=tuple(_matches(body, "resource_name")),
        image_ids=tuple(_checked_id(text) for text in _matches(body, "resource_id")),
        limit=limit,
        offset=offset,
    )


def _number(name: str, value: int | str | None, default: int) -> int:
    return default if value in (None, "") else parsed_int(name, str(value))


def _conditions(name: str, given: list[TagValues] | None) -> tuple[TagCondition, ...]:
    """One for every key; a key named twice takes the values of both."""
    values: dict[str, frozenset[str] | None] = {}
    for one in given or []:
        key, asked = one.key or "", frozenset(one.values or ())
        if not 1 <= len(key) <= 128 or any(len(value) > 255 for value in asked):
            raise ImageTagInvalidError
        known = values.get(key, frozenset())
        values[key] = None if known is None or not asked else known | asked
    if len(values) > MAX_KEYS or any(len(asked or ()) > MAX_VALUES for asked in values.values()):
        raise RequestFormatError(f"{name} takes at most {MAX_KEYS} keys with {MAX_VALUES} values each.")
    return tuple(TagCondition(key=key, values=asked or frozenset()) for key, asked in values.items())


def _matches(body: TagQueryBody, wanted: str) -> list[str]:
    matches = [(match.key, match.value or "") for match in body.matches or []]
    if any(key not in ("resource_name", "resource_id") or len(value) > 255 for key, value in matches):
        raise RequestFormatError("matches takes resource_name and resource_id, with at most 255 characters each.")
    if len(matches) > MAX_KEYS:
        raise RequestFormatError(f"matches takes at most {MAX_KEYS} entries.")
    return [value for key, value in matches if key == wanted]


def _checked_id(text: str) -> str:
    image_id = normalized_uuid(text)
    if image_id is None:
        raise ResourceIdInvalidError
    return image_id


def _resource(image: TaggedImage) -> dict[str, Any]:
    return {
        "resource_id": image.id,
        "resource_name": image.name,
        "resource_detail": {"status": status_to_wire(image.status)},
        "tags": pairs_to_wire([pair_of(tag) for tag in image.tags]),
    }


handlers = [find_images, find_others, list_tags_of_others]
