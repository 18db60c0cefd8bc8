"""Limits, registered limits and policy documents: decode, one service call, encode."""

from typing import Any

from litestar import HttpMethod, Request, delete, patch, post, route

from stillframe.api.identity_v3.bodies import (
    LimitBody,
    LimitChangeBody,
    PolicyBody,
    RegisteredLimitBody,
    decode_list,
    decode_resource,
    require_same_id,
)
from stillframe.api.identity_v3.entities import Wire, limit_to_wire, policy_to_wire, registered_limit_to_wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection, list_query
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity import limits, policy_documents
from stillframe.identity.model import WHOLE_LIST, Caller

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


def _wanted(request: AnyRequest, *names: str) -> dict[str, str]:
    return {name: request.query_params[name] for name in names if name in request.query_params}


@route("/v3/registered_limits", http_method=READ)
async def list_registered_limits(request: AnyRequest, tx: Transaction) -> Wire:
    found = await limits.list_registered(tx, _wanted(request, "service_id", "region_id", "resource_name"))
    shown = [registered_limit_to_wire(each, base_url(request)) for each in found]
    return collection(request, "registered_limits", shown, WHOLE_LIST)


@route("/v3/registered_limits/{registered_limit_id:str}", http_method=READ)
async def show_registered_limit(request: AnyRequest, registered_limit_id: str, tx: Transaction) -> Wire:
    found = await limits.show_registered(tx, registered_limit_id)
    return {"registered_limit": registered_limit_to_wire(found, base_url(request))}


@post("/v3/registered_limits", status_code=201)
async def create_registered_limits(request: AnyRequest, tx: Transaction, settings: Settings, caller: Caller) -> Wire:
    required = ("service_id", "resource_name", "default_limit")
    given = decode_list(await request.body(), "registered_limits", RegisteredLimitBody, *required)
    made = await limits.create_registered(tx, settings, caller, [each.fields for each in given])
    return {"registered_limits": [registered_limit_to_wire(each, base_url(request)) for each in made]}


@patch("/v3/registered_limits/{registered_limit_id:str}")
async def change_registered_limit(
    request: AnyRequest, registered_limit_id: str, tx: Transaction, settings: Settings, caller: Caller
) -> Wire:
    body = await request.body()
    require_same_id(body, "registered_limit", registered_limit_id)
    given = decode_resource(body, "registered_limit", RegisteredLimitBody, extras=False, may_be_empty=True)
    changed = await limits.change_registered(tx, settings, caller, registered_limit_id, given.fields)
    return {"registered_limit": registered_limit_to_wire(changed, base_url(request))}


@delete("/v3/registered_limits/{registered_limit_id:str}", status_code=204)
async def delete_registered_limit(registered_limit_id: str, tx: Transaction, caller: Caller) -> None:
    await limits.delete_registered(tx, caller, registered_limit_id)


@route("/v3/limits", http_method=READ)
async def list_limits(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    names = ("service_id", "region_id", "resource_name", "project_id", "domain_id")
    found = await limits.list_limits(tx, caller, _wanted(request, *names))
    return collection(request, "limits", [limit_to_wire(each, base_url(request)) for each in found], WHOLE_LIST)


@route("/v3/limits/model", http_method=READ)
async def show_limit_model() -> Wire:
    description = "Limit enforcement and validation does not take project hierarchy into consideration."
    return {"model": {"name": "flat", "description": description}}


@route("/v3/limits/{limit_id:str}", http_method=READ)
async def show_limit(request: AnyRequest, limit_id: str, tx: Transaction, caller: Caller) -> Wire:
    return {"limit": limit_to_wire(await limits.show_limit(tx, caller, limit_id), base_url(request))}


@post("/v3/limits", status_code=201)
async def create_limits(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    required = ("service_id", "resource_name", "resource_limit")
    given = decode_list(await request.body(), "limits", LimitBody, *required)
    made = await limits.create_limits(tx, caller, [each.fields for each in given])
    return {"limits": [limit_to_wire(each, base_url(request)) for each in made]}


@patch("/v3/limits/{limit_id:str}")
async def change_limit(request: AnyRequest, limit_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "limit", limit_id)
    given = decode_resource(body, "limit", LimitChangeBody, extras=False, may_be_empty=True)
    return {"limit": limit_to_wire(await limits.change_limit(tx, caller, limit_id, given.fields), base_url(request))}


@delete("/v3/limits/{limit_id:str}", status_code=204)
async def delete_limit(limit_id: str, tx: Transaction, caller: Caller) -> None:
    await limits.delete_limit(tx, caller, limit_id)


# --- policy documents ------------------------------------------------------------------------------------------------


@route("/v3/policies", http_method=READ)
async def list_policies(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    query = list_query(request.query_params, "type")
    found = await policy_documents.list_policies(tx, caller, query)
    return collection(request, "policies", [policy_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/policies/{policy_id:str}", http_method=READ)
async def show_policy(request: AnyRequest, policy_id: str, tx: Transaction, caller: Caller) -> Wire:
    return {"policy": policy_to_wire(await policy_documents.show_policy(tx, caller, policy_id), base_url(request))}


@post("/v3/policies", status_code=201)
async def create_policy(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "policy", PolicyBody, "type", "blob")
    made = await policy_documents.create_policy(tx, caller, given.fields, given.extra)
    return {"policy": policy_to_wire(made, base_url(request))}


@patch("/v3/policies/{policy_id:str}")
async def change_policy(request: AnyRequest, policy_id: str, tx: Transaction, caller: Caller) -> Wire:
    body = await request.body()
    require_same_id(body, "policy", policy_id)
    given = decode_resource(body, "policy", PolicyBody)
    changed = await policy_documents.change_policy(tx, caller, policy_id, given.fields, given.extra)
    return {"policy": policy_to_wire(changed, base_url(request))}


@delete("/v3/policies/{policy_id:str}", status_code=204)
async def delete_policy(policy_id: str, tx: Transaction, caller: Caller) -> None:
    await policy_documents.delete_policy(tx, caller, policy_id)


limit_handlers = [
    list_registered_limits,
    show_registered_limit,
    create_registered_limits,
    change_registered_limit,
    delete_registered_limit,
    list_limits,
    show_limit_model,
    show_limit,
    create_limits,
    change_limit,
    delete_limit,
    list_policies,
    show_policy,
    create_policy,
    change_policy,
    delete_policy,
]
