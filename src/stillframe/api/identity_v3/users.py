"""Users and groups: decode, one service call, encode."""

from datetime import UTC, datetime
from typing import Any

from litestar import HttpMethod, Request, Response, delete, patch, post, put, route

from stillframe.api.identity_v3.bodies import (
    GroupBody,
    PasswordChangeBody,
    UserBody,
    convert,
    decode_object,
    decode_resource,
    require_same_id,
)
from stillframe.api.identity_v3.entities import group_to_wire, project_to_wire, user_to_wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection, list_query
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import directory, groups, users
from stillframe.identity.model import Caller, UserFilter

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/v3/users", http_method=READ)
async def list_users(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = list_query(request.query_params, "name", "enabled")
    wanted = UserFilter(domain_id=request.query_params.get("domain_id"))
    expiry = _expiry(request.query_params.get("password_expires_at"))
    found = await directory.list_visible_users(tx, caller, wanted, query, expiry=expiry)
    return collection(request, "users", [user_to_wire(each, base_url(request)) for each in found], query)


def _expiry(text: str | None) -> tuple[str, datetime] | None:
    if text is None:
        return None
    operator, _, moment = text.partition(":")
    try:
        when = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        when = None
    if when is None or operator not in ("lt", "lte", "gt", "gte", "eq", "neq"):
        raise InvalidInputError(
            "password_expires_at is {operator}:{timestamp}, for example lt:2016-12-08T22:02:00Z.",
            field="password_expires_at",
        )
    return operator, when


@route("/v3/users/{user_id:str}", http_method=READ)
async def show_user(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return {"user": user_to_wire(await directory.show_user(tx, caller, user_id), base_url(request))}


@post("/v3/users", status_code=201)
async def create_user(request: AnyRequest, database: Database, settings: Settings, caller: Caller) -> dict[str, Any]:
    given = decode_resource(await request.body(), "user", UserBody, "name")
    made = await users.create_user(database, settings, caller, given.fields, given.extra)
    return {"user": user_to_wire(made, base_url(request))}


@patch("/v3/users/{user_id:str}")
async def change_user(
    request: AnyRequest, user_id: str, database: Database, settings: Settings, caller: Caller
) -> dict[str, Any]:
    body = await request.body()
    require_same_id(body, "user", user_id)
    given = decode_resource(body, "user", UserBody)
    changed = await users.change_user(database, settings, caller, user_id, given.fields, given.extra)
    return {"user": user_to_wire(changed, base_url(request))}


@delete("/v3/users/{user_id:str}", status_code=204)
async def delete_user(user_id: str, tx: Transaction, caller: Caller) -> None:
    await users.delete_user(tx, caller, user_id)


@post("/v3/users/{user_id:str}/password", status_code=204)
async def change_password(request: AnyRequest, user_id: str, database: Database, settings: Settings) -> None:
    """Whoever knows the present password may, with a token or without."""
    body: PasswordChangeBody = convert(decode_object(await request.body()).get("user"), PasswordChangeBody)
    await users.change_own_password(database, settings, user_id, body.original_password, body.password)


@route("/v3/users/{user_id:str}/groups", http_method=READ)
async def list_groups_of_user(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = list_query(request.query_params, "name")
    found = await users.list_groups_of_user(tx, caller, user_id, query)
    return collection(request, "groups", [group_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/users/{user_id:str}/projects", http_method=READ)
async def list_projects_of_user(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = list_query(request.query_params, "domain_id", "enabled", "name")
    found = await directory.list_projects_of_user(tx, caller, user_id, query)
    return collection(request, "projects", [project_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/groups", http_method=READ)
async def list_groups(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = list_query(request.query_params, "name")
    found = await groups.list_groups(tx, caller, query, domain_id=request.query_params.get("domain_id"))
    return collection(request, "groups", [group_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/groups/{group_id:str}", http_method=READ)
async def show_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return {"group": group_to_wire(await groups.show_group(tx, caller, group_id), base_url(request))}


@post("/v3/groups", status_code=201)
async def create_group(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    given = decode_resource(await request.body(), "group", GroupBody, "name")
    made = await groups.create_group(tx, caller, given.fields, given.extra)
    return {"group": group_to_wire(made, base_url(request))}


@patch("/v3/groups/{group_id:str}")
async def change_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    body = await request.body()
    require_same_id(body, "group", group_id)
    given = decode_resource(body, "group", GroupBody)
    changed = await groups.change_group(tx, caller, group_id, given.fields, given.extra)
    return {"group": group_to_wire(changed, base_url(request))}


@delete("/v3/groups/{group_id:str}", status_code=204)
async def delete_group(group_id: str, tx: Transaction, caller: Caller) -> None:
    await groups.delete_group(tx, caller, group_id)


@route("/v3/groups/{group_id:str}/users", http_method=READ)
async def list_members(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    query = list_query(request.query_params, "domain_id", "enabled", "name")
    found = await groups.list_members(tx, caller, group_id, query)
    return collection(request, "users", [user_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/groups/{group_id:str}/users/{user_id:str}", http_method=READ, status_code=204)
async def check_member(group_id: str, user_id: str, tx: Transaction, caller: Caller) -> Response[None]:
    await groups.check_member(tx, caller, group_id, user_id)
    return Response(None, status_code=204)


@put("/v3/groups/{group_id:str}/users/{user_id:str}", status_code=204)
async def add_member(group_id: str, user_id: str, tx: Transaction, caller: Caller) -> None:
    await groups.add_member(tx, caller, group_id, user_id)


@delete("/v3/groups/{group_id:str}/users/{user_id:str}", status_code=204)
async def remove_member(group_id: str, user_id: str, tx: Transaction, caller: Caller) -> None:
    await groups.remove_member(tx, caller, group_id, user_id)


user_handlers = [
    list_users,
    show_user,
    create_user,
    change_user,
    delete_user,
    change_password,
    list_groups_of_user,
    list_projects_of_user,
    list_groups,
    show_group,
    create_group,
    change_group,
    delete_group,
    list_members,
    check_member,
    add_member,
    remove_member,
]
