"""Where data is kept, in Glance's words: one store, no locations that anybody could add, no cache.

Each of these answers as Glance does that is configured so: a cache is switched off, `show_multiple_locations` is not
set and no http store is there.
"""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.image_v2 import wire
from stillframe.api.image_v2.kinds import checked_text
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import locations
from stillframe.images.stores import DESCRIPTION, STORE_ID
from stillframe.jobs.resources import Resources

Json = dict[str, Any]

_STORE = {"id": STORE_ID, "description": DESCRIPTION, "default": "true"}
_HASHES = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


@get("/v2/info/stores")
async def list_stores() -> Json:
    return {"stores": [_STORE]}


@get("/v2/info/stores/detail")
async def list_stores_in_detail(caller: Caller, settings: Settings) -> Json:
    locations.require_platform_admin(caller)
    properties = {"data_dir": str(settings.data_dir / "layers"), "chunk_size": 65536, "thin_provisioning": False}
    return {"stores": [_STORE | {"type": "file", "weight": 0, "properties": properties}]}


@delete("/v2/stores/{store_id:str}/{image_id:str}")
async def delete_from_store(store_id: str, image_id: str, tx: Transaction, caller: Caller) -> None:
    await locations.delete_from_store(tx, caller, store_id, image_id)


@get("/v2/images/{image_id:str}/locations")
async def list_locations(image_id: str, tx: Transaction, caller: Caller, resources: Resources) -> list[Json]:
    found = await locations.list_locations(tx, caller, resources.layout, image_id)
    return [{"url": path.as_uri(), "metadata": {"store": STORE_ID}} for path in found]


@post("/v2/images/{image_id:str}/locations", status_code=202)
async def add_location(request: Request[Any, Any, Any], image_id: str, tx: Transaction, caller: Caller) -> None:
    _require_location(wire.decode_object(await request.body()))
    await locations.add_location(tx, caller, image_id)


def _require_location(body: Json) -> None:
    """Raises: InvalidInputError."""
    checked_text("url", body.get("url"), 2048)
    given = body.get("validation_data", {})
    if not isinstance(given, dict) or not set(given) <= {"os_hash_algo", "os_hash_value"} or len(given) == 1:
        raise InvalidInputError("'validation_data' must have os_hash_algo and os_hash_value.", field="validation_data")
    if given:
        algorithm = checked_text("os_hash_algo", given["os_hash_algo"])
        value = checked_text("os_hash_value", given["os_hash_value"])
        if len(value) != _HASHES.get(algorithm) or not all(one in "0123456789abcdefABCDEF" for one in value):
            raise InvalidInputError("'os_hash_value' is not a digest by 'os_hash_algo'.", field="os_hash_value")


def _refuse_cache(caller: Caller) -> None:
    locations.require_platform_admin(caller)
    raise NotFoundError("Caching via API is not supported at this site.")


@get("/v2/cache")
async def list_cached_images(caller: Caller) -> None:
    _refuse_cache(caller)


@delete("/v2/cache")
async def clear_cache(caller: Caller) -> None:
    _refuse_cache(caller)


@put("/v2/cache/{image_id:str}")
async def queue_for_caching(image_id: str, caller: Caller) -> None:  # noqa: ARG001 - every image alike
    _refuse_cache(caller)


@delete("/v2/cache/{image_id:str}")
async def delete_from_cache(image_id: str, caller: Caller) -> None:  # noqa: ARG001 - every image alike
    _refuse_cache(caller)


handlers_of_images = [
    delete_from_store,
    list_locations,
    add_location,
]
handlers = [
    list_stores,
    list_stores_in_detail,
    list_cached_images,
    clear_cache,
    queue_for_caching,
    delete_from_cache,
]
