"""Volumes: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.compute_v2.bodies import decode_body, decode_quotas, limit_of
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import is_true, next_page, query_pairs
from stillframe.api.volume_v3 import wire
from stillframe.api.volume_v3.requests import CreateVolumeBody, VolumeChangesBody, checked_metadata, new_volume
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.volumes import creation, quotas
from stillframe.volumes import service as volumes
from stillframe.volumes.model import DEFAULT_VOLUME_TYPE, Volume, VolumeQuery

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/volumes")
async def list_volumes(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found, more = await _page(request, tx, caller)
    return {"volumes": [wire.brief_volume(volume, base_url(request)) for volume in found], **more}


@get("/volumes/detail")
async def list_volumes_detailed(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found, more = await _page(request, tx, caller)
    return {"volumes": [wire.volume_to_wire(volume, base_url(request)) for volume in found], **more}


async def _page(request: AnyRequest, tx: Transaction, caller: Caller) -> tuple[list[Volume], Json]:
    pairs = query_pairs(request)
    query = wire.volume_query(pairs)
    found = await volumes.list_volumes(tx, caller, query)
    more: Json = {}
    if is_true(dict(pairs).get("with_count")):
        more["count"] = await volumes.count_volumes(tx, caller, query)
    if found and len(found) == query.limit:
        without_offset = [pair for pair in pairs if pair[0] != "offset"]
        path = f"{base_url(request)}{request.scope['path']}"
        more["volumes_links"] = next_page(path, without_offset, found[-1].id)
    return found, more


@get("/volumes/{volume_id:str}")
async def show_volume(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"volume": wire.volume_to_wire(await volumes.get_volume(tx, caller, volume_id), base_url(request))}


@post("/volumes", status_code=202)
async def create_volume(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    wanted = decode_body(await request.body(), CreateVolumeBody).volume
    volume, _job = await creation.create_volume(tx, caller, settings, new_volume(wanted))
    return {"volume": wire.changed_volume(volume, base_url(request))}


@put("/volumes/{volume_id:str}", status_code=200)
async def update_volume(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = decode_body(await request.body(), VolumeChangesBody).volume
    changes: Json = {
        "name": wanted.name if wanted.name is not None else wanted.display_name,
        "description": wanted.description if wanted.description is not None else wanted.display_description,
        "metadata": None if wanted.metadata is None else checked_metadata(wanted.metadata),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    volume = await volumes.update_volume(tx, caller, volume_id, **given)
    return {"volume": wire.changed_volume(volume, base_url(request))}


@delete("/volumes/{volume_id:str}", status_code=202)
async def delete_volume(request: AnyRequest, volume_id: str, tx: Transaction, caller: Caller) -> None:
    cascade = is_true(dict(query_pairs(request)).get("cascade"))
    await volumes.delete_volume(tx, caller, volume_id, cascade=cascade)


@get("/volumes/summary")
async def show_summary(tx: Transaction, caller: Caller) -> Json:
    found = await volumes.list_volumes(tx, caller, VolumeQuery())
    metadata: dict[str, list[str]] = {}
    for volume in found:
        for key, value in volume.metadata.items():
            metadata[key] = sorted({*metadata.get(key, []), value})
    total = {"total_count": len(found), "total_size": sum(volume.size_gib for volume in found)}
    return {"volume-summary": {**total, "metadata": metadata}}


@get("/volumes/{volume_id:str}/encryption")
async def show_encryption(volume_id: str, tx: Transaction, caller: Caller) -> Json:
    """Volumes are not encrypted."""
    await volumes.get_volume(tx, caller, volume_id)
    return {}


@get("/types")
async def list_types(settings: Settings) -> Json:
    return {"volume_types": wire.volume_types_to_wire(settings.availability_zone)}


@get("/types/{type_id:str}")
async def show_type(type_id: str, settings: Settings) -> Json:
    return {"volume_type": _find_type(type_id, settings)}


@get("/types/{type_id:str}/extra_specs")
async def list_extra_specs(type_id: str, settings: Settings) -> Json:
    return {"extra_specs": _find_type(type_id, settings)["extra_specs"]}


def _find_type(type_id: str, settings: Settings) -> Json:
    for known in wire.volume_types_to_wire(settings.availability_zone):
        if known["id"] == type_id or (type_id == "default" and known["name"] == DEFAULT_VOLUME_TYPE):
            return known
    raise NotFoundError(f"Volume type {type_id[:255]} could not be found.")


@get("/os-availability-zone")
async def list_zones(settings: Settings) -> Json:
    return {"availabilityZoneInfo": [{"zoneName": settings.availability_zone, "zoneState": {"available": True}}]}


@get("/limits")
async def show_limits(tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return wire.limits_to_wire(await volumes.get_usage(tx, settings, caller.require_project()))


@get("/os-quota-sets/{of_project:str}")
async def show_quotas(
    request: AnyRequest, of_project: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    usage = await quotas.get_quotas(tx, caller, settings, of_project)
    with_usage = is_true(dict(query_pairs(request)).get("usage"))
    return wire.quotas_to_wire(usage, project_id=of_project, with_usage=with_usage)


@get("/os-quota-sets/{of_project:str}/defaults")
async def show_default_quotas(of_project: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    await quotas.get_quotas(tx, caller, settings, of_project)
    return wire.quotas_to_wire(wire.default_quotas(settings), project_id=of_project)


@put("/os-quota-sets/{of_project:str}", status_code=200)
async def update_quotas(
    request: AnyRequest, of_project: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    limits = {name: limit_of(name, value) for name, value in decode_quotas(await request.body()).items()}
    return wire.quotas_to_wire(await quotas.set_quotas(tx, caller, settings, of_project, limits))


@delete("/os-quota-sets/{of_project:str}", status_code=200)
async def reset_quotas(of_project: str, tx: Transaction, caller: Caller) -> None:
    await quotas.reset_quotas(tx, caller, of_project)


@get(["/backups", "/backups/detail"])
async def list_backups() -> Json:
    """There are none."""
    return {"backups": []}


@get(["/qos-specs", "/messages", "/group_types", "/groups", "/groups/detail", "/volume-transfers"])
async def list_nothing(request: AnyRequest) -> Json:
    """There are none."""
    name = request.scope["path"].rstrip("/").removesuffix("/detail").rsplit("/", 1)[-1]
    return {{"qos-specs": "qos_specs", "volume-transfers": "transfers"}.get(name, name): []}


@get("/types/{type_id:str}/encryption")
async def show_type_encryption(type_id: str, settings: Settings) -> Json:
    """Volumes are not encrypted."""
    _find_type(type_id, settings)
    return {}


@get("/extensions")
async def list_extensions() -> Json:
    return {"extensions": []}


handlers = [
    list_volumes,
    list_volumes_detailed,
    show_volume,
    create_volume,
    update_volume,
    delete_volume,
    list_types,
    show_type,
    list_extra_specs,
    list_zones,
    show_limits,
    show_quotas,
    show_default_quotas,
    update_quotas,
    reset_quotas,
    list_backups,
    list_extensions,
    show_summary,
    show_encryption,
    show_type_encryption,
    list_nothing,
]
