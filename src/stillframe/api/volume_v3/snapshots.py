"""Snapshots: decode, one service call, encode. Cinder's paths begin with /snapshots, those of EVS with /cloudsnapshots.

Source: OpenStack Block Storage API v3 reference, "Volume snapshots"; EVS API reference, "Snapshots".
"""

from typing import Any

from litestar import Request, delete, get, post, put
from msgspec import Struct

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import is_true, next_page, parsed_limit, query_pairs
from stillframe.api.volume_v3.actions import as_bool
from stillframe.api.volume_v3.requests import Key, MetadataBody, MetadataItemBody, Text, checked_metadata
from stillframe.api.volume_v3.wire import parsed_offset, snapshot_to_wire
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.volumes import snapshots
from stillframe.volumes.model import Snapshot, SnapshotQuery
from stillframe.volumes.snapshots import NewSnapshot

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_SORT_KEYS = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "id": "id",
    "name": "name",
    "display_name": "name",
    "status": "status",
    "size": "size_bytes",
}


class SnapshotWanted(Struct):
    volume_id: str
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None
    force: bool | str | None = None
    metadata: dict[Key, Text] | None = None


class CreateSnapshotBody(Struct):
    snapshot: SnapshotWanted


class SnapshotChanges(Struct):
    name: Text | None = None
    display_name: Text | None = None
    description: Text | None = None
    display_description: Text | None = None


class SnapshotChangesBody(Struct):
    snapshot: SnapshotChanges


@post("/", status_code=202)
async def create_snapshot(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    wanted = decode_body(await request.body(), CreateSnapshotBody).snapshot
    new = NewSnapshot(
        volume_id=wanted.volume_id,
        name=wanted.name or wanted.display_name or "",
        description=wanted.description or wanted.display_description or "",
        force=as_bool(wanted.force or False, "force"),
        metadata=checked_metadata(wanted.metadata or {}),
    )
    return {"snapshot": snapshot_to_wire(await snapshots.create_snapshot(tx, caller, settings, new))}


@get("/")
async def list_snapshots(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    return await _page(request, tx, caller, detailed=False)


@get("/detail")
async def list_snapshots_detailed(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    return await _page(request, tx, caller, detailed=True)


@get("/detail")
async def list_cloudsnapshots(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    """EVS counts them without being asked."""
    return await _page(request, tx, caller, detailed=True, counted=True)


async def _page(request: AnyRequest, tx: Transaction, caller: Caller, *, detailed: bool, counted: bool = False) -> Json:
    pairs = query_pairs(request)
    given = dict(pairs)
    query = _query(given)
    found = await snapshots.list_snapshots(tx, caller, query)
    answer: Json = {"snapshots": [snapshot_to_wire(snapshot, detailed=detailed) for snapshot in found]}
    if counted or is_true(given.get("with_count")):
        answer["count"] = await snapshots.count_snapshots(tx, caller, query)
    if found and len(found) == query.limit:
        path = f"{base_url(request)}{request.scope['path']}"
        answer["snapshots_links"] = next_page(path, [pair for pair in pairs if pair[0] != "offset"], found[-1].id)
    return answer


def _query(given: dict[str, str]) -> SnapshotQuery:
    key, _, direction = given.get("sort", "").split(",")[0].partition(":")
    key = key or given.get("sort_key") or "created_at"
    direction = direction or given.get("sort_dir") or "desc"
    if key not in _SORT_KEYS or direction not in {"asc", "desc"}:
        raise InvalidInputError(f"Snapshots can be sorted by {', '.join(_SORT_KEYS)}, asc or desc", field="sort")
    return SnapshotQuery(
        id=given.get("id"),
        name=given.get("name"),
        status=given.get("status"),
        volume_id=given.get("volume_id"),
        every_project=is_true(given.get("all_tenants")),
        marker=given.get("marker") or None,
        offset=parsed_offset(given.get("offset")),
        limit=parsed_limit(given.get("limit")),
        sort_key=_SORT_KEYS[key],
        descending=direction == "desc",
    )


@get("/{snapshot_id:str}")
async def show_snapshot(snapshot_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"snapshot": snapshot_to_wire(await snapshots.get_snapshot(tx, caller, snapshot_id))}


@put("/{snapshot_id:str}", status_code=200)
async def update_snapshot(request: AnyRequest, snapshot_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), SnapshotChangesBody).snapshot
    changes = {
        "name": wanted.name if wanted.name is not None else wanted.display_name,
        "description": wanted.description if wanted.description is not None else wanted.display_description,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return {"snapshot": snapshot_to_wire(await snapshots.update_snapshot(tx, caller, snapshot_id, **given))}


@delete("/{snapshot_id:str}", status_code=202)
async def delete_snapshot(snapshot_id: str, tx: Transaction, caller: Caller) -> None:
    await snapshots.delete_snapshot(tx, caller, snapshot_id)


@get("/{snapshot_id:str}/metadata")
async def list_metadata(snapshot_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"metadata": (await snapshots.get_snapshot(tx, caller, snapshot_id)).metadata}


@post("/{snapshot_id:str}/metadata", status_code=200)
async def merge_metadata(request: AnyRequest, snapshot_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), MetadataBody).metadata
    return {"metadata": await _set(tx, caller, snapshot_id, wanted)}


@put("/{snapshot_id:str}/metadata", status_code=200)
async def replace_metadata(request: AnyRequest, snapshot_id: str, tx: Transaction, caller: Caller) -> Json:
    metadata = checked_metadata(decode_body(await request.body(), MetadataBody).metadata)
    await snapshots.update_snapshot(tx, caller, snapshot_id, metadata=metadata)
    return {"metadata": metadata}


@get("/{snapshot_id:str}/metadata/{key:str}")
async def show_metadata_item(snapshot_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    return {"meta": {key: _item(await snapshots.get_snapshot(tx, caller, snapshot_id), key)}}


@put("/{snapshot_id:str}/metadata/{key:str}", status_code=200)
async def set_metadata_item(request: AnyRequest, snapshot_id: str, key: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), MetadataItemBody).meta
    if list(wanted) != [key]:
        raise InvalidInputError("Request body and URI mismatch")
    await _set(tx, caller, snapshot_id, wanted)
    return {"meta": wanted}


@delete("/{snapshot_id:str}/metadata/{key:str}", status_code=200)
async def delete_metadata_item(snapshot_id: str, key: str, tx: Transaction, caller: Caller) -> None:
    snapshot = await snapshots.get_snapshot(tx, caller, snapshot_id, lock=True)
    _item(snapshot, key)
    left = {name: value for name, value in snapshot.metadata.items() if name != key}
    await snapshots.update_snapshot(tx, caller, snapshot_id, metadata=left)


async def _set(tx: Transaction, caller: Caller, snapshot_id: str, more: dict[str, str]) -> dict[str, str]:
    snapshot = await snapshots.get_snapshot(tx, caller, snapshot_id, lock=True)
    merged = checked_metadata(snapshot.metadata | more)
    await snapshots.update_snapshot(tx, caller, snapshot_id, metadata=merged)
    return merged


def _item(snapshot: Snapshot, key: str) -> str:
    if key not in snapshot.metadata:
        raise NotFoundError(f"Snapshot {snapshot.id} has no metadata with key {key[:255]}.")
    return snapshot.metadata[key]


handlers = [
    create_snapshot,
    list_snapshots,
    list_snapshots_detailed,
    show_snapshot,
    update_snapshot,
    delete_snapshot,
    list_metadata,
    merge_metadata,
    replace_metadata,
    show_metadata_item,
    set_metadata_item,
    delete_metadata_item,
]
evs_handlers = [create_snapshot, list_cloudsnapshots, show_snapshot, update_snapshot, delete_snapshot]
