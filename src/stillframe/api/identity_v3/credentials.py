"""Access keys of users, and temporary ones: decode, one service call, encode."""

from datetime import timedelta
from typing import Any

from litestar import Request, Router, delete, get, post, put
from msgspec import Struct

from stillframe.api.identity_v3 import wire
from stillframe.api.identity_v3.errors import iam_exception_handlers
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity import access_keys
from stillframe.identity.model import AccessKey, Caller
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.clock import iso_micros_z

AnyRequest = Request[Any, Any, Any]

DEFAULT_LIFETIME_S = 900
LIFETIMES_S = range(900, 86400 + 1)
_STATES = {"active": True, "inactive": False}


class NewCredential(Struct):
    user_id: str
    description: str | None = None


class NewCredentialBody(Struct):
    credential: NewCredential


class CredentialChange(Struct):
    status: str | None = None
    description: str | None = None


class CredentialChangeBody(Struct):
    credential: CredentialChange


class TokenToTrade(Struct):
    id: str | None = None
    duration_seconds: int | None = None


class TradeIdentity(Struct):
    methods: list[str]
    token: TokenToTrade | None = None


class TradeAuth(Struct):
    identity: TradeIdentity


class TradeBody(Struct):
    auth: TradeAuth


def _to_wire(key: AccessKey, **more: str) -> dict[str, Any]:
    return {
        "access": key.access,
        **more,
        "create_time": iso_micros_z(key.created_at),
        "user_id": key.user_id,
        "description": key.description,
        "status": "active" if key.enabled else "inactive",
    }


@post("/credentials", status_code=201)
async def create_credential(
    request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys
) -> dict[str, Any]:
    wanted = wire.decode_body(await request.body(), NewCredentialBody).credential
    made = await access_keys.create_key_of_user(tx, token_keys, caller, wanted.user_id, wanted.description or "")
    return {"credential": _to_wire(made.key, secret=made.secret)}


@get("/credentials")
async def list_credentials(request: AnyRequest, tx: Transaction, caller: Caller) -> dict[str, Any]:
    user_id = request.query_params.get("user_id") or caller.user_id
    found = await access_keys.list_keys_of_user(tx, caller, user_id)
    return {"credentials": [_to_wire(key) for key in found]}


@get("/credentials/{access:str}")
async def show_credential(access: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    return {"credential": _to_wire(await access_keys.show_key(tx, caller, access))}


@put("/credentials/{access:str}")
async def change_credential(request: AnyRequest, access: str, tx: Transaction, caller: Caller) -> dict[str, Any]:
    change = wire.decode_body(await request.body(), CredentialChangeBody).credential
    if change.status is not None and change.status not in _STATES:
        raise InvalidInputError("Invalid input for field 'status'.", field="status")
    enabled = None if change.status is None else _STATES[change.status]
    key = await access_keys.change_key(tx, caller, access, enabled=enabled, description=change.description)
    return {"credential": _to_wire(key)}


@delete("/credentials/{access:str}", status_code=204)
async def delete_credential(access: str, tx: Transaction, caller: Caller) -> None:
    await access_keys.delete_key(tx, caller, access)


@post("/securitytokens", status_code=201)
async def create_security_token(
    request: AnyRequest, tx: Transaction, caller: Caller, token_keys: TokenKeys
) -> dict[str, Any]:
    lifetime = _lifetime(wire.decode_body(await request.body(), TradeBody).auth.identity)
    made = await access_keys.create_temporary_key(tx, token_keys, caller, lifetime)
    return {
        "credential": {
            "access": made.access,
            "secret": made.secret,
            "securitytoken": made.security_token,
            "expires_at": iso_micros_z(made.expires_at),
        }
    }


def _lifetime(identity: TradeIdentity) -> timedelta:
    """The token traded in is the one that authenticates the request; agencies are not offered."""
    if set(identity.methods) != {"token"}:
        raise InvalidInputError("Expecting the method token in auth.identity.", field="methods")
    seconds = identity.token.duration_seconds if identity.token else None
    if seconds is None:
        seconds = DEFAULT_LIFETIME_S
    if seconds not in LIFETIMES_S:
        raise InvalidInputError("Invalid input for field 'duration_seconds'.", field="duration_seconds")
    return timedelta(seconds=seconds)


credential_router = Router(
    path="/v3.0/OS-CREDENTIAL",
    route_handlers=[
        create_credential,
        list_credentials,
        show_credential,
        change_credential,
        delete_credential,
        create_security_token,
    ],
    exception_handlers=iam_exception_handlers,
)
