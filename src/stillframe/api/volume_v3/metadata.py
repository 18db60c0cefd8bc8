"""The metadata of volumes: decode, one service call, encode.

Source: OpenStack Block Storage API v3 reference, "Create metadata for volume" and what follows it.
"""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.volume_v3.requests import MetadataBody, MetadataItemBody, checked_metadata
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_PATH = "/volumes/{volume_id:str}/metadata"


@get(_PATH)
async def list_metadata(volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"metadata": (await volumes.get_volume(tx, caller, volume_id)).metadata}


@post(_PATH, status_code=200)
async def merge_metadata(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"metadata": await _merge(tx, caller, volume_id, decode_body(await request.body(), MetadataBody).metadata)}


@put(_PATH, status_code=200)
async def replace_metadata(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    metadata = checked_metadata(decode_body(await request.body(), MetadataBody).metadata)
    await volumes.update_volume(tx, caller, volume_id, metadata=metadata)
    return {"metadata": metadata}


@get(f"{_PATH}/{{key:str}}")
async def show_metadata_item(volume_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    return {"meta": {key: _item(await volumes.get_volume(tx, caller, volume_id), key)}}


@put(f"{_PATH}/{{key:str}}", status_code=200)
async def set_metadata_item(request: AnyRequest, volume_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), MetadataItemBody).meta
    if list(wanted) != [key]:
        raise InvalidInputError("Request body and URI mismatch")
    await _merge(tx, caller, volume_id, wanted)
    return {"meta": wanted}


@delete(f"{_PATH}/{{key:str}}", status_code=200)
async def delete_metadata_item(volume_id: str, key: str, tx: Transaction, caller: Caller) -> None:
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    _item(volume, key)
    left = {name: value for name, value in volume.metadata.items() if name != key}
    await volumes.change_volume(tx, volume, metadata=left)


async def _merge(tx: Transaction, caller: Caller, volume_id: str, more: dict[str, str]) -> dict[str, str]:
    volume = await volumes.lock_own_volume(tx, caller, volume_id)
    merged = checked_metadata(volume.metadata | more)
    await volumes.change_volume(tx, volume, metadata=merged)
    return merged


def _item(volume: Volume, key: str) -> str:
    if key not in volume.metadata:
        raise NotFoundError(f"Volume {volume.id} has no metadata with key {key[:255]}.")
    return volume.metadata[key]


handlers = [
    list_metadata,
    merge_metadata,
    replace_metadata,
    show_metadata_item,
    set_metadata_item,
    delete_metadata_item,
]
