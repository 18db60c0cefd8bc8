"""The tags of a server as texts: decode, one service call, encode.

They may be as long as Open Telekom Cloud has them, which is longer than in Nova.

Source: OpenStack Compute API reference, "Server tags"; Open Telekom Cloud, ECS API reference, "Adding a Tag to an ECS".
"""

from typing import Any
from urllib.parse import unquote

from litestar import Request, Response, delete, get, put
from msgspec import Struct

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.server_requests import Tag
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.servers import tagging

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_TAGS = "/servers/{server_id:str}/tags"


class TagsBody(Struct):
    tags: list[Tag]


@get(_TAGS)
async def list_tags(server_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"tags": await tagging.list_tags(tx, caller, server_id)}


@put(_TAGS, status_code=200)
async def replace_tags(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Json:
    tags = decode_body(await request.body(), TagsBody).tags
    return {"tags": await tagging.replace_tags(tx, caller, server_id, tags)}


@delete(_TAGS, status_code=204)
async def delete_tags(server_id: str, tx: Transaction, caller: Caller) -> None:
    await tagging.replace_tags(tx, caller, server_id, ())


@get(f"{_TAGS}/{{tag:path}}", status_code=204)
async def check_tag(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    tag = _tag(request)
    if tag not in await tagging.list_tags(tx, caller, server_id):
        raise NotFoundError(f"Server {server_id} has no tag '{tag[:100]}'")


@put(f"{_TAGS}/{{tag:path}}", status_code=201)
async def add_tag(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> Response[None]:
    is_new = await tagging.add_tag(tx, caller, server_id, _tag(request))
    location = f"{base_url(request)}{request.scope['raw_path'].decode('latin-1')}"
    return (
        Response(None, status_code=201, headers={"Location": location}) if is_new else Response(None, status_code=204)
    )


@delete(f"{_TAGS}/{{tag:path}}", status_code=204)
async def remove_tag(request: AnyRequest, server_id: str, tx: Transaction, caller: Caller) -> None:
    await tagging.remove_tag(tx, caller, server_id, _tag(request))


def _tag(request: AnyRequest) -> str:
    """From the path as it was sent: a decoded one cannot tell a slash in a tag from a slash behind it."""
    raw = bytes(request.scope["raw_path"]).partition(b"?")[0].decode("latin-1")
    try:
        return unquote(raw.partition("/tags/")[2], errors="strict")
    except UnicodeDecodeError:
        raise InvalidInputError("The tag in the path is not UTF-8.", field="tags") from None


handlers = [list_tags, replace_tags, delete_tags, check_tag, add_tag, remove_tag]
