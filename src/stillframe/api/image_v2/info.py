"""What the service says about itself: schemas and usage; and lists that are empty by nature."""

from typing import Any

from litestar import get

from stillframe.api.image_v2 import tasks, wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.kit.units import MIB

Json = dict[str, Any]

_SCHEMAS = {
    "image": wire.image_schema(),
    "images": wire.images_schema(),
    "member": wire.member_schema(),
    "members": wire.members_schema(),
    "task": tasks.task_schema(),
    "tasks": tasks.tasks_schema(),
}


@get("/v2/schemas/{name:str}")
async def show_schema(name: str) -> Json:
    if name not in _SCHEMAS:
        raise NotFoundError(f"There is no schema {name[:64]!r}.")
    return _SCHEMAS[name]


@get("/v2/info/usage")
async def show_usage(tx: Transaction, caller: Caller, settings: Settings) -> Json:
    """Sizes in MiB, as Glance's limits are; -1 is no limit."""
    usage = await images.usage_of_project(tx, caller)
    return {
        "usage": {
            "image_size_total": {"limit": -1, "usage": usage.stored_bytes // MIB},
            "image_stage_total": {"limit": -1, "usage": usage.staged_bytes // MIB},
            "image_count_total": {"limit": settings.image_quota, "usage": usage.images},
            "image_count_uploading": {"limit": -1, "usage": usage.uploading},
        }
    }


handlers = [
    show_schema,
    show_usage,
]
