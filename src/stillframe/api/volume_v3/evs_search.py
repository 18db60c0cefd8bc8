"""Volumes found by their tags, as EVS does it.

Source: Open Telekom Cloud, EVS API reference, "Querying EVS Disks by Tag", "Querying Tags of EVS Disks in a Project".
"""

from typing import Annotated, Any, Literal

from litestar import Request, get, post
from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import decode_body, int_of
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeQuery

Json = dict[str, Any]

MAX_FOUND = 1000


class TagWanted(Struct):
    key: Annotated[str, Meta(min_length=1, max_length=127)]
    values: Annotated[list[str], Meta(max_length=10)] | None = None


class Match(Struct):
    key: str
    value: Annotated[str, Meta(max_length=255)]


class SearchBody(Struct):
    action: Literal["filter", "count"]
    tags: Annotated[list[TagWanted], Meta(max_length=10)] | None = None
    matches: list[Match] | None = None
    limit: int | str | None = None
    offset: int | str | None = None


@get("/cloudvolumes/tags")
async def list_project_tags(tx: Transaction, caller: Caller) -> Json:
    values: dict[str, set[str]] = {}
    for volume in await volumes.list_volumes(tx, caller, VolumeQuery()):
        for key, value in volume.tags.items():
            values.setdefault(key, set()).add(value)
    return {"tags": {key: sorted(known) for key, known in sorted(values.items())}}


@post("/cloudvolumes/resource_instances/action", status_code=200)
async def find_volumes(request: Request[Any, Any, Any], tx: Transaction, caller: Caller) -> Json:
    body = decode_body(await request.body(), SearchBody)
    limit, offset = int_of(body.limit, "limit"), int_of(body.offset, "offset") or 0
    if (limit is not None and not 1 <= limit <= MAX_FOUND) or offset < 0:
        raise InvalidInputError(f"limit must be 1 to {MAX_FOUND}, and offset not negative.", field="limit")
    if any(match.key != "resource_name" for match in body.matches or ()):
        raise InvalidInputError("EVS disks can be matched by resource_name.", field="matches")
    found = [one for one in await volumes.list_volumes(tx, caller, VolumeQuery()) if _fits(one, body)]
    if body.action == "count":
        return {"total_count": len(found)}
    page = found[offset : offset + (limit or MAX_FOUND)]
    return {"resources": [_found(volume) for volume in page], "total_count": len(found)}


def _fits(volume: Volume, body: SearchBody) -> bool:
    """Every key with one of its values, or with any where none is named; names by a part of them."""
    return all(
        tag.key in volume.tags and (not tag.values or volume.tags[tag.key] in tag.values) for tag in body.tags or ()
    ) and all(match.value.lower() in volume.name.lower() for match in body.matches or ())


def _found(volume: Volume) -> Json:
    return {
        "resource_id": volume.id,
        "resource_name": volume.name,
        "resource_detail": None,
        "tags": [{"key": key, "value": value} for key, value in volume.tags.items()],
    }


handlers = [list_project_tags, find_volumes]
