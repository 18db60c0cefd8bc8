"""Roles, what they imply, and who is granted them where: decode, one service call, encode.

Every place a role can be held (project, domain, system) and everyone who can hold one (user, group) has the same five
operations, so these are made from a table.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from litestar import HttpMethod, Request, Response, delete, patch, post, put, route
from litestar.handlers import HTTPRouteHandler

from stillframe.api.identity_v3.bodies import RoleBody, decode_resource, require_same_id
from stillframe.api.identity_v3.entities import Wire, role_to_wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection, list_query
from stillframe.db import Transaction
from stillframe.identity import directory, roles
from stillframe.identity.model import Caller, Grant, Role

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/v3/roles", http_method=READ)
async def list_roles(request: AnyRequest, tx: Transaction) -> Wire:
    params = request.query_params
    query = list_query(params, "name")
    found = await directory.list_roles(tx, query, domain_id=params.get("domain_id"))
    return collection(request, "roles", [role_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/roles/{role_id:str}", http_method=READ)
async def show_role(request: AnyRequest, role_id: str, tx: Transaction) -> Wire:
    return {"role": role_to_wire(await directory.show_role(tx, role_id), base_url(request))}


@post("/v3/roles", status_code=201)
async def create_role(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "role", RoleBody, "name")
    return {"role": role_to_wire(await roles.create_role(tx, caller, given.fields, given.extra), base_url(request))}


@patch("/v3/roles/{role_id:str}")
async def change_role(request: AnyRequest, role_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "role", role_id)
    given = decode_resource(body, "role", RoleBody)
    changed = await roles.change_role(tx, caller, role_id, given.fields, given.extra)
    return {"role": role_to_wire(changed, base_url(request))}


@delete("/v3/roles/{role_id:str}", status_code=204)
async def delete_role(role_id: str, tx: Transaction, caller: Caller) -> None:
    await roles.delete_role(tx, caller, role_id)


# --- implications ----------------------------------------------------------------------------------------------------


def _short(role: Role, base: str) -> Wire:
    return {"id": role.id, "name": role.name, "links": {"self": f"{base}/v3/roles/{role.id}"}}


def _inference(request: AnyRequest, pair: tuple[Role, Role]) -> Wire:
    prior, implied = (_short(role, base_url(request)) for role in pair)
    here = f"{base_url(request)}/v3/roles/{pair[0].id}/implies/{pair[1].id}"
    return {"role_inference": {"prior_role": prior, "implies": implied}, "links": {"self": here}}


@route("/v3/roles/{role_id:str}/implies", http_method=READ)
async def list_implied_roles(request: AnyRequest, role_id: str, tx: Transaction, caller: Caller) -> Wire:
    pairs = await roles.list_implications(tx, caller, role_id)
    prior = await directory.show_role(tx, role_id)
    base = base_url(request)
    inference = {"prior_role": _short(prior, base), "implies": [_short(implied, base) for _, implied in pairs]}
    return {"role_inference": inference, "links": {"self": f"{base}/v3/roles/{role_id}/implies"}}


@route("/v3/role_inferences", http_method=READ)
async def list_role_inferences(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    base = base_url(request)
    by_prior: dict[str, Wire] = {}
    for prior, implied in await roles.list_implications(tx, caller):
        entry = by_prior.setdefault(prior.id, {"prior_role": _short(prior, base), "implies": []})
        entry["implies"].append(_short(implied, base))
    return {"role_inferences": list(by_prior.values()), "links": {"self": f"{base}/v3/role_inferences"}}


@route("/v3/roles/{prior_id:str}/implies/{implied_id:str}", http_method=HttpMethod.GET)
async def show_implied_role(
    request: AnyRequest, prior_id: str, implied_id: str, tx: Transaction, caller: Caller
) -> Wire:
    return _inference(request, await roles.show_implication(tx, caller, prior_id, implied_id))


@route("/v3/roles/{prior_id:str}/implies/{implied_id:str}", http_method=HttpMethod.HEAD, status_code=204)
async def check_implied_role(prior_id: str, implied_id: str, tx: Transaction, caller: Caller) -> Response[None]:
    await roles.show_implication(tx, caller, prior_id, implied_id)
    return Response(None, status_code=204)


@put("/v3/roles/{prior_id:str}/implies/{implied_id:str}", status_code=201)
async def add_implied_role(
    request: AnyRequest, prior_id: str, implied_id: str, tx: Transaction, caller: Caller
) -> Wire:
    return _inference(request, await roles.add_implication(tx, caller, prior_id, implied_id))


@delete("/v3/roles/{prior_id:str}/implies/{implied_id:str}", status_code=204)
async def remove_implied_role(prior_id: str, implied_id: str, tx: Transaction, caller: Caller) -> None:
    await roles.remove_implication(tx, caller, prior_id, implied_id)


# --- grants ----------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A path under which roles are granted; `{actor}` is users or groups."""

    path: str
    inherited: bool = False


PLACES = (
    Place("/v3/projects/{project_id:str}/{actor}/{actor_id:str}/roles"),
    Place("/v3/domains/{domain_id:str}/{actor}/{actor_id:str}/roles"),
    Place("/v3/system/{actor}/{actor_id:str}/roles"),
    Place("/v3/OS-INHERIT/projects/{project_id:str}/{actor}/{actor_id:str}/roles", inherited=True),
    Place("/v3/OS-INHERIT/domains/{domain_id:str}/{actor}/{actor_id:str}/roles", inherited=True),
)

MakeGrant = Callable[[AnyRequest], Grant]


def _grant_handlers() -> Iterator[HTTPRouteHandler]:
    for place in PLACES:
        for actor, field in (("users", "user_id"), ("groups", "group_id")):
            path = place.path.replace("{actor}", actor).replace("actor_id", field)
            grant_of = _grant_maker(field, place.inherited)
            end = "/inherited_to_projects" if place.inherited else ""
            yield _list_handler(path + end, grant_of)
            yield from _one_handlers(f"{path}/{{role_id:str}}{end}", grant_of)


def _grant_maker(field: str, inherited: bool) -> MakeGrant:  # noqa: FBT001 - a table's column
    def grant_of(request: AnyRequest) -> Grant:
        found = request.path_params
        return Grant(
            role_id=found.get("role_id", ""),
            project_id=found.get("project_id"),
            domain_id=found.get("domain_id"),
            inherited=inherited,
            **{field: found[field]},
        )

    return grant_of


def _list_handler(path: str, grant_of: MakeGrant) -> HTTPRouteHandler:
    @route(path, http_method=READ)
    async def list_granted(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
        query = list_query(request.query_params)
        found = await roles.list_roles_granted(tx, caller, grant_of(request))
        return collection(request, "roles", [role_to_wire(each, base_url(request)) for each in found], query)

    return list_granted


def _one_handlers(path: str, grant_of: MakeGrant) -> Iterator[HTTPRouteHandler]:
    @route(path, http_method=READ, status_code=204)
    async def check_grant(request: AnyRequest, tx: Transaction, caller: Caller) -> Response[None]:
        await roles.check_grant(tx, caller, grant_of(request))
        return Response(None, status_code=204)

    @put(path, status_code=204)
    async def add_grant(request: AnyRequest, tx: Transaction, caller: Caller) -> None:
        await roles.add_grant(tx, caller, grant_of(request))

    @delete(path, status_code=204)
    async def remove_grant(request: AnyRequest, tx: Transaction, caller: Caller) -> None:
        await roles.remove_grant(tx, caller, grant_of(request))

    yield from (check_grant, add_grant, remove_grant)


role_handlers = [
    list_roles,
    show_role,
    create_role,
    change_role,
    delete_role,
    list_implied_roles,
    list_role_inferences,
    show_implied_role,
    check_implied_role,
    add_implied_role,
    remove_implied_role,
    *_grant_handlers(),
]
