"""What Open Telekom Cloud still serves of Glance v1: three operations, for clients that were never moved on.

Source: Open Telekom Cloud, IMS API reference, "Native OpenStack API V1.1 (Deprecated)" and "V1 (Deprecated)".
"""

import re
from datetime import datetime
from typing import Any

from litestar import Request, Response, delete, get, route

from stillframe.api.image_v2 import wire
from stillframe.api.image_v2.pages import glance_query
from stillframe.api.image_v2.routes import query_pairs
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images.model import Image, Visibility

Json = dict[str, Any]

_SAME = ("id", "name", "status", "container_format", "disk_format", "size", "virtual_size", "checksum", "owner")
_ALSO_SAME = ("protected", "min_ram", "min_disk")
_NO_PROPERTIES = frozenset(
    {"visibility", "os_hidden", "os_hash_algo", "os_hash_value", "tags", "self", "file", "schema"}
)
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)


@get("/v1.1/images/detail")
async def list_images_in_detail(
    request: Request[Any, Any, Any], tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    found = await images.list_images(tx, caller, glance_query(_filters(query_pairs(request)), caller))
    return {"images": [_to_wire(image, caller, settings) for image in found]}


def _filters(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("updated_at", f"gte:{text}") if name == "changes-since" else (name, text) for name, text in pairs]


@route("/v1/images/{image_id:str}", http_method=["HEAD"])
async def show_image_metadata(image_id: str, tx: Transaction, caller: Caller, settings: Settings) -> Response[None]:
    shown = _to_wire(await images.get_visible_image(tx, caller, image_id), caller, settings)
    headers = {
        f"X-Image-Meta-{name.capitalize()}": _header(value) for name, value in shown.items() if name != "properties"
    }
    for name, value in shown["properties"].items():
        # A name that cannot be a header's is only to be had from v2.
        if _TOKEN.fullmatch(name):
            headers[f"X-Image-Meta-Property-{name}"] = _header(value)
    if shown["checksum"]:
        headers["ETag"] = shown["checksum"]
    return Response(None, headers=headers)


def _header(value: Any) -> str:
    """UTF-8 in a header, as Glance sends it, on one line."""
    if value is None:
        return ""
    return "".join(one if one.isprintable() else " " for one in str(value)).encode().decode("latin-1")


@delete("/v1.1/images/{image_id:str}", status_code=204)
async def delete_image(image_id: str, tx: Transaction, caller: Caller) -> None:
    await images.delete_image(tx, caller, image_id)


def _to_wire(image: Image, caller: Caller, settings: Settings) -> Json:
    shown = wire.image_to_wire(image, caller, settings)
    own = {name: shown.pop(name) for name in (*_SAME, *_ALSO_SAME)}
    times = {"created_at": _time(image.created_at), "updated_at": _time(image.updated_at)}
    return {
        **own,
        **times,
        "is_public": image.visibility is Visibility.PUBLIC,
        "deleted": False,
        "deleted_at": None,
        "properties": {name: value for name, value in shown.items() if name not in _NO_PROPERTIES | times.keys()},
    }


def _time(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


handlers = [list_images_in_detail, show_image_metadata, delete_image]
