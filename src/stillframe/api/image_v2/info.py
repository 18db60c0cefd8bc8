"""What the service says about itself: schemas, ways to import, stores, usage; and lists that are empty by nature."""

from typing import Any

from litestar import get

from stillframe.api.image_v2 import wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import service as images

Json = dict[str, Any]

_SCHEMAS = {
    "image": wire.image_schema(),
    "images": wire.images_schema(),
    "member": wire.member_schema(),
    "members": wire.members_schema(),
}


@get("/v2/schemas/{name:str}")
async def show_schema(name: str) -> Json:
    if name not in _SCHEMAS:
        raise NotFoundError(f"There is no schema {name[:64]!r}.")
    return _SCHEMAS[name]


@get("/v2/info/import")
async def show_import_methods() -> Json:
    """None so far: data comes by PUT .../file, or through the jobs of IMS."""
    methods: list[str] = []
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": methods}}


@get("/v2/info/stores")
async def list_stores() -> Json:
    raise NotFoundError("Multi backend is not supported at this site.")


@get("/v2/info/usage")
async def show_usage(tx: Transaction, caller: Caller, settings: Settings) -> Json:
    used = await images.count_own_images(tx, caller)
    return {"usage": {"image_count_total": {"limit": settings.image_quota, "usage": used}}}


@get("/v2/images/{image_id:str}/tasks")
async def list_tasks_of_image(image_id: str, tx: Transaction, caller: Caller) -> Json:
    """Tasks belong to imports, which there are none of."""
    await images.get_visible_image(tx, caller, image_id)
    return {"tasks": []}


@get("/v2/tasks")
async def list_tasks() -> Json:
    return {"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}


@get("/v2/metadefs/namespaces")
async def list_metadef_namespaces() -> Json:
    return {
        "namespaces": [],
        "first": "/v2/metadefs/namespaces",
        "schema": "/v2/schemas/metadefs/namespaces",
    }


@get("/v2/metadefs/resource_types")
async def list_metadef_resource_types() -> Json:
    return {"resource_types": []}


handlers = [
    show_schema,
    show_import_methods,
    list_stores,
    show_usage,
    list_tasks_of_image,
    list_tasks,
    list_metadef_namespaces,
    list_metadef_resource_types,
]
