"""Projects with their tree and tags, and domains: decode, one service call, encode."""

from collections.abc import Mapping
from typing import Any

from litestar import HttpMethod, Request, Response, delete, patch, post, put, route

from stillframe.api.identity_v3.bodies import (
    DomainBody,
    Given,
    ProjectBody,
    Tag,
    TagsBody,
    boolean,
    convert,
    decode_object,
    decode_resource,
    require_same_id,
)
from stillframe.api.identity_v3.entities import Wire, domain_as_project, domain_to_wire, limit_to_wire, project_to_wire
from stillframe.api.identity_v3.errors import base_url, path_url
from stillframe.api.identity_v3.queries import collection, flag, is_asked, list_query
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import directory, domains, limits, projects
from stillframe.identity.model import Caller, Project, ProjectFilter, TagFilter

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


# --- projects --------------------------------------------------------------------------------------------------------


@route("/v3/projects", http_method=READ)
async def list_projects(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    params, base = request.query_params, base_url(request)
    query = list_query(params, "name", "enabled")
    if flag(params, "is_domain"):
        # None of them lies in a domain or under a project.
        elsewhere = params.get("domain_id") or params.get("parent_id")
        found = [] if elsewhere else await directory.list_visible_domains(tx, caller, query=query)
        return collection(request, "projects", [domain_as_project(each, base) for each in found], query)
    wanted = ProjectFilter(
        domain_id=params.get("domain_id"), parent_id=params.get("parent_id"), tags=_tag_filter(params)
    )
    listed = await directory.list_visible_projects(tx, caller, wanted, query)
    return collection(request, "projects", [project_to_wire(each, base) for each in listed], query)


def _tag_filter(params: Mapping[str, str]) -> TagFilter:
    every, some, not_every, none_of = (
        tuple(tag for tag in params.get(name, "").split(",") if tag)
        for name in ("tags", "tags-any", "not-tags", "not-tags-any")
    )
    return TagFilter(every, some, not_every, none_of)


@route("/v3/projects/{project_id:str}", http_method=READ)
async def show_project(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> Wire:
    if await projects.find_as_domain(tx, project_id):
        domain = await directory.show_domain(tx, caller, project_id)
        return {"project": domain_as_project(domain, base_url(request))}
    project = await directory.show_project(tx, caller, project_id)
    return {"project": project_to_wire(project, base_url(request)) | await _family(request, tx, caller, project)}


async def _family(request: AnyRequest, tx: Transaction, caller: Caller, project: Project) -> Wire:
    """The tree around a project, as lists of what the caller may see or as ids within ids."""
    params, base = request.query_params, base_url(request)
    found: Wire = {}
    for kind in ("parents", "subtree"):
        as_list, as_ids = is_asked(params, f"{kind}_as_list"), is_asked(params, f"{kind}_as_ids")
        if as_list and as_ids:
            raise InvalidInputError(
                f"Cannot use {kind}_as_list and {kind}_as_ids query params at the same time.", field=kind
            )
        if not (as_list or as_ids):
            continue
        listing = projects.list_parents if kind == "parents" else projects.list_below
        relatives = await listing(tx, project)
        if as_list:
            visible = await projects.only_visible(tx, caller, relatives)
            found[kind] = [{"project": await _with_limits(request, tx, each, base)} for each in visible]
        else:
            found[kind] = _chain(project, relatives) if kind == "parents" else _nested(project.id, relatives)
    return found


async def _with_limits(request: AnyRequest, tx: Transaction, project: Project, base: str) -> Wire:
    shown = project_to_wire(project, base)
    if is_asked(request.query_params, "include_limits"):
        found = await limits.list_limits_of_project(tx, project.id)
        shown["limits"] = [limit_to_wire(each, base) for each in found]
    return shown


def _chain(project: Project, parents: list[Project]) -> Wire | None:
    """Parent within parent, the domain innermost."""
    chain: Wire | None = {project.domain_id: None}
    for parent in reversed(parents):
        chain = {parent.id: chain}
    return chain


def _nested(project_id: str, below: list[Project]) -> Wire | None:
    return {each.id: _nested(each.id, below) for each in below if each.parent_id == project_id} or None


@post("/v3/projects", status_code=201)
async def create_project(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "project", ProjectBody, "name")
    if boolean(given.fields.pop("is_domain", False), "is_domain"):
        if given.fields.get("parent_id") or given.fields.get("domain_id"):
            raise InvalidInputError("only root projects are allowed to act as domains.", field="parent_id")
        made = await domains.create_domain(tx, caller, given.fields, given.extra)
        return {"project": domain_as_project(made, base_url(request))}
    project = await projects.create_project(tx, caller, given.fields, given.extra)
    return {"project": project_to_wire(project, base_url(request))}


@patch("/v3/projects/{project_id:str}")
async def change_project(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "project", project_id)
    given = decode_resource(body, "project", ProjectBody, may_be_empty=True)
    is_domain = bool(await projects.find_as_domain(tx, project_id))
    _check_kind(given, is_domain=is_domain)
    if is_domain:
        changed = await domains.change_domain(tx, caller, project_id, given.fields, given.extra)
        return {"project": domain_as_project(changed, base_url(request))}
    project = await projects.change_project(tx, caller, project_id, given.fields, given.extra)
    return {"project": project_to_wire(project, base_url(request))}


def _check_kind(given: Given, *, is_domain: bool) -> None:
    if boolean(given.fields.pop("is_domain", is_domain), "is_domain") != is_domain:
        raise InvalidInputError("Update of `is_domain` is not allowed.", field="is_domain")


@delete("/v3/projects/{project_id:str}", status_code=204)
async def delete_project(project_id: str, tx: Transaction, caller: Caller) -> None:
    if await projects.find_as_domain(tx, project_id):
        await domains.delete_domain(tx, caller, project_id)
    else:
        await projects.delete_project(tx, caller, project_id)


@route("/v3/auth/projects", http_method=READ)
async def list_own_projects(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    query = list_query(request.query_params, "name", "enabled", "domain_id")
    found = await directory.list_own_projects(tx, caller, query=query)
    return collection(request, "projects", [project_to_wire(each, base_url(request)) for each in found], query)


# --- tags ------------------------------------------------------------------------------------------------------------


def _tags(request: AnyRequest, tags: list[str]) -> Wire:
    return {"tags": tags, "links": {"self": path_url(request), "next": None, "previous": None}}


@route("/v3/projects/{project_id:str}/tags", http_method=READ)
async def list_tags(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> Wire:
    return _tags(request, await projects.list_tags(tx, caller, project_id))


@put("/v3/projects/{project_id:str}/tags")
async def set_tags(request: AnyRequest, project_id: str, tx: Transaction, caller: Caller) -> Wire:
    body: TagsBody = convert(decode_object(await request.body()), TagsBody)
    if len(set(body.tags)) != len(body.tags):
        raise InvalidInputError("The tags of a project must be unique.", field="tags")
    return _tags(request, await projects.set_tags(tx, caller, project_id, body.tags))


@delete("/v3/projects/{project_id:str}/tags", status_code=204)
async def delete_tags(project_id: str, tx: Transaction, caller: Caller) -> None:
    await projects.set_tags(tx, caller, project_id, [])


@route("/v3/projects/{project_id:str}/tags/{tag:str}", http_method=READ, status_code=204)
async def check_tag(project_id: str, tag: str, tx: Transaction, caller: Caller) -> Response[None]:
    await projects.check_tag(tx, caller, project_id, tag)
    return Response(None, status_code=204)


@put("/v3/projects/{project_id:str}/tags/{tag:str}", status_code=201)
async def add_tag(request: AnyRequest, project_id: str, tag: str, tx: Transaction, caller: Caller) -> Response[bytes]:
    decode_tag(tag)
    await projects.add_tag(tx, caller, project_id, tag)
    return Response(b"", status_code=201, headers={"Location": path_url(request)})


def decode_tag(tag: str) -> None:
    convert(tag, Tag)
    if "\0" in tag:
        raise InvalidInputError("A tag cannot hold a NUL character.", field="tags")


@delete("/v3/projects/{project_id:str}/tags/{tag:str}", status_code=204)
async def remove_tag(project_id: str, tag: str, tx: Transaction, caller: Caller) -> None:
    await projects.remove_tag(tx, caller, project_id, tag)


# --- domains ---------------------------------------------------------------------------------------------------------


@route("/v3/domains", http_method=READ)
async def list_domains(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    query = list_query(request.query_params, "name", "enabled")
    found = await directory.list_visible_domains(tx, caller, query=query)
    return collection(request, "domains", [domain_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/domains/{domain_id:str}", http_method=READ)
async def show_domain(request: AnyRequest, domain_id: str, tx: Transaction, caller: Caller) -> Wire:
    return {"domain": domain_to_wire(await directory.show_domain(tx, caller, domain_id), base_url(request))}


@post("/v3/domains", status_code=201)
async def create_domain(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "domain", DomainBody, "name")
    made = await domains.create_domain(tx, caller, given.fields, given.extra)
    return {"domain": domain_to_wire(made, base_url(request))}


@patch("/v3/domains/{domain_id:str}")
async def change_domain(request: AnyRequest, domain_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "domain", domain_id)
    given = decode_resource(body, "domain", DomainBody)
    changed = await domains.change_domain(tx, caller, domain_id, given.fields, given.extra)
    return {"domain": domain_to_wire(changed, base_url(request))}


@delete("/v3/domains/{domain_id:str}", status_code=204)
async def delete_domain(domain_id: str, tx: Transaction, caller: Caller) -> None:
    await domains.delete_domain(tx, caller, domain_id)


@route("/v3/auth/domains", http_method=READ)
async def list_own_domains(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    query = list_query(request.query_params)
    found = await directory.list_own_domains(tx, caller, name=request.query_params.get("name"))
    return collection(request, "domains", [domain_to_wire(each, base_url(request)) for each in found], query)


project_handlers = [
    list_projects,
    show_project,
    create_project,
    change_project,
    delete_project,
    list_own_projects,
    list_tags,
    set_tags,
    delete_tags,
    check_tag,
    add_tag,
    remove_tag,
    list_domains,
    show_domain,
    create_domain,
    change_domain,
    delete_domain,
    list_own_domains,
]
