"""Projects, domains, users, roles, and the lists behind the catalog: decode, one service call, encode."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, get

from stillframe.api.identity_v3 import catalog, wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity import directory
from stillframe.identity.model import ROLES, Caller, ProjectFilter, Role, UserFilter

AnyRequest = Request[Any, Any, Any]


def _list(request: AnyRequest, name: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return wire.collection(name, entries, base_url(request) + request.url.path)


@get("/v3/projects")
async def list_projects(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = request.query_params
    page, wanted = wire.page_of(query), _project_filter(query)
    found = await directory.list_visible_projects(tx, caller, wanted, page) if wanted else []
    return _list(request, "projects", [wire.project_to_wire(each, base_url(request)) for each in found])


def _project_filter(query: Mapping[str, str]) -> ProjectFilter | None:
    """None when nothing can match: every project lies directly in its domain, and none is a domain itself."""
    domain_id, parent_id = query.get("domain_id"), query.get("parent_id")
    if wire.flag(query, "is_domain") or (domain_id and parent_id and domain_id != parent_id):
        return None
    return ProjectFilter(
        domain_id=domain_id if domain_id is not None else parent_id,
        name=query.get("name"),
        enabled=wire.flag(query, "enabled"),
    )


@get("/v3/projects/{project_id:str}")
async def show_project(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    project = await directory.show_project(tx, caller, project_id)
    return {"project": wire.project_to_wire(project, base_url(request))}


@get("/v3/auth/projects")
async def list_own_projects(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    found = await directory.list_own_projects(tx, caller, name=request.query_params.get("name"))
    return _list(request, "projects", [wire.project_to_wire(each, base_url(request)) for each in found])


@get("/v3/users/{user_id:str}/projects")
async def list_projects_of_user(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    found = await directory.list_projects_of_user(tx, caller, user_id)
    return _list(request, "projects", [wire.project_to_wire(each, base_url(request)) for each in found])


@get("/v3/domains")
async def list_domains(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = request.query_params
    found = await directory.list_visible_domains(
        tx, caller, name=query.get("name"), enabled=wire.flag(query, "enabled")
    )
    return _list(request, "domains", [wire.domain_to_wire(each, base_url(request)) for each in found])


@get("/v3/domains/{domain_id:str}")
async def show_domain(request: AnyRequest, domain_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return {"domain": wire.domain_to_wire(await directory.show_domain(tx, caller, domain_id), base_url(request))}


@get("/v3/auth/domains")
async def list_own_domains(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    found = await directory.list_own_domains(tx, caller, name=request.query_params.get("name"))
    return _list(request, "domains", [wire.domain_to_wire(each, base_url(request)) for each in found])


@get("/v3/users")
async def list_users(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = request.query_params
    wanted = UserFilter(domain_id=query.get("domain_id"), name=query.get("name"), enabled=wire.flag(query, "enabled"))
    found = await directory.list_visible_users(tx, caller, wanted, wire.page_of(query))
    return _list(request, "users", [wire.user_to_wire(each, base_url(request)) for each in found])


@get("/v3/users/{user_id:str}")
async def show_user(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return {"user": wire.user_to_wire(await directory.show_user(tx, caller, user_id), base_url(request))}


def _role(request: AnyRequest, role: Role) -> dict[str, Any]:
    return wire.role_to_wire(role, base_url(request), ROLES.get(role.name, ""))


@get("/v3/roles")
async def list_roles(request: AnyRequest, tx: Transaction) -> dict[str, Any]:
    found = await directory.list_roles(tx, name=request.query_params.get("name"))
    return _list(request, "roles", [_role(request, each) for each in found])


@get("/v3/roles/{role_id:str}")
async def show_role(request: AnyRequest, role_id: str, tx: Transaction) -> dict[str, Any]:
    return {"role": _role(request, await directory.show_role(tx, role_id))}


def _entry(request: AnyRequest, plural: str, entry: msgspec.Struct, **more: Any) -> dict[str, Any]:
    """A row of the catalog as a resource of its own."""
    fields = msgspec.structs.asdict(entry)
    return {**fields, **more, "links": {"self": f"{base_url(request)}/v3/{plural}/{fields['id']}"}}


def _services(request: AnyRequest) -> list[dict[str, Any]]:
    return [_entry(request, "services", each, description="") for each in catalog.list_services()]


def _endpoints(request: AnyRequest, settings: Settings) -> list[dict[str, Any]]:
    return [_entry(request, "endpoints", each) for each in catalog.list_endpoints(settings)]


def _regions(request: AnyRequest, settings: Settings) -> list[dict[str, Any]]:
    links = {"self": f"{base_url(request)}/v3/regions/{settings.region}"}
    return [{"id": settings.region, "description": "", "parent_region_id": None, "type": "public", "links": links}]


def _filtered(request: AnyRequest, entries: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    wanted = {name: request.query_params[name] for name in names if name in request.query_params}
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


def _one(entries: list[dict[str, Any]], kind: str, an_id: str) -> dict[str, Any]:
    found = [entry for entry in entries if entry["id"] == an_id]
    if not found:
        raise NotFoundError(f"Could not find {kind}: {an_id}.")
    return {kind: found[0]}


@get("/v3/services")
async def list_services(request: AnyRequest) -> dict[str, Any]:
    return _list(request, "services", _filtered(request, _services(request), "name", "type"))


@get("/v3/services/{service_id:str}")
async def show_service(request: AnyRequest, service_id: str) -> dict[str, Any]:
    return _one(_services(request), "service", service_id)


@get("/v3/endpoints")
async def list_endpoints(request: AnyRequest, settings: Settings) -> dict[str, Any]:
    found = _filtered(request, _endpoints(request, settings), "service_id", "interface", "region", "region_id")
    return _list(request, "endpoints", found)


@get("/v3/endpoints/{endpoint_id:str}")
async def show_endpoint(request: AnyRequest, endpoint_id: str, settings: Settings) -> dict[str, Any]:
    return _one(_endpoints(request, settings), "endpoint", endpoint_id)


@get("/v3/regions")
async def list_regions(request: AnyRequest, settings: Settings) -> dict[str, Any]:
    return _list(request, "regions", _regions(request, settings))


@get("/v3/regions/{region_id:str}")
async def show_region(request: AnyRequest, region_id: str, settings: Settings) -> dict[str, Any]:
    return _one(_regions(request, settings), "region", region_id)


resource_handlers = [
    list_projects,
    show_project,
    list_own_projects,
    list_projects_of_user,
    list_domains,
    show_domain,
    list_own_domains,
    list_users,
    show_user,
    list_roles,
    show_role,
    list_services,
    show_service,
    list_endpoints,
    show_endpoint,
    list_regions,
    show_region,
]
