"""Tokens and version documents: decode, one service call, encode."""

from functools import lru_cache
from typing import Any

from litestar import HttpMethod, Request, Response, Router, delete, post, route

from stillframe.api.identity_v3 import wire
from stillframe.api.identity_v3.assignments import assignment_handlers
from stillframe.api.identity_v3.catalog import catalog_handlers
from stillframe.api.identity_v3.credentials import credential_router
from stillframe.api.identity_v3.errors import base_url
from stillframe.api.identity_v3.limits import limit_handlers
from stillframe.api.identity_v3.projects import project_handlers
from stillframe.api.identity_v3.roles import role_handlers
from stillframe.api.identity_v3.secrets import secret_handlers
from stillframe.api.identity_v3.trusts import trust_handlers
from stillframe.api.identity_v3.users import user_handlers
from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, InvalidInputError
from stillframe.identity import service as identity
from stillframe.identity.catalog import Catalogs, current_revision
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
    issued = await identity.log_in(database, token_keys, settings, wire.login_of(body), wire.scope_of(body))
    async with database.reading() as tx:
        return await _token_response(request, tx, settings, issued.token, issued.text)


@route("/v3/auth/tokens", http_method=READ)
async def show_token(
    request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys, settings: Settings
) -> Response[wire.TokenDocument]:
    text = _subject(request)
    token = await identity.inspect_token(tx, token_keys, caller, text)
    request.scope["state"]["good_until"] = token.claims.expires_at
    return await _token_response(request, tx, settings, token, text)


@delete("/v3/auth/tokens", status_code=204)
async def delete_token(request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys) -> None:
    await identity.revoke_token(tx, token_keys, caller, _subject(request))


def _subject(request: AnyRequest) -> str:
    text = request.headers.get("x-subject-token", "").strip()
    if not text:
        raise InvalidInputError("X-Subject-Token is invalid in the request.", field="X-Subject-Token")
    return text


async def _token_response(
    request: AnyRequest, tx: Transaction, settings: Settings, token: Token, text: str
) -> Response[wire.TokenDocument]:
    wants_catalog = "nocatalog" not in request.query_params and not token.claims.scope.is_unscoped
    revision = token.standing.catalog_revision
    catalog = await catalogs_of(settings).encoded(tx, revision, token.caller) if wants_catalog else None
    status = 201 if request.method == "POST" else 200
    document = wire.token_document(token, catalog)
    return Response(document, status_code=status, headers={"X-Subject-Token": text, "Vary": "X-Auth-Token"})


@route("/v3/auth/catalog", http_method=READ)
async def show_catalog(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> dict[str, Any]:
    if caller.project_id is None and caller.scope_domain_id is None and not caller.is_system:
        raise ForbiddenError
    links = {"self": f"{base_url(request)}/v3/auth/catalog", "next": None, "previous": None}
    catalog = await catalogs_of(settings).encoded(tx, await current_revision(tx), caller)
    return {"catalog": catalog, "links": links}


@lru_cache(maxsize=8)
def catalogs_of(settings: Settings) -> Catalogs:
    return Catalogs(settings)


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
            *user_handlers,
            *project_handlers,
            *role_handlers,
            *assignment_handlers,
            *catalog_handlers,
            *limit_handlers,
            *secret_handlers,
            *trust_handlers,
            credential_router,
        ],
        request_max_body_size=MAX_BODY_BYTES,
    )
]
