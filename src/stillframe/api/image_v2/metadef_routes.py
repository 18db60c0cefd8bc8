"""Metadata definitions: decode, one service call, encode.

The handlers of objects, properties, tags and resource types are in metadef_parts.py.
"""

from typing import Any, TypeVar

from litestar import Request, Response, delete, get, post, put

from stillframe.api.image_v2 import metadef_wire as wire
from stillframe.api.image_v2.discovery import base_url
from stillframe.api.image_v2.kinds import checked_text, parsed_int
from stillframe.api.image_v2.metadef_schemas import SCHEMAS
from stillframe.api.image_v2.pages import DEFAULT_LIMIT, MAX_LIMIT, page_links
from stillframe.api.image_v2.routes import query_pairs
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.metadefs import service as metadefs
from stillframe.metadefs.model import NamespaceQuery, NamespaceSort, NamespaceVisibility

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]
Key = TypeVar("Key")

NAMESPACES = "/v2/metadefs/namespaces"
_READ_ONLY = wire.TIMES | wire.LINKS
_SORTS = {"namespace": NamespaceSort.NAME} | {
    sort.value: sort for sort in NamespaceSort if sort is not NamespaceSort.NAME
}


@get("/v2/schemas/metadefs/{name:str}")
async def show_metadef_schema(name: str) -> Json:
    if name not in SCHEMAS:
        raise NotFoundError(f"There is no schema metadefs/{name[:64]}.")
    return SCHEMAS[name]


@get(NAMESPACES)
async def list_namespaces(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    pairs = query_pairs(request)
    query = _namespace_query(dict(pairs))
    page = await metadefs.list_namespaces(tx, caller, query)
    last_name = page[-1][0].name if page and len(page) == query.limit else None
    return {
        "namespaces": [wire.listed_namespace(*one) for one in page],
        **page_links(NAMESPACES, pairs, last_name),
        "schema": "/v2/schemas/metadefs/namespaces",
    }


def _namespace_query(given: dict[str, str]) -> NamespaceQuery:
    """Raises: InvalidInputError."""
    limit = read_limit(given)
    types = given.get("resource_types")
    return NamespaceQuery(
        limit=DEFAULT_LIMIT if limit is None else limit,
        marker=read_marker(given),
        sort=read_sort_key(given, _SORTS),
        descending=is_descending(given),
        visibility=_visibility(given.get("visibility")),
        resource_types=None if types is None else tuple(checked_text("resource_types", types, 65535).split(",")),
    )


def _visibility(text: str | None) -> NamespaceVisibility | None:
    if text is None:
        return None
    if text not in set(NamespaceVisibility):
        raise InvalidInputError("'visibility' must be public or private.", field="visibility")
    return NamespaceVisibility(text)


def read_limit(given: dict[str, str]) -> int | None:
    """Raises: InvalidInputError."""
    if "limit" not in given:
        return None
    limit = parsed_int("limit", given["limit"])
    if limit < 0:
        raise InvalidInputError("'limit' must not be negative.", field="limit")
    return min(limit, MAX_LIMIT)


def read_marker(given: dict[str, str]) -> str | None:
    return checked_text("marker", given["marker"]) if "marker" in given else None


def read_sort_key(given: dict[str, str], known: dict[str, Key]) -> Key:
    key = given.get("sort_key", "created_at")
    if key not in known:
        raise InvalidInputError(f"Cannot sort by {key[:64]!r}.", field="sort_key")
    return known[key]


def is_descending(given: dict[str, str]) -> bool:
    direction = given.get("sort_dir", "desc")
    if direction not in {"asc", "desc"}:
        raise InvalidInputError("The direction to sort in must be asc or desc.", field="sort_dir")
    return direction == "desc"


@post(NAMESPACES)
async def create_namespace(request: AnyRequest, tx: Transaction, caller: Caller) -> Response[Json]:
    body = wire.read_body(await request.body(), wire.NamespaceBody, read_only=_READ_ONLY)
    namespace = wire.read_namespace(body, metadefs.new_namespace(caller, body.namespace))
    contents = wire.read_contents(body)
    await metadefs.create_namespace(tx, caller, namespace, contents)
    headers = {"Location": f"{base_url(request)}{wire.namespace_path(namespace)}"}
    return Response(wire.whole_namespace(namespace, contents), status_code=201, headers=headers)


@get(f"{NAMESPACES}/{{namespace:str}}")
async def show_namespace(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    found, contents = await metadefs.get_contents(tx, caller, namespace)
    return wire.whole_namespace(found, contents, dict(query_pairs(request)).get("resource_type"))


@put(f"{NAMESPACES}/{{namespace:str}}")
async def update_namespace(request: AnyRequest, namespace: str, tx: Transaction, caller: Caller) -> Json:
    """Its parts are not touched, whatever the body says of them."""
    body = wire.read_body(await request.body(), wire.NamespaceBody, read_only=_READ_ONLY)
    wanted = wire.read_namespace(body, metadefs.new_namespace(caller, body.namespace))
    return wire.namespace_to_wire(await metadefs.update_namespace(tx, caller, namespace, wanted))


@delete(f"{NAMESPACES}/{{namespace:str}}")
async def delete_namespace(namespace: str, tx: Transaction, caller: Caller) -> None:
    await metadefs.delete_namespace(tx, caller, namespace)


handlers = [
    show_metadef_schema,
    list_namespaces,
    create_namespace,
    show_namespace,
    update_namespace,
    delete_namespace,
]
