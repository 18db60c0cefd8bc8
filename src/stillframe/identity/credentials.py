"""Credentials of any type that users keep here (ec2, totp, cert ...), and EC2 pairs, which open buckets too.

What a credential holds is a secret: it is encrypted with a key that is not in the database, and only its user and an
administrator of the platform get to see it.

Source: OpenStack Identity API v3, "Credentials" and OS-EC2.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from stillframe.identity.access_keys import require_whole_user
from stillframe.identity.directory import show_user
from stillframe.identity.model import Caller, Filter, Json, ListQuery
from stillframe.identity.policy import missing, refusal
from stillframe.identity.projects import find_as_domain
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import credentials
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.ids import is_hex_id, new_hex_id

EC2 = "ec2"


class Kept(Struct, frozen=True, kw_only=True):
    """A credential as it is stored."""

    id: str
    type: str
    user_id: str
    project_id: str | None = None
    blob_encrypted: str
    access_hash: str | None = None
    extra: Json = {}


class Credential(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    user_id: str
    project_id: str | None = None
    blob: str
    extra: Json = {}


class Ec2Pair(Struct, frozen=True, kw_only=True):
    access: str
    secret: str
    user_id: str
    project_id: str


def _opened(keys: TokenKeys, kept: Kept) -> Credential:
    plain = keys.access_keys.decrypt(kept.blob_encrypted)
    if plain is None:
        raise UnauthenticatedError(cause=f"credential {kept.id} cannot be decrypted: wrong key file")
    return Credential(
        id=kept.id,
        type=kept.type,
        user_id=kept.user_id,
        project_id=kept.project_id,
        blob=plain.decode(),
        extra=kept.extra,
    )


def _sealed(keys: TokenKeys, plain: Credential) -> Kept:
    return Kept(
        id=plain.id,
        type=plain.type,
        user_id=plain.user_id,
        project_id=plain.project_id,
        blob_encrypted=keys.access_keys.encrypt(plain.blob.encode()),
        access_hash=hash_access(_ec2_blob(plain.blob)["access"]) if plain.type == EC2 else None,
        extra=plain.extra,
    )


def _own(caller: Caller, user_id: str, action: str) -> None:
    if caller.user_id != user_id and not caller.is_platform_admin:
        raise refusal(action)
    require_whole_user(caller)


async def list_credentials(
    tx: Transaction, keys: TokenKeys, caller: Caller, filters: Sequence[Filter] = ()
) -> list[Credential]:
    """An administrator sees all, others their own."""
    require_whole_user(caller)
    where = [] if caller.is_platform_admin else [credentials.c.user_id == caller.user_id]
    found = await records.find_all(tx, credentials, Kept, *where, query=ListQuery(filters=tuple(filters)))
    return [_opened(keys, each) for each in found]


async def show_credential(
    tx: Transaction, keys: TokenKeys, caller: Caller, an_id: str, action: str = "get_credential"
) -> Credential:
    """Raises: NotFoundError; ForbiddenError."""
    kept = await records.get(tx, credentials, Kept, an_id)
    if kept is None:
        raise missing(caller, "credential", an_id, action, to_all=True)
    _own(caller, kept.user_id, action)
    return _opened(keys, kept)


async def create_credential(
    tx: Transaction, keys: TokenKeys, caller: Caller, fields: Mapping[str, Any], extra: Json
) -> Credential:
    """Raises: ForbiddenError; InvalidInputError; ConflictError when an EC2 credential with the same access exists."""
    user_id = fields.get("user_id") or caller.user_id
    _own(caller, user_id, "create_credential")
    new = Credential(
        id=new_hex_id(),
        type=fields["type"],
        user_id=user_id,
        project_id=fields.get("project_id"),
        blob=fields["blob"],
        extra=extra,
    )
    await _check(tx, new)
    if new.type == EC2:
        new = structs.replace(new, id=hash_access(_ec2_blob(new.blob)["access"]))
    await _insert(tx, keys, new)
    return new


async def _insert(tx: Transaction, keys: TokenKeys, new: Credential) -> None:
    await records.insert(tx, credentials, _sealed(keys, new), taken=_taken(new))


def _taken(wanted: Credential) -> str:
    return f"Conflict occurred when attempting to store credential - Duplicate entry found with id {wanted.id}."


async def _check(tx: Transaction, wanted: Credential) -> None:
    if wanted.type == EC2 and wanted.project_id is None:
        raise InvalidInputError("An ec2 credential requires project_id.", field="project_id")
    if wanted.type == EC2:
        _ec2_blob(wanted.blob)
    if await account_rows.get_user(tx, wanted.user_id) is None:
        raise InvalidInputError(f"Could not find user: {wanted.user_id}.", field="user_id")


def _ec2_blob(blob: str) -> dict[str, Any]:
    try:
        found = json.loads(blob)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("access"), str):
        raise InvalidInputError("Invalid blob in credential.", field="blob")
    return found


def hash_access(access: str) -> str:
    """The id of the EC2 credential with this access key."""
    return hashlib.sha256(access.encode(errors="surrogatepass")).hexdigest()


async def change_credential(
    tx: Transaction, keys: TokenKeys, caller: Caller, an_id: str, fields: Mapping[str, Any], extra: Json
) -> Credential:
    """An EC2 pair may get another access key and secret; its id stays.

    Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the access key is taken.
    """
    before = await show_credential(tx, keys, caller, an_id, "update_credential")
    after = structs.replace(before, **fields, extra=before.extra | extra)
    _own(caller, after.user_id, "update_credential")
    await _check(tx, after)
    values = structs.asdict(_sealed(keys, after))
    del values["id"]
    await records.update(tx, credentials, an_id, taken=_taken(after), **values)
    return after


async def delete_credential(tx: Transaction, keys: TokenKeys, caller: Caller, an_id: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    found = await show_credential(tx, keys, caller, an_id, "delete_credential")
    await records.delete(tx, credentials, found.id)


# --- EC2 -------------------------------------------------------------------------------------------------------------


def _pair(found: Credential) -> Ec2Pair:
    blob = _ec2_blob(found.blob)
    return Ec2Pair(
        access=blob["access"],
        secret=str(blob.get("secret", "")),
        user_id=found.user_id,
        project_id=found.project_id or "",
    )


async def create_ec2(tx: Transaction, keys: TokenKeys, caller: Caller, user_id: str, project_id: str | None) -> Ec2Pair:
    """For the caller's project when none is named. Raises: ForbiddenError; InvalidInputError; NotFoundError."""
    user = await show_user(tx, caller, user_id)
    _own(caller, user.id, "ec2_create_credential")
    asked = project_id or caller.project_id
    if asked is None:
        raise InvalidInputError("tenant_id is needed with a token that is for no project.", field="tenant_id")
    if not is_hex_id(asked) or not (await account_rows.get_project(tx, asked) or await find_as_domain(tx, asked)):
        raise NotFoundError(f"Could not find project: {asked}.")
    blob = {"access": new_hex_id(), "secret": secrets.token_hex(16), "trust_id": None}
    new = Credential(
        id=hash_access(str(blob["access"])), type=EC2, user_id=user.id, project_id=asked, blob=json.dumps(blob)
    )
    await _insert(tx, keys, new)
    return _pair(new)


async def list_ec2(tx: Transaction, keys: TokenKeys, caller: Caller, user_id: str) -> list[Ec2Pair]:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    _own(caller, user.id, "ec2_list_credentials")
    where = credentials.c.user_id == user.id, credentials.c.type == EC2
    return [_pair(_opened(keys, each)) for each in await records.find_all(tx, credentials, Kept, *where)]


async def show_ec2(tx: Transaction, keys: TokenKeys, caller: Caller, user_id: str, access: str) -> Ec2Pair:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    _own(caller, user.id, "ec2_get_credential")
    return _pair(_opened(keys, await _kept_ec2(tx, user.id, access)))


async def _kept_ec2(tx: Transaction, user_id: str, access: str) -> Kept:
    kept = await _find_kept(tx, access)
    if kept is None or kept.user_id != user_id:
        raise NotFoundError(f"Could not find credential: {access}.")
    return kept


async def _find_kept(tx: Transaction, access: str) -> Kept | None:
    found = await records.find_all(tx, credentials, Kept, credentials.c.access_hash == hash_access(access))
    return found[0] if found else None


async def delete_ec2(tx: Transaction, keys: TokenKeys, caller: Caller, user_id: str, access: str) -> None:
    """Raises: NotFoundError; ForbiddenError."""
    await show_ec2(tx, keys, caller, user_id, access)
    await records.delete(tx, credentials, (await _kept_ec2(tx, user_id, access)).id)


async def list_secrets(tx: Transaction, keys: TokenKeys, user_id: str, kind: str) -> list[str]:
    """Of all the user's credentials of a type. Whoever asks."""
    where = credentials.c.user_id == user_id, credentials.c.type == kind
    return [_opened(keys, each).blob for each in await records.find_all(tx, credentials, Kept, *where)]


async def find_ec2(tx: Transaction, keys: TokenKeys, access: str) -> Ec2Pair | None:
    """Whoever asks."""
    kept = await _find_kept(tx, access)
    return _pair(_opened(keys, kept)) if kept is not None else None
