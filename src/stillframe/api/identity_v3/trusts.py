"""Trusts: decode, one service call, encode."""

from typing import Any

from litestar import HttpMethod, Request, delete, post, route

from stillframe.api.identity_v3.bodies import TrustBody, decode_resource, moment
from stillframe.api.identity_v3.entities import Wire, role_to_wire, trust_to_wire
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.queries import collection
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import trusts
from stillframe.identity.model import WHOLE_LIST, Caller

AnyRequest = Request[Any, Any, Any]
READ = [HttpMethod.GET, HttpMethod.HEAD]
TRUSTS = "/v3/OS-TRUST/trusts"


@route(TRUSTS, http_method=READ)
async def list_trusts(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    params = request.query_params
    found = await trusts.list_trusts(
        tx, caller, trustor_user_id=params.get("trustor_user_id"), trustee_user_id=params.get("trustee_user_id")
    )
    return collection(request, "trusts", [trust_to_wire(each, base_url(request)) for each in found], WHOLE_LIST)


@post(TRUSTS, status_code=201)
async def create_trust(request: AnyRequest, tx: Transaction, caller: Caller) -> Wire:
    required = ("trustor_user_id", "trustee_user_id", "impersonation")
    fields = decode_resource(await request.body(), "trust", TrustBody, *required, extras=False).fields
    if not fields.get("project_id"):
        raise InvalidInputError("'project_id' is a required property.", field="project_id")
    fields["expires_at"] = moment(fields.get("expires_at"))
    wanted = [(each.id, each.name) for each in fields.get("roles", [])]
    made = await trusts.create_trust(tx, caller, fields, wanted)
    return {"trust": trust_to_wire(made.trust, base_url(request), made.roles)}


@route(f"{TRUSTS}/{{trust_id:str}}", http_method=READ)
async def show_trust(request: AnyRequest, trust_id: str, tx: Transaction, caller: Caller) -> Wire:
    found = await trusts.show_trust(tx, caller, trust_id)
    return {"trust": trust_to_wire(found.trust, base_url(request), found.roles)}


@delete(f"{TRUSTS}/{{trust_id:str}}", status_code=204)
async def delete_trust(trust_id: str, tx: Transaction, caller: Caller) -> None:
    await trusts.delete_trust(tx, caller, trust_id)


@route(f"{TRUSTS}/{{trust_id:str}}/roles", http_method=READ)
async def list_roles_of_trust(request: AnyRequest, trust_id: str, tx: Transaction, caller: Caller) -> Wire:
    found = await trusts.show_trust(tx, caller, trust_id)
    return collection(request, "roles", [role_to_wire(each, base_url(request)) for each in found.roles], WHOLE_LIST)


@route(f"{TRUSTS}/{{trust_id:str}}/roles/{{role_id:str}}", http_method=READ)
async def show_role_of_trust(request: AnyRequest, trust_id: str, role_id: str, tx: Transaction, caller: Caller) -> Wire:
    found = await trusts.show_role_of_trust(tx, caller, trust_id, role_id)
    return {"role": role_to_wire(found, base_url(request))}


trust_handlers = [list_trusts, create_trust, show_trust, delete_trust, list_roles_of_trust, show_role_of_trust]
