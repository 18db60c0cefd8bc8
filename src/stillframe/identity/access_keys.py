"""Access keys: pairs of a public name (AK) and a secret (SK) that sign requests and open buckets.

Secrets have to be known to check a signature, so they are kept, but only encrypted with a key which is not in the
database.
"""

import contextlib
import hashlib
import secrets
import string
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import structs

from stillframe.db import Transaction
from stillframe.errors import (
    ForbiddenError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    UnauthenticatedError,
)
from stillframe.identity.directory import show_user
from stillframe.identity.model import PLATFORM_ADMIN, AccessKey, AccessKeyKind, Caller
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import keys as key_rows
from stillframe.identity.rows.keys import KeyRow
from stillframe.identity.tokens import TokenKeys
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_secret

MAX_KEYS_PER_USER = 2

_ACCESS_LETTERS = string.ascii_uppercase + string.digits
_SECRET_LETTERS = string.ascii_letters + string.digits


class KeyPair(NamedTuple):
    access: str
    secret: str


class NewKey(NamedTuple):
    """A key that was just made: the only time a user gets to see the secret."""

    key: AccessKey
    secret: str


class TemporaryKey(NamedTuple):
    access: str
    secret: str
    security_token: str
    """Has to come with every request as X-Security-Token."""
    expires_at: datetime


class BucketAccount(NamedTuple):
    """What an access key opens at the object store."""

    access: str
    secret: str
    project_id: str


def _new_pair() -> KeyPair:
    access = "".join(secrets.choice(_ACCESS_LETTERS) for _ in range(20))
    return KeyPair(access, "".join(secrets.choice(_SECRET_LETTERS) for _ in range(40)))


def reveal_secret(keys: TokenKeys, row: KeyRow) -> str:
    """Raises: UnauthenticatedError when the key file is not the one the secret was encrypted with."""
    plain = keys.access_keys.decrypt(row.secret_encrypted)
    if plain is None:
        raise UnauthenticatedError(cause=f"the secret of {row.key.access} cannot be decrypted: wrong key file")
    return plain.decode()


async def create_access_key(tx: Transaction, keys: TokenKeys, user_id: str, description: str = "") -> NewKey:
    """Raises: LimitExceededError when the user has two already."""
    await account_rows.lock_user(tx, user_id)
    if len(await key_rows.list_access_keys(tx, user_id, AccessKeyKind.PERMANENT)) >= MAX_KEYS_PER_USER:
        raise LimitExceededError("akSkNumExceed")
    pair = _new_pair()
    key = await _store(tx, keys, pair, AccessKeyKind.PERMANENT, user_id=user_id, description=description)
    return NewKey(key, pair.secret)


async def create_temporary_key(tx: Transaction, keys: TokenKeys, caller: Caller, lifetime: timedelta) -> TemporaryKey:
    """For the caller's project; never outlives the token it was asked with. Raises: ForbiddenError."""
    require_whole_user(caller)
    now = utcnow()
    await key_rows.delete_temporary_keys(tx, before=now)
    pair, security_token = _new_pair(), new_secret(96)
    expires_at = min(now + lifetime, caller.expires_at)
    await _store(
        tx,
        keys,
        pair,
        AccessKeyKind.TEMPORARY,
        user_id=caller.user_id,
        project_id=caller.project_id,
        expires_at=expires_at,
        security_token=security_token,
    )
    return TemporaryKey(*pair, security_token, expires_at)


async def service_access_key(tx: Transaction, keys: TokenKeys, project_id: str) -> BucketAccount:
    """The image service's own key to the project's buckets, made when asked for the first time.

    Raises: NotFoundError when there is no such project.
    """
    await account_rows.lock_project(tx, project_id)
    found = await key_rows.find_service_key(tx, project_id)
    if found is not None:
        return BucketAccount(found.key.access, reveal_secret(keys, found), project_id)
    pair = _new_pair()
    await _store(tx, keys, pair, AccessKeyKind.SERVICE, project_id=project_id)
    return BucketAccount(*pair, project_id)


async def lookup_access_key(tx: Transaction, keys: TokenKeys, access: str) -> BucketAccount | None:
    """None for a key that opens nothing (any more): unknown, disabled, over, or its user or project disabled."""
    found = await key_rows.find_key_and_project(tx, access)
    if found is None:
        return None
    row, project_id, enabled = found
    if project_id is None or not enabled or not is_live(row.key, utcnow()):
        return None
    return BucketAccount(access, reveal_secret(keys, row), project_id)


def is_live(key: AccessKey, now: datetime) -> bool:
    return key.enabled and (key.expires_at is None or now < key.expires_at)


def hash_security_token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _store(
    tx: Transaction,
    keys: TokenKeys,
    pair: KeyPair,
    kind: AccessKeyKind,
    *,
    user_id: str | None = None,
    project_id: str | None = None,
    description: str = "",
    expires_at: datetime | None = None,
    security_token: str | None = None,
) -> AccessKey:
    key = AccessKey(
        access=pair.access,
        kind=kind,
        user_id=user_id,
        project_id=project_id,
        enabled=True,
        description=description,
        created_at=utcnow(),
        expires_at=expires_at,
    )
    encrypted = keys.access_keys.encrypt(pair.secret.encode())
    token_hash = hash_security_token(security_token) if security_token else None
    await key_rows.insert_access_key(tx, KeyRow(key, encrypted, token_hash))
    return key


def require_whole_user(caller: Caller) -> None:
    """A key carries all of a user's roles and does not end, so who acts with some of them, or for a while, cannot get
    one or change one. Raises: ForbiddenError.
    """
    if caller.application_credential_id is not None:
        raise ForbiddenError("An application credential cannot be turned into an access key.")
    if caller.is_restricted:
        raise ForbiddenError("A temporary key or a trust cannot be turned into another credential.")


async def create_key_of_user(
    tx: Transaction, keys: TokenKeys, caller: Caller, user_id: str, description: str
) -> NewKey:
    """Raises: ForbiddenError; NotFoundError; LimitExceededError; InvalidInputError for an unusable description."""
    _check_description(description)
    user = await show_user(tx, caller, user_id)
    await _require_manager_of_keys(tx, caller, user.id)
    return await create_access_key(tx, keys, user.id, description)


async def _require_manager_of_keys(tx: Transaction, caller: Caller, user_id: str) -> None:
    """Whoever gets a user's key can do what the user can: no domain administrator becomes a platform's that way, or
    takes a key from one. Raises: ForbiddenError.
    """
    require_whole_user(caller)
    is_own = user_id == caller.user_id or caller.is_platform_admin
    if not is_own and await grant_rows.has_role(tx, user_id, PLATFORM_ADMIN):
        raise ForbiddenError


async def list_keys_of_user(tx: Transaction, caller: Caller, user_id: str) -> list[AccessKey]:
    user = await show_user(tx, caller, user_id)
    return [row.key for row in await key_rows.list_access_keys(tx, user.id, AccessKeyKind.PERMANENT)]


async def show_key(tx: Transaction, caller: Caller, access: str) -> AccessKey:
    """Raises: NotFoundError also for the keys of users the caller may not see."""
    key = await key_rows.get_access_key(tx, access)
    if key is not None and key.kind is AccessKeyKind.PERMANENT and key.user_id is not None:
        with contextlib.suppress(ForbiddenError):
            await show_user(tx, caller, key.user_id)
            return key
    raise NotFoundError(f"Could not find credential: {access}.")


async def _managed_key(tx: Transaction, caller: Caller, access: str) -> AccessKey:
    key = await show_key(tx, caller, access)
    await _require_manager_of_keys(tx, caller, key.user_id or "")
    return key


async def change_key(
    tx: Transaction, caller: Caller, access: str, *, enabled: bool | None, description: str | None
) -> AccessKey:
    """What is None stays. Raises: NotFoundError; ForbiddenError; InvalidInputError."""
    key = await _managed_key(tx, caller, access)
    changed = structs.replace(
        key,
        enabled=key.enabled if enabled is None else enabled,
        description=key.description if description is None else description,
    )
    _check_description(changed.description)
    await key_rows.update_access_key(tx, access, enabled=changed.enabled, description=changed.description)
    return changed


async def delete_key(tx: Transaction, caller: Caller, access: str) -> None:
    """Requests signed with it are refused from the commit on. Raises: NotFoundError; ForbiddenError."""
    key = await _managed_key(tx, caller, access)
    await key_rows.delete_access_key(tx, key.access)


def _check_description(description: str) -> None:
    if len(description) > 255 or "\0" in description:
        raise InvalidInputError("Invalid input for field 'description'.", field="description")
