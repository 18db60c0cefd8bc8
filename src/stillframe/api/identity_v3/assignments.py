"""The list of role assignments, and where a caller can get a token for the system: decode, one call, encode.

Source: OpenStack Identity API v3, "List role assignments".
"""

from typing import Any

from litestar import HttpMethod, Request, route

from stillframe.api.identity_v3.entities import Wire
from stillframe.api.identity_v3.errors import base_url, path_url
from stillframe.api.identity_v3.queries import is_asked
from stillframe.db import Transaction
from stillframe.identity import assignments, directory
from stillframe.identity.assignments import Asked, Assignment, Names
from stillframe.identity.model import Caller, Role

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]
INHERITED = "OS-INHERIT:inherited_to"


@route("/v3/role_assignments", http_method=READ)
async def list_role_assignments(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    params = request.query_params
    asked = Asked(
        role_id=params.get("role.id"),
        user_id=params.get("user.id"),
        group_id=params.get("group.id"),
        project_id=params.get("scope.project.id"),
        domain_id=params.get("scope.domain.id"),
        system=bool(params.get("scope.system")),
        inherited=params[f"scope.{INHERITED}"] == "projects" if f"scope.{INHERITED}" in params else None,
        effective=is_asked(params, "effective"),
        subtree=is_asked(params, "include_subtree"),
    )
    found = await assignments.list_assignments(tx, caller, asked)
    names = await assignments.names_of(tx, found) if is_asked(params, "include_names") else None
    base = base_url(request)
    links = {"self": path_url(request), "next": None, "previous": None}
    return {"role_assignments": [_to_wire(each, names, base) for each in found], "links": links}


def _to_wire(found: Assignment, names: Names | None, base: str) -> Wire:
    grant = found.grant
    shown: Wire = {"scope": _scope(found, names), "role": _role(grant.role_id, names), "links": {}}
    if grant.user_id is not None:
        shown["user"] = _named_in(grant.user_id, names and names.users, names)
    else:
        shown["group"] = _named_in(grant.group_id or "", names and names.groups, names)
    shown["links"]["assignment"] = f"{base}/v3{_assignment_path(found)}"
    if found.by_group_id:
        shown["links"]["membership"] = f"{base}/v3/groups/{found.by_group_id}/users/{grant.user_id}"
    if found.by_role_id:
        shown["links"]["prior_role"] = f"{base}/v3/prior_role/{found.by_role_id}/implies/{grant.role_id}"
    return shown


def _scope(found: Assignment, names: Names | None) -> Wire:
    grant = found.grant
    scope: Wire
    if grant.project_id is not None:
        scope = {"project": _named_in(grant.project_id, names and names.projects, names)}
    elif grant.domain_id is not None:
        scope = {"domain": _named_in(grant.domain_id, names and names.domains, None)}
    else:
        scope = {"system": {"all": True}}
    if grant.inherited or found.from_project_id or found.from_domain_id:
        scope[INHERITED] = "projects"
    return scope


def _named_in(an_id: str, table: Any, names: Names | None) -> Wire:
    """By its id; with its name, and those of its domain, when they were looked up."""
    entry = (table or {}).get(an_id)
    if entry is None:
        return {"id": an_id}
    shown = {"id": an_id, "name": entry.name}
    domain = names.domains.get(entry.domain_id) if names else None
    return shown if domain is None else {**shown, "domain": {"id": domain.id, "name": domain.name}}


def _role(role_id: str, names: Names | None) -> Wire:
    role: Role | None = names.roles.get(role_id) if names else None
    if role is None:
        return {"id": role_id}
    shown: Wire = {"id": role.id, "name": role.name}
    domain = names.domains.get(role.domain_id) if names and role.domain_id else None
    return shown if domain is None else {**shown, "domain": {"id": domain.id, "name": domain.name}}


def _assignment_path(found: Assignment) -> str:
    """Of the grant behind it, which may be a group's, on something above, or of another role."""
    grant = found.grant
    inherited = grant.inherited or found.from_project_id or found.from_domain_id
    if found.from_domain_id or (not found.from_project_id and grant.domain_id):
        place = f"/domains/{found.from_domain_id or grant.domain_id}"
    elif found.from_project_id or grant.project_id:
        place = f"/projects/{found.from_project_id or grant.project_id}"
    else:
        place = "/system"
    group_id = found.by_group_id or grant.group_id
    actor = f"/groups/{group_id}" if group_id else f"/users/{grant.user_id}"
    path = f"{place}{actor}/roles/{found.by_role_id or grant.role_id}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if inherited else path


@route("/v3/auth/system", http_method=READ)
async def list_own_system_scopes(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    """The whole system is the only one there is."""
    entries = [{"all": True}] if await directory.may_use_system(tx, caller) else []
    links = {"self": f"{base_url(request)}/v3/auth/system", "next": None, "previous": None}
    return {"system": entries, "links": links}


assignment_handlers = [list_role_assignments, list_own_system_scopes]
