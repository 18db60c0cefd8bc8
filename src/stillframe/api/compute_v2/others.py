"""Flavors, key pairs, zones, limits: decode, one service call, encode."""

from typing import Any
from urllib.parse import unquote

from litestar import Request, Response, delete, get, post, put

from stillframe.api.compute_v2 import microversions as mv
from stillframe.api.compute_v2 import wire
from stillframe.api.compute_v2.bodies import decode_body, decode_quotas, limit_of
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.microversions import Microversion
from stillframe.api.compute_v2.queries import is_true, next_page, parsed_count, parsed_limit, query_pairs
from stillframe.api.compute_v2.server_requests import is_yes
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import FlavorNotFoundError, InvalidInputError
from stillframe.flavors import service as flavors
from stillframe.flavors.model import Flavor
from stillframe.identity.model import Caller
from stillframe.servers import creation, keypairs, quotas

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/flavors")
async def list_flavors(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found, more = await _flavors_page(request, tx)
    base, project_id = base_url(request), caller.require_project()
    return {"flavors": [wire.brief_flavor(flavor, base, project_id) for flavor in found], **more}


@get("/flavors/detail")
async def list_flavors_detailed(request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    found, more = await _flavors_page(request, tx)
    base, project_id = base_url(request), caller.require_project()
    return {"flavors": [wire.flavor_to_wire(flavor, base, project_id, version) for flavor in found], **more}


async def _flavors_page(request: AnyRequest, tx: Transaction) -> tuple[list[Flavor], Json]:
    """`is_public` is also sent as the text None, which asks for all."""
    pairs = query_pairs(request)
    given = dict(pairs)
    is_public = {"none": None, "": True}.get(given.get("is_public", "").lower(), is_true(given.get("is_public")))
    found = await flavors.list_flavors(
        tx,
        min_ram_mib=parsed_count("minRam", given.get("minRam") or "0"),
        min_disk_gib=parsed_count("minDisk", given.get("minDisk") or "0"),
        is_public=is_public,
    )
    ids = [flavor.id for flavor in found]
    if marker := given.get("marker"):
        if marker not in ids:
            raise InvalidInputError(f"marker [{marker[:255]}] not found", field="marker")
        found = found[ids.index(marker) + 1 :]
    page = found[: parsed_limit(given.get("limit"))]
    if not page or len(page) == len(found):
        return page, {}
    path = f"{base_url(request)}{request.scope['path']}"
    return page, {"flavors_links": next_page(path, pairs, page[-1].id)}


@get("/flavors/{flavor_id:str}")
async def show_flavor(
    request: AnyRequest, flavor_id: str, tx: Transaction, caller: Caller, version: Microversion
) -> Json:
    flavor = await flavors.get_flavor(tx, flavor_id)
    return {"flavor": wire.flavor_to_wire(flavor, base_url(request), caller.require_project(), version)}


@get("/flavors/{flavor_id:str}/os-extra_specs")
async def list_extra_specs(flavor_id: str, tx: Transaction) -> Json:
    return {"extra_specs": (await flavors.get_flavor(tx, flavor_id)).extra_specs}


@get("/flavors/{flavor_id:str}/os-extra_specs/{key:str}")
async def show_extra_spec(flavor_id: str, key: str, tx: Transaction) -> Json:
    flavor = await flavors.get_flavor(tx, flavor_id)
    if key not in flavor.extra_specs:
        raise FlavorNotFoundError(f"Flavor {flavor_id} has no extra specs with key {key[:255]}.")
    return {key: flavor.extra_specs[key]}


@get("/os-keypairs")
async def list_keypairs(tx: Transaction, caller: Caller, version: Microversion) -> Json:
    found = await keypairs.list_keypairs(tx, caller)
    return {"keypairs": [wire.keypair_to_wire(keypair, version, in_list=True) for keypair in found]}


@post("/os-keypairs")
async def create_keypair(request: AnyRequest, tx: Transaction, caller: Caller, version: Microversion) -> Response[Json]:
    wanted = decode_body(await request.body(), wire.KeypairBody).keypair
    if wanted.type not in {None, "ssh"}:
        raise InvalidInputError("Key pairs are of the type ssh.", field="type")
    if wanted.public_key is None:
        made = await keypairs.generate_keypair(tx, caller, wanted.name)
        shown = wire.keypair_to_wire(made.keypair, version, in_list=True)
        shown["keypair"] |= {"private_key": made.private_key, "user_id": caller.user_id}
    else:
        keypair = await keypairs.import_keypair(tx, caller, wanted.name, wanted.public_key)
        shown = wire.keypair_to_wire(keypair, version, in_list=True)
        shown["keypair"]["user_id"] = caller.user_id
    return Response(shown, status_code=201 if version >= mv.KEYPAIR_TYPES else 200)


@get("/os-keypairs/{name:str}")
async def show_keypair(name: str, tx: Transaction, caller: Caller, version: Microversion) -> Json:
    return wire.keypair_to_wire(await keypairs.get_keypair(tx, caller, unquote(name)), version)


@delete("/os-keypairs/{name:str}", status_code=202)
async def delete_keypair(name: str, tx: Transaction, caller: Caller, version: Microversion) -> Response[bytes]:
    await keypairs.delete_keypair(tx, caller, unquote(name))
    return Response(b"", status_code=204 if version >= mv.KEYPAIR_TYPES else 202)


@get(["/os-availability-zone", "/os-availability-zone/detail"])
async def list_zones(settings: Settings) -> Json:
    return {"availabilityZoneInfo": [wire.zone_to_wire(settings.availability_zone)]}


@get("/limits")
async def show_limits(tx: Transaction, caller: Caller, settings: Settings) -> Json:
    return wire.limits_to_wire(await creation.get_usage(tx, settings, caller.require_project()))


@get("/os-quota-sets/{of_project:str}")
async def show_quotas(of_project: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    usage = await quotas.get_quotas(tx, caller, settings, of_project)
    return wire.quotas_to_wire(usage, project_id=of_project)


@get("/os-quota-sets/{of_project:str}/detail")
async def show_quotas_detailed(of_project: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    usage = await quotas.get_quotas(tx, caller, settings, of_project)
    return wire.quotas_to_wire(usage, project_id=of_project, detailed=True)


@get("/os-quota-sets/{of_project:str}/defaults")
async def show_default_quotas(of_project: str, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    await quotas.get_quotas(tx, caller, settings, of_project)
    return wire.quotas_to_wire(wire.default_quotas(settings), project_id=of_project)


@put("/os-quota-sets/{of_project:str}", status_code=200)
async def update_quotas(
    request: AnyRequest, of_project: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode_quotas(await request.body())
    force = is_yes(wanted.pop("force", None), "force", default=False)
    limits = {name: limit_of(name, value) for name, value in wanted.items()}
    return wire.quotas_to_wire(await quotas.set_quotas(tx, caller, settings, of_project, limits, force=force))


@delete("/os-quota-sets/{of_project:str}", status_code=202)
async def reset_quotas(of_project: str, tx: Transaction, caller: Caller) -> None:
    await quotas.reset_quotas(tx, caller, of_project)


@get("/extensions")
async def list_extensions() -> Json:
    return {"extensions": []}


handlers = [
    list_flavors,
    list_flavors_detailed,
    show_flavor,
    list_extra_specs,
    show_extra_spec,
    list_keypairs,
    create_keypair,
    show_keypair,
    delete_keypair,
    list_zones,
    show_limits,
    show_quotas,
    show_quotas_detailed,
    show_default_quotas,
    update_quotas,
    reset_quotas,
    list_extensions,
]
