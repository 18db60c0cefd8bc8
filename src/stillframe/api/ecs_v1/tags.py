"""The tags of servers as keys and values, and servers found by them: decode, one service call, encode.

Source: Open Telekom Cloud, ECS API reference, "Tag Management".
"""

from typing import Annotated, Any, Literal

from litestar import Request, get, post, put
from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import int_of
from stillframe.api.compute_v2.queries import like_pattern
from stillframe.api.ecs_v1.orders_wire import Tag, decode, pairs_of
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.servers import service as servers
from stillframe.servers import tagging
from stillframe.servers.listing import ServerQuery
from stillframe.servers.model import Server
from stillframe.servers.tag_rows import TagFilter, pair_of

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

MAX_FOUND = 1000
_TAGS = ["/v1/{project_id:str}/cloudservers/{server_id:str}/tags", "/v1/{project_id:str}/servers/{server_id:str}/tags"]
_OF_PROJECT = ["/v1/{project_id:str}/cloudservers", "/v1/{project_id:str}/servers"]


class TagsBody(Struct):
    tags: list[Tag]


class TagsAction(Struct):
    tags: list[Tag]
    action: Literal["create", "delete"]


class TagWanted(Struct):
    key: Annotated[str, Meta(min_length=1, max_length=127)]
    values: list[str] | None = None


class Match(Struct):
    key: str
    value: Annotated[str, Meta(max_length=255)]


class SearchBody(Struct):
    action: Literal["filter", "count"]
    tags: Annotated[list[TagWanted], Meta(max_length=20)] | None = None
    tags_any: Annotated[list[TagWanted], Meta(max_length=20)] | None = None
    not_tags: Annotated[list[TagWanted], Meta(max_length=20)] | None = None
    matches: list[Match] | None = None
    limit: int | str | None = None
    offset: int | str | None = None


@get(_TAGS)
async def list_tags(server_id: str, tx: Transaction, caller: Caller) -> Json:
    pairs = await tagging.list_pairs(tx, caller, server_id)
    return {"tags": [{"key": key, "value": value} for key, value in pairs.items()]}


@post(_TAGS, status_code=204)
async def add_tags(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    await tagging.set_pairs(tx, caller, server_id, pairs_of(decode(await request.body(), TagsBody).tags))


@put(_TAGS, status_code=204)
async def replace_tags(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    await tagging.replace_pairs(tx, caller, server_id, pairs_of(decode(await request.body(), TagsBody).tags))


@post([f"{path}/action" for path in _TAGS], status_code=204)
async def change_tags(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    body = decode(await request.body(), TagsAction)
    change = tagging.set_pairs if body.action == "create" else tagging.drop_pairs
    await change(tx, caller, server_id, pairs_of(body.tags))


@get([f"{path}/tags" for path in _OF_PROJECT])
async def list_project_tags(tx: Transaction, caller: Caller) -> Json:
    values = await tagging.list_pairs_of_project(tx, caller)
    return {"tags": [{"key": key, "values": known} for key, known in values.items()]}


@post([f"{path}/resource_instances/action" for path in _OF_PROJECT], status_code=200)
async def find_servers(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    body = decode(await request.body(), SearchBody)
    query = _query(body)
    total = {"total_count": await servers.count_servers(tx, caller, query)}
    if body.action == "count":
        return total
    return {"resources": [_found(server) for server in await servers.list_servers(tx, caller, query)], **total}


def _query(body: SearchBody) -> ServerQuery:
    limit, offset = int_of(body.limit, "limit"), int_of(body.offset, "offset")
    if (limit is not None and not 1 <= limit <= MAX_FOUND) or (offset is not None and offset < 0):
        raise InvalidInputError(f"limit must be 1 to {MAX_FOUND}, and offset not negative.", field="limit")
    name = None
    for match in body.matches or ():
        if match.key != "resource_name":
            raise InvalidInputError("ECSs can be matched by resource_name.", field="matches")
        name = like_pattern(match.value.replace(".", "\\."))
    return ServerQuery(
        name_pattern=name,
        tags=TagFilter(keys=_keys(body.tags), any_keys=_keys(body.tags_any), no_keys=_keys(body.not_tags)),
        limit=limit or MAX_FOUND,
        offset=offset or 0,
    )


def _keys(wanted: list[TagWanted] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((tag.key, tuple(tag.values or ())) for tag in wanted or ())


def _found(server: Server) -> Json:
    pairs = dict(pair_of(tag) for tag in server.tags)
    return {
        "resource_id": server.id,
        "resource_name": server.name,
        "resource_detail": None,
        "tags": [{"key": key, "value": value} for key, value in pairs.items()],
    }


handlers = [list_tags, add_tags, replace_tags, change_tags, list_project_tags, find_servers]
