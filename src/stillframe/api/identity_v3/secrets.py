"""Credentials, EC2 pairs, application credentials and their access rules: decode, one service call, encode."""

from typing import Any

from litestar import HttpMethod, Request, delete, patch, post, route

from stillframe.api.identity_v3.bodies import (
    AccessRuleBody,
    AppCredentialBody,
    CredentialBody,
    decode_object,
    decode_resource,
    moment,
    require_same_id,
)
from stillframe.api.identity_v3.entities import (
    Wire,
    access_rule_to_wire,
    app_credential_to_wire,
    credential_to_wire,
    ec2_to_wire,
)
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection, list_query
from stillframe.db import Database, Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import application_credentials, credentials
from stillframe.identity.model import WHOLE_LIST, Caller
from stillframe.identity.tokens import TokenKeys

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]


@route("/v3/credentials", http_method=READ)
async def list_credentials(request: AnyRequest, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> Wire:
    query = list_query(request.query_params, "user_id", "type")
    found = await credentials.list_credentials(tx, token_keys, caller, query.filters)
    return collection(request, "credentials", [credential_to_wire(each, base_url(request)) for each in found], query)


@route("/v3/credentials/{credential_id:str}", http_method=READ)
async def show_credential(
    request: AnyRequest, credential_id: str, tx: Transaction, token_keys: TokenKeys, caller: Caller
) -> Wire:
    found = await credentials.show_credential(tx, token_keys, caller, credential_id)
    return {"credential": credential_to_wire(found, base_url(request))}


@post("/v3/credentials", status_code=201)
async def create_credential(request: AnyRequest, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> Wire:
    given = decode_resource(await request.body(), "credential", CredentialBody, "type", "blob")
    made = await credentials.create_credential(tx, token_keys, caller, given.fields, given.extra)
    return {"credential": credential_to_wire(made, base_url(request))}


@patch("/v3/credentials/{credential_id:str}")
async def change_credential(
    request: AnyRequest, credential_id: str, tx: Transaction, token_keys: TokenKeys, caller: Caller
) -> Wire:
    body = await request.body()
    require_same_id(body, "credential", credential_id)
    given = decode_resource(body, "credential", CredentialBody)
    changed = await credentials.change_credential(tx, token_keys, caller, credential_id, given.fields, given.extra)
    return {"credential": credential_to_wire(changed, base_url(request))}


@delete("/v3/credentials/{credential_id:str}", status_code=204)
async def delete_credential(credential_id: str, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> None:
    await credentials.delete_credential(tx, token_keys, caller, credential_id)


# --- EC2 -------------------------------------------------------------------------------------------------------------

EC2 = "/v3/users/{user_id:str}/credentials/OS-EC2"


@route(EC2, http_method=READ)
async def list_ec2(request: AnyRequest, user_id: str, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> Wire:
    found = await credentials.list_ec2(tx, token_keys, caller, user_id)
    return collection(request, "credentials", [ec2_to_wire(each, base_url(request)) for each in found], WHOLE_LIST)


@route(f"{EC2}/{{access:str}}", http_method=READ)
async def show_ec2(
    request: AnyRequest, user_id: str, access: str, tx: Transaction, token_keys: TokenKeys, caller: Caller
) -> Wire:
    found = await credentials.show_ec2(tx, token_keys, caller, user_id, access)
    return {"credential": ec2_to_wire(found, base_url(request))}


@post(EC2, status_code=201)
async def create_ec2(request: AnyRequest, user_id: str, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> Wire:
    project_id = decode_object(await request.body() or b"{}").get("tenant_id")
    if project_id is not None and not isinstance(project_id, str):
        raise InvalidInputError("tenant_id is the id of a project.", field="tenant_id")
    made = await credentials.create_ec2(tx, token_keys, caller, user_id, project_id)
    return {"credential": ec2_to_wire(made, base_url(request))}


@delete(f"{EC2}/{{access:str}}", status_code=204)
async def delete_ec2(user_id: str, access: str, tx: Transaction, token_keys: TokenKeys, caller: Caller) -> None:
    await credentials.delete_ec2(tx, token_keys, caller, user_id, access)


# --- application credentials -----------------------------------------------------------------------------------------

APPLICATIONS = "/v3/users/{user_id:str}/application_credentials"
RULES = "/v3/users/{user_id:str}/access_rules"


@route(APPLICATIONS, http_method=READ)
async def list_app_credentials(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> Wire:
    name = request.query_params.get("name")
    found = await application_credentials.list_app_credentials(tx, caller, user_id, name)
    shown = [app_credential_to_wire(each, base_url(request)) for each in found]
    return collection(request, "application_credentials", shown, WHOLE_LIST)


@route(f"{APPLICATIONS}/{{application_credential_id:str}}", http_method=READ)
async def show_app_credential(
    request: AnyRequest, user_id: str, application_credential_id: str, tx: Transaction, caller: Caller
) -> Wire:
    found = await application_credentials.show_app_credential(tx, caller, user_id, application_credential_id)
    return {"application_credential": app_credential_to_wire(found, base_url(request))}


@post(APPLICATIONS, status_code=201)
async def create_app_credential(request: AnyRequest, user_id: str, database: Database, caller: Caller) -> Wire:
    body = await request.body()
    fields = decode_resource(body, "application_credential", AppCredentialBody, "name").fields
    fields["expires_at"] = moment(fields.get("expires_at"))
    wanted = fields.get("roles")
    roles = [(each.id, each.name) for each in wanted] if wanted else None
    rules = [_rule(each) for each in fields.get("access_rules", [])]
    made = await application_credentials.create_app_credential(database, caller, user_id, fields, roles, rules)
    shown = app_credential_to_wire(made.view, base_url(request))
    return {"application_credential": shown | {"secret": made.secret}}


def _rule(given: AccessRuleBody) -> dict[str, str]:
    if given.id is not None:
        return {"id": given.id}
    if given.service is None or given.method is None or given.path is None:
        raise InvalidInputError("An access rule has an id, or a service, a method and a path.", field="access_rules")
    return {"service": given.service, "method": given.method, "path": given.path}


@delete(f"{APPLICATIONS}/{{application_credential_id:str}}", status_code=204)
async def delete_app_credential(user_id: str, application_credential_id: str, tx: Transaction, caller: Caller) -> None:
    await application_credentials.delete_app_credential(tx, caller, user_id, application_credential_id)


@route(RULES, http_method=READ)
async def list_access_rules(request: AnyRequest, user_id: str, tx: Transaction, caller: Caller) -> Wire:
    params = request.query_params
    found = [
        each
        for each in await application_credentials.list_access_rules(tx, caller, user_id)
        if all(params.get(name) in (None, getattr(each, name)) for name in ("service", "method", "path"))
    ]
    shown = [access_rule_to_wire(each, user_id, base_url(request)) for each in found]
    return collection(request, "access_rules", shown, WHOLE_LIST)


@route(f"{RULES}/{{access_rule_id:str}}", http_method=READ)
async def show_access_rule(
    request: AnyRequest, user_id: str, access_rule_id: str, tx: Transaction, caller: Caller
) -> Wire:
    found = await application_credentials.show_access_rule(tx, caller, user_id, access_rule_id)
    return {"access_rule": access_rule_to_wire(found, user_id, base_url(request))}


@delete(f"{RULES}/{{access_rule_id:str}}", status_code=204)
async def delete_access_rule(user_id: str, access_rule_id: str, tx: Transaction, caller: Caller) -> None:
    await application_credentials.delete_access_rule(tx, caller, user_id, access_rule_id)


secret_handlers = [
    list_credentials,
    show_credential,
    create_credential,
    change_credential,
    delete_credential,
    list_ec2,
    show_ec2,
    create_ec2,
    delete_ec2,
    list_app_credentials,
    show_app_credential,
    create_app_credential,
    delete_app_credential,
    list_access_rules,
    show_access_rule,
    delete_access_rule,
]
