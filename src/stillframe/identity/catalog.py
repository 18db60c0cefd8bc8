"""The catalog: where every service is, in the form each client looks for it.

Clients append versions to some urls and not to others, so the forms differ. Identity is there twice: openstacksdk drops
what is not in its own region, others ask for the region "*" for calls about a domain.

Source: the catalog of Open Telekom Cloud, region eu-de; openstacksdk, gophertelekomcloud and otcextensions for what
they read from it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from msgspec import Raw, Struct, structs
from msgspec.json import encode

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from stillframe.identity import tables
from stillframe.identity.model import WHOLE_LIST, Caller, Json, ListQuery
from stillframe.identity.policy import require_platform_admin
from stillframe.identity.rows import catalog as catalog_rows
from stillframe.identity.rows import records
from stillframe.kit.ids import derived_uuid, new_hex_id

INTERFACES = ("public", "internal", "admin")
EVERY_REGION = "*"
_PROJECT = "$(project_id)s"
"""Stands for the project's id in the lists of endpoints, as in Keystone."""


_PLACEHOLDER = re.compile(r"[$%]\(([a-z_]+)\)s")


class CatalogEntry(NamedTuple):
    type: str
    name: str
    service: str
    """Its key in `config.PORTS`."""
    path: str


ENTRIES = (
    CatalogEntry("identity", "keystone", "identity", "/v3"),
    CatalogEntry("image", "glance", "image", ""),
    CatalogEntry("ims", "ims", "image", ""),
    CatalogEntry("compute", "nova", "compute", f"/v2.1/{_PROJECT}"),
    CatalogEntry("computev2.1", "nova", "compute", f"/v2.1/{_PROJECT}"),
    CatalogEntry("ecs", "ecs", "compute", f"/v1/{_PROJECT}"),
    CatalogEntry("volumev2", "cinderv2", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("volumev3", "cinderv3", "volume", f"/v3/{_PROJECT}"),
    CatalogEntry("block-storage", "cinderv3", "volume", f"/v3/{_PROJECT}"),
    CatalogEntry("volume", "cinder", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("evs", "evs", "volume", f"/v2/{_PROJECT}"),
    CatalogEntry("network", "neutron", "network", ""),
    CatalogEntry("vpc", "vpc", "network", f"/v1/{_PROJECT}"),
    CatalogEntry("vpc2.0", "vpc2.0", "network", f"/v2.0/{_PROJECT}"),
    CatalogEntry("object", "objectstorage", "obs", ""),
)


class Service(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    name: str | None = None
    enabled: bool = True
    description: str | None = None
    extra: Json = {}


class Endpoint(Struct, frozen=True, kw_only=True):
    id: str
    service_id: str
    interface: str
    region_id: str | None = None
    url: str
    enabled: bool = True
    extra: Json = {}


class Region(Struct, frozen=True, kw_only=True):
    id: str
    description: str = ""
    parent_region_id: str | None = None
    extra: Json = {}


def _id(*parts: str) -> str:
    return derived_uuid("catalog", *parts).replace("-", "")


def own_services() -> list[Service]:
    return [Service(id=_id(entry.type), type=entry.type, name=entry.name) for entry in ENTRIES]


def own_endpoints(settings: Settings) -> list[Endpoint]:
    return [endpoint for entry in ENTRIES for endpoint in _endpoints(settings, entry)]


def own_regions(settings: Settings) -> list[Region]:
    return [Region(id=settings.region, extra={"type": "public"})]


def _endpoints(settings: Settings, entry: CatalogEntry) -> list[Endpoint]:
    regions = (settings.region, EVERY_REGION) if entry.type == "identity" else (settings.region,)
    return [
        Endpoint(
            id=_id(entry.type, region, interface),
            service_id=_id(entry.type),
            interface=interface,
            region_id=region,
            url=settings.url(entry.service) + entry.path,
        )
        for region in regions
        for interface in INTERFACES
    ]


class Added(NamedTuple):
    """What administrators have put beside our own."""

    services: tuple[Service, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()


class Catalogs:
    """Encoded catalogs, remembered until the revision in the database grows. Each process has its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._added = (0, Added())
        self._own = lru_cache(maxsize=1024)(self._encoded_own)

    async def encoded(self, tx: Transaction, revision: int, caller: Caller) -> Raw:
        """The catalog of a token as JSON; without the endpoints of projects when the token is for none."""
        if revision == 0:
            return self._own(caller.project_id)
        if self._added[0] != revision:
            self._added = (revision, await load_added(tx))
        entries = self._entries(caller.project_id)
        return Raw(encode(merged(entries, self._added[1], caller)))

    def _encoded_own(self, project_id: str | None) -> Raw:
        return Raw(encode(self._entries(project_id)))

    def _entries(self, project_id: str | None) -> list[dict[str, Any]]:
        wanted = [entry for entry in ENTRIES if project_id is not None or _PROJECT not in entry.path]
        return [_catalog_entry(self._settings, entry, project_id or "") for entry in wanted]


def _catalog_entry(settings: Settings, entry: CatalogEntry, project_id: str) -> dict[str, Any]:
    shown = [_endpoint_in_catalog(each, {"project_id": project_id}) for each in _endpoints(settings, entry)]
    return {"id": _id(entry.type), "name": entry.name, "type": entry.type, "endpoints": shown}


def _endpoint_in_catalog(endpoint: Endpoint, known: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "interface": endpoint.interface,
        "region": endpoint.region_id,
        "region_id": endpoint.region_id,
        "url": _PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), endpoint.url),
    }


def merged(entries: list[dict[str, Any]], added: Added, caller: Caller) -> list[dict[str, Any]]:
    """Our own entries with the endpoints added to them, and the services added. What names a project is left out of
    a token for none.
    """
    known = {"user_id": caller.user_id}
    if caller.project_id is not None:
        known |= {"project_id": caller.project_id, "tenant_id": caller.project_id}
    result = {entry["id"]: dict(entry, endpoints=list(entry["endpoints"])) for entry in entries}
    for service in added.services:
        if service.enabled:
            result[service.id] = {"id": service.id, "name": service.name or "", "type": service.type, "endpoints": []}
    for endpoint in added.endpoints:
        needed = set(_PLACEHOLDER.findall(endpoint.url)) & {"project_id", "tenant_id"}
        if endpoint.enabled and endpoint.service_id in result and needed <= set(known):
            result[endpoint.service_id]["endpoints"].append(_endpoint_in_catalog(endpoint, known))
    return list(result.values())


async def current_revision(tx: Transaction) -> int:
    return await catalog_rows.get_revision(tx)


async def load_added(tx: Transaction) -> Added:
    return Added(
        tuple(await records.find_all(tx, tables.services, Service)),
        tuple(await records.find_all(tx, tables.endpoints, Endpoint)),
    )


# --- services, endpoints and regions as resources --------------------------------------------------------------------

OURS = "It is part of this deployment: its configuration decides about it."


def _admin(caller: Caller, action: str) -> None:
    require_platform_admin(caller, action)


async def list_services(tx: Transaction, query: ListQuery = WHOLE_LIST) -> list[Service]:
    found = [*own_services(), *await records.find_all(tx, tables.services, Service)]
    return [each for each in found if all(one.fits(getattr(each, one.name)) for one in query.filters)]


async def show_service(tx: Transaction, service_id: str) -> Service:
    """Raises: NotFoundError."""
    return _one(await list_services(tx), service_id, "service")


async def create_service(tx: Transaction, caller: Caller, fields: Mapping[str, Any], extra: Json) -> Service:
    """Raises: ForbiddenError."""
    _admin(caller, "create_service")
    service = Service(id=new_hex_id(), **{"enabled": True, **fields}, extra=extra)
    await records.insert(tx, tables.services, service, taken="The service is there already.")
    await catalog_rows.grow_revision(tx)
    return service


async def change_service(
    tx: Transaction, caller: Caller, service_id: str, fields: Mapping[str, Any], extra: Json
) -> Service:
    """Raises: NotFoundError; ForbiddenError, also for what is ours."""
    _admin(caller, "update_service")
    before = _not_ours(own_services(), await show_service(tx, service_id))
    return await _changed(tx, tables.services, before, fields, extra)


async def delete_service(tx: Transaction, caller: Caller, service_id: str) -> None:
    """With its endpoints. Raises: NotFoundError; ForbiddenError, also for what is ours."""
    _admin(caller, "delete_service")
    service = _not_ours(own_services(), await show_service(tx, service_id))
    await catalog_rows.delete_endpoints_of_service(tx, service.id)
    await records.delete(tx, tables.services, service.id)
    await catalog_rows.grow_revision(tx)


async def list_endpoints(tx: Transaction, settings: Settings, wanted: Mapping[str, str]) -> list[Endpoint]:
    """`wanted` holds the fields that must be equal."""
    found = [*own_endpoints(settings), *await records.find_all(tx, tables.endpoints, Endpoint)]
    return [each for each in found if all(getattr(each, name) == value for name, value in wanted.items())]


async def show_endpoint(tx: Transaction, settings: Settings, endpoint_id: str) -> Endpoint:
    """Raises: NotFoundError."""
    return _one(await list_endpoints(tx, settings, {}), endpoint_id, "endpoint")


async def create_endpoint(
    tx: Transaction, settings: Settings, caller: Caller, fields: Mapping[str, Any], extra: Json
) -> Endpoint:
    """`region` is the old name of `region_id`, and makes the region where it is not there, as in Keystone.

    Raises: ForbiddenError; InvalidInputError.
    """
    _admin(caller, "create_endpoint")
    known = await _with_region(tx, settings, fields)
    endpoint = Endpoint(id=new_hex_id(), **{"enabled": True, **known}, extra=extra)
    await _check_endpoint(tx, settings, endpoint)
    await records.insert(tx, tables.endpoints, endpoint, taken="The endpoint is there already.")
    await catalog_rows.grow_revision(tx)
    return endpoint


async def _check_endpoint(tx: Transaction, settings: Settings, endpoint: Endpoint) -> None:
    try:
        await show_service(tx, endpoint.service_id)
    except NotFoundError as error:
        raise InvalidInputError(error.message, field="service_id") from None
    unknown = set(_PLACEHOLDER.findall(endpoint.url)) - {"project_id", "tenant_id", "user_id"}
    if unknown or re.search(r"[$%]\(", _PLACEHOLDER.sub("", endpoint.url)):
        raise InvalidInputError(
            "The url names something that cannot be filled in; $(project_id)s and $(user_id)s can.", field="url"
        )
    if endpoint.region_id is not None and not await _is_region(tx, settings, endpoint.region_id):
        raise InvalidInputError(f"Could not find region: {endpoint.region_id}.", field="region_id")


async def _with_region(tx: Transaction, settings: Settings, fields: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(fields)
    region_id = known.pop("region", None)
    if region_id is not None and "region_id" not in known:
        known["region_id"] = region_id
        if region_id and not await _is_region(tx, settings, region_id):
            await records.insert(tx, tables.regions, Region(id=region_id), taken="The region is being made.")
    return known


async def _is_region(tx: Transaction, settings: Settings, region_id: str) -> bool:
    return region_id in {region.id for region in await list_regions(tx, settings)} | {EVERY_REGION}


async def change_endpoint(
    tx: Transaction, settings: Settings, caller: Caller, endpoint_id: str, fields: Mapping[str, Any], extra: Json
) -> Endpoint:
    """As `create_endpoint`. Raises: NotFoundError; ForbiddenError, also for what is ours; InvalidInputError."""
    _admin(caller, "update_endpoint")
    before = _not_ours(own_endpoints(settings), await show_endpoint(tx, settings, endpoint_id))
    known = await _with_region(tx, settings, fields)
    await _check_endpoint(tx, settings, structs.replace(before, **known))
    return await _changed(tx, tables.endpoints, before, known, extra)


async def delete_endpoint(tx: Transaction, settings: Settings, caller: Caller, endpoint_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError, also for what is ours."""
    _admin(caller, "delete_endpoint")
    endpoint = _not_ours(own_endpoints(settings), await show_endpoint(tx, settings, endpoint_id))
    await records.delete(tx, tables.endpoints, endpoint.id)
    await catalog_rows.grow_revision(tx)


async def list_regions(tx: Transaction, settings: Settings, *, parent_id: str | None = None) -> list[Region]:
    found = [*own_regions(settings), *await records.find_all(tx, tables.regions, Region)]
    return [each for each in found if parent_id in (None, each.parent_region_id)]


async def show_region(tx: Transaction, settings: Settings, region_id: str) -> Region:
    """Raises: NotFoundError."""
    return _one(await list_regions(tx, settings), region_id, "region")


async def create_region(
    tx: Transaction, settings: Settings, caller: Caller, fields: Mapping[str, Any], extra: Json
) -> Region:
    """Raises: ForbiddenError; NotFoundError for an unknown parent; ConflictError when the id is taken."""
    _admin(caller, "create_region")
    there = await list_regions(tx, settings)
    region = Region(
        id=fields.get("id") or new_hex_id(),
        description=fields.get("description") or "",
        parent_region_id=fields.get("parent_region_id"),
        extra=extra,
    )
    taken = f"Conflict occurred when attempting to store region - Duplicate ID, {region.id}."
    if any(each.id == region.id for each in there):
        raise ConflictError(taken)
    _check_parent(there, region)
    await records.insert(tx, tables.regions, region, taken=taken)
    return region


def _check_parent(there: list[Region], region: Region) -> None:
    if region.parent_region_id is not None:
        _one(there, region.parent_region_id, "region")
    parents, above = {each.id: each.parent_region_id for each in there}, region.parent_region_id
    while above is not None:
        if above == region.id:
            raise InvalidInputError(
                f"The parent would make a circle of the region {region.id}.", field="parent_region_id"
            )
        above = parents.get(above)


async def change_region(
    tx: Transaction, settings: Settings, caller: Caller, region_id: str, fields: Mapping[str, Any], extra: Json
) -> Region:
    """Raises: NotFoundError; ForbiddenError, also for what is ours; InvalidInputError."""
    _admin(caller, "update_region")
    there = await list_regions(tx, settings)
    before = _not_ours(own_regions(settings), _one(there, region_id, "region"))
    given = {name: value for name, value in fields.items() if name != "id"}
    if "description" in given:
        given["description"] = given["description"] or ""
    _check_parent(there, structs.replace(before, **given))
    return await _changed(tx, tables.regions, before, given, extra)


async def delete_region(tx: Transaction, settings: Settings, caller: Caller, region_id: str) -> None:
    """With the regions under it. Raises: NotFoundError; ForbiddenError, also while endpoints are in it."""
    _admin(caller, "delete_region")
    there = await list_regions(tx, settings)
    region = _not_ours(own_regions(settings), _one(there, region_id, "region"))
    gone = [region.id]
    for each in gone:
        gone += [other.id for other in there if other.parent_region_id == each]
    in_use = await list_endpoints(tx, settings, {})
    if any(endpoint.region_id in gone for endpoint in in_use):
        raise ForbiddenError(f"Unable to delete region {region_id} because it or its child regions have endpoints.")
    for each in gone:
        await records.delete(tx, tables.regions, each)


Resource = TypeVar("Resource", Service, Endpoint, Region)


def _one(there: list[Resource], an_id: str, what: str) -> Resource:
    found = [each for each in there if each.id == an_id]
    if not found:
        raise NotFoundError(f"Could not find {what}: {an_id}.")
    return found[0]


def _not_ours(ours: list[Resource], found: Resource) -> Resource:
    if any(each.id == found.id for each in ours):
        raise ForbiddenError(OURS)
    return found


async def _changed(
    tx: Transaction, table: sa.Table, before: Resource, fields: Mapping[str, Any], extra: Json
) -> Resource:
    after = structs.replace(before, **fields, extra=before.extra | extra)
    values = structs.asdict(after)
    del values["id"]
    await records.update(tx, table, before.id, taken="It is there already.", **values)
    await catalog_rows.grow_revision(tx)
    return after
