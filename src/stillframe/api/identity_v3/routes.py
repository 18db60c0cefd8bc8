"""Tokens and version documents: decode, one service call, encode."""

from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, Router, delete, get, post, route

from stillframe.api.identity_v3 import wire
from stillframe.api.identity_v3.catalog import encoded_catalog
from stillframe.api.identity_v3.credentials import credential_router
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.not_offered import not_offered
from stillframe.api.identity_v3.resources import resource_handlers
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, InvalidInputError
from stillframe.identity import service as identity
from stillframe.identity.model import Caller, Token
from stillframe.identity.tokens import TokenKeys

AnyRequest = Request[Any, Any, Any]

MAX_BODY_BYTES = 112 * 1024
"""As in Keystone; requests without credentials get as far as having their body read."""

READ = [HttpMethod.GET, HttpMethod.HEAD]


def _version(request: AnyRequest) -> dict[str, Any]:
    return {
        "id": "v3.6",
        "status": "stable",
        "updated": "2016-04-04T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url(request)}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


@route("/", http_method=READ, status_code=300)
async def list_versions(request: AnyRequest) -> dict[str, Any]:
    return {"versions": {"values": [_version(request)]}}


@route("/v3", http_method=READ)
async def show_version(request: AnyRequest) -> dict[str, Any]:
    return {"version": _version(request)}


@post("/v3/auth/tokens", status_code=201)
async def create_token(
    request: AnyRequest, database: Database, token_keys: TokenKeys, settings: Settings
) -> Response[wire.TokenDocument]:
    body = wire.decode_body(await request.body(), wire.LoginBody)
    issued = await identity.log_in(database, token_keys, wire.login_of(body), wire.scope_of(body))
    return _token_response(request, settings, issued.token, issued.text)


@route("/v3/auth/tokens", http_method=READ)
async def show_token(
    request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys, settings: Settings
) -> Response[wire.TokenDocument]:
    text = _subject(request)
    token = await identity.inspect_token(tx, token_keys, caller, text)
    return _token_response(request, settings, token, text)


@delete("/v3/auth/tokens", status_code=204)
async def delete_token(request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys) -> None:
    await identity.revoke_token(tx, token_keys, caller, _subject(request))


def _subject(request: AnyRequest) -> str:
    text = request.headers.get("x-subject-token", "").strip()
    if not text:
        raise InvalidInputError("X-Subject-Token is invalid in the request.", field="X-Subject-Token")
    return text


def _token_response(request: AnyRequest, settings: Settings, token: Token, text: str) -> Response[wire.TokenDocument]:
    wants_catalog = "nocatalog" not in request.query_params and token.standing.domain is not None
    catalog = _catalog_of(settings, token.caller) if wants_catalog else None
    status = 201 if request.method == "POST" else 200
    document = wire.token_document(token, catalog)
    return Response(document, status_code=status, headers={"X-Subject-Token": text, "Vary": "X-Auth-Token"})


@get("/v3/auth/catalog")
async def show_catalog(request: AnyRequest, caller: Caller, settings: Settings) -> dict[str, Any]:
    if caller.project_id is None and caller.scope_domain_id is None:
        raise ForbiddenError
    links = {"self": f"{base_url(request)}/v3/auth/catalog", "next": None, "previous": None}
    return {"catalog": _catalog_of(settings, caller), "links": links}


def _catalog_of(settings: Settings, caller: Caller) -> msgspec.Raw:
    return encoded_catalog(settings, caller.project_id)


handlers = [
    Router(
        path="/",
        route_handlers=[
            list_versions,
            show_version,
            create_token,
            show_token,
            delete_token,
            show_catalog,
            *resource_handlers,
            credential_router,
            *not_offered,
        ],
        request_max_body_size=MAX_BODY_BYTES,
    )
]
