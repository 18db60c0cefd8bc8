"""The import of an image's data: asked for by POST .../import, watched through its tasks."""

from typing import Any

from litestar import Request, Response, get, post

from stillframe.api.image_v2 import wire
from stillframe.api.image_v2.kinds import checked_text
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images import imports
from stillframe.images.imports import ImportMethod, ImportRequest
from stillframe.kit.request_id import REQUEST_ID

Json = dict[str, Any]

_MAX_STORES = 16


@post("/v2/images/{image_id:str}/import", status_code=202)
async def import_image_data(
    request: Request[Any, Any, Any], image_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Response[str]:
    wanted = import_request(await request.body(), request.headers.get("x-image-meta-store"), settings)
    await imports.submit_import(tx, caller, settings, image_id, wanted, REQUEST_ID.get())
    return Response("", status_code=202, media_type="text/plain")


def import_request(body: bytes, store_header: str | None, settings: Settings) -> ImportRequest:
    """Raises: InvalidInputError."""
    decoded = wire.decode_object(body)
    method = decoded.get("method")
    if not isinstance(method, dict) or "name" not in method:
        raise InvalidInputError("Import request requires a 'method' with a 'name'.", field="method")
    name = checked_text("name", method["name"])
    if name not in set(ImportMethod) or name not in settings.import_methods:
        raise InvalidInputError(f"Unknown import method name '{name}'.", field="method")
    as_sent: Json = {"method": {"name": name}}
    if name == ImportMethod.WEB_DOWNLOAD:
        as_sent["method"]["uri"] = checked_text("uri", method.get("uri"), 2048)
    for flag in ("all_stores", "all_stores_must_succeed"):
        if flag in decoded:
            as_sent[flag] = _flag(flag, decoded[flag])
    if "stores" in decoded:
        as_sent["stores"] = _stores(decoded["stores"])
    if as_sent.get("all_stores") and ("stores" in as_sent or store_header is not None):
        raise InvalidInputError("'all_stores' cannot be used with 'stores' or the header x-image-meta-store.")
    if "stores" in as_sent and store_header is not None:
        raise InvalidInputError("'stores' and the header x-image-meta-store cannot be both specified.")
    return ImportRequest(
        method=ImportMethod(name),
        url=as_sent["method"].get("uri", ""),
        store_ids=tuple(as_sent.get("stores", [] if store_header is None else [store_header])),
        all_stores=as_sent.get("all_stores", False),
        as_sent=as_sent,
    )


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"'{name}' must be boolean value only.", field=name)
    return value


def _stores(value: Any) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_STORES:
        raise InvalidInputError("'stores' must be a list of stores.", field="stores")
    return [checked_text("stores", one) for one in value]


@get("/v2/info/import")
async def show_import_methods(settings: Settings) -> Json:
    methods = {"description": "Import methods available.", "type": "array", "value": list(settings.import_methods)}
    return {"import-methods": methods}


handlers = [import_image_data, show_import_methods]
