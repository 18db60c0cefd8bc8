"""Managing users, and their own passwords.

An administrator of the platform manages everybody, a domain's the users of the domain except those who administer the
platform: nobody becomes more by resetting a password.

Source: OpenStack Identity API v3, "Users".
"""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from stillframe.config import Settings
from stillframe.db import Database, Transaction
from stillframe.errors import ForbiddenError, InvalidInputError, NotFoundError, UnauthenticatedError
from stillframe.identity import effective, logins
from stillframe.identity.directory import require_same_domain, show_user
from stillframe.identity.model import (
    PLATFORM_ADMIN,
    WHOLE_LIST,
    Caller,
    Domain,
    DomainRef,
    Group,
    Json,
    ListQuery,
    PasswordLogin,
    User,
)
from stillframe.identity.passwords import check_password_rules, hash_password, password_expiry
from stillframe.identity.policy import refusal, require_domain_admin
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows import grants as grant_rows
from stillframe.identity.rows import keys as key_rows
from stillframe.identity.rows import records
from stillframe.identity.tables import users
from stillframe.kit.ids import new_hex_id

USER_OPTIONS: dict[str, type] = {
    "ignore_change_password_upon_first_use": bool,
    "ignore_password_expiry": bool,
    "ignore_lockout_failure_attempts": bool,
    "ignore_user_inactivity": bool,
    "lock_password": bool,
    "multi_factor_auth_enabled": bool,
    "multi_factor_auth_rules": list,
}


async def domain_for_new(tx: Transaction, caller: Caller, domain_id: str | None, action: str) -> Domain:
    """The domain something shall be made in: the caller's when none is named.

    Raises: ForbiddenError; NotFoundError.
    """
    asked = domain_id or caller.at_domain_id or (caller.domain_id if caller.is_platform_admin else "")
    domain = await account_rows.find_domain(tx, DomainRef(id=asked))
    require_domain_admin(caller, domain.id if domain else None, action)
    if domain is None:
        raise NotFoundError(f"Could not find domain: {asked}.")
    return domain


async def create_user(
    database: Database, settings: Settings, caller: Caller, fields: Mapping[str, Any], extra: Json
) -> User:
    """Takes the database: no transaction is held while the password is hashed.

    Raises: ForbiddenError; NotFoundError for an unknown domain; InvalidInputError; ConflictError when the name is
    taken.
    """
    async with database.reading() as tx:
        domain = await domain_for_new(tx, caller, fields.get("domain_id"), "create_user")
        await _check_default_project(tx, fields.get("default_project_id"))
    password = fields.get("password")
    password_hash = await _hashed(settings, password) if password is not None else ""
    options = merged_options({}, fields.get("options"), USER_OPTIONS)
    user = User(
        id=new_hex_id(),
        name=fields["name"].strip(),
        domain_id=domain.id,
        enabled=fields.get("enabled", True),
        default_project_id=fields.get("default_project_id") or None,
        password_expires_at=password_expiry(settings, options) if password is not None else None,
        options=options,
        extra=_with_description(extra, fields),
    )
    async with database.writing() as tx:
        await account_rows.insert_user(tx, user, password_hash)
    return user


async def _hashed(settings: Settings, password: str) -> str:
    check_password_rules(settings, password)
    return await hash_password(password)


def _with_description(extra: Json, fields: Mapping[str, Any]) -> Json:
    return extra | {name: fields[name] for name in ("description", "federated") if name in fields}


async def _check_default_project(tx: Transaction, project_id: str | None) -> None:
    if project_id and await account_rows.find_domain(tx, DomainRef(id=project_id)):
        raise InvalidInputError(
            f"User's default project ID cannot be a domain ID: {project_id}.", field="default_project_id"
        )


def merged_options(old: Json, new: Any, known: Mapping[str, type]) -> Json:
    """None takes an option away. Raises: InvalidInputError for one that is not known or of the wrong kind."""
    result = dict(old)
    for name, value in (new or {}).items():
        if name not in known:
            raise InvalidInputError(f"There is no option named {name}.", field="options")
        if value is None:
            result.pop(name, None)
        elif not isinstance(value, known[name]):
            raise InvalidInputError(f"Invalid input for option {name}.", field="options")
        else:
            result[name] = value
    return result


async def managed_user(tx: Transaction, caller: Caller, user_id: str, action: str) -> User:
    """A user the caller may change. Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    require_domain_admin(caller, user.domain_id, action)
    if not caller.is_platform_admin and await grant_rows.has_role(tx, user.id, PLATFORM_ADMIN):
        raise refusal(action)
    return user


async def change_user(
    database: Database, settings: Settings, caller: Caller, user_id: str, fields: Mapping[str, Any], extra: Json
) -> User:
    """What is not named stays. A new password, or disabling, ends every token of the user.

    Raises: NotFoundError; ForbiddenError; InvalidInputError; ConflictError when the name is taken.
    """
    async with database.reading() as tx:
        await managed_user(tx, caller, user_id, "update_user")
        await _check_default_project(tx, fields.get("default_project_id"))
    password = fields.get("password")
    password_hash = await _hashed(settings, password) if password is not None else None
    async with database.writing() as tx:
        await account_rows.lock_user(tx, user_id)
        before = await managed_user(tx, caller, user_id, "update_user")
        await require_same_domain(tx, fields, before.domain_id)
        after = _changed(before, fields, extra)
        values = structs.asdict(after)
        for name in ("id", "domain_id", "epoch"):
            del values[name]
        if password_hash is not None:
            values |= {"password_hash": password_hash, "failed_logins": 0, "last_failed_at": None}
            values["password_expires_at"] = password_expiry(settings, after.options)
        ends = password_hash is not None or (before.enabled and not after.enabled)
        await account_rows.update_user(tx, user_id, new_epoch=ends, **values)
        if ends:
            await key_rows.delete_temporary_keys(tx, user_id=user_id)
        if not after.enabled:
            _not_oneself(caller, user_id)
            await effective.require_an_admin_left(tx)
        return await show_user(tx, caller, user_id)


def _changed(before: User, fields: Mapping[str, Any], extra: Json) -> User:
    default_project_id = fields.get("default_project_id", before.default_project_id)
    return structs.replace(
        before,
        name=fields.get("name", before.name).strip(),
        enabled=fields.get("enabled", before.enabled),
        default_project_id=default_project_id or None,
        options=merged_options(before.options, fields.get("options"), USER_OPTIONS),
        extra=before.extra | _with_description(extra, fields),
    )


def _not_oneself(caller: Caller, user_id: str) -> None:
    if caller.user_id == user_id:
        raise ForbiddenError("You cannot disable or delete yourself.")


async def delete_user(tx: Transaction, caller: Caller, user_id: str) -> None:
    """With all the credentials, grants and memberships. Raises: NotFoundError; ForbiddenError."""
    user = await managed_user(tx, caller, user_id, "delete_user")
    _not_oneself(caller, user_id)
    await grant_rows.lock_grants(tx)
    await records.delete(tx, users, user.id)
    await effective.require_an_admin_left(tx)


async def change_own_password(
    database: Database, settings: Settings, user_id: str, original: str, password: str
) -> None:
    """By who knows the present one, token or not. Every token of the user ends.

    Raises: UnauthenticatedError; ForbiddenError; InvalidInputError when the new one breaks a rule.
    """
    login = PasswordLogin(user_id=user_id, user_name=None, domain=DomainRef(), password=original)
    user = await logins.authenticate_password(database, settings, login, expired_too=True)
    if user.options.get("lock_password"):
        raise ForbiddenError("The password of this user is changed by an administrator only.")
    if original == password:
        raise InvalidInputError("The new password must differ from the present one.", field="password")
    password_hash = await _hashed(settings, password)
    async with database.writing() as tx:
        await account_rows.lock_user(tx, user.id)
        current = await account_rows.get_user(tx, user.id)
        if current is None or current.epoch != user.epoch:
            raise UnauthenticatedError
        expires_at = password_expiry(settings, user.options)
        await account_rows.update_user(
            tx, user.id, new_epoch=True, password_hash=password_hash, password_expires_at=expires_at
        )
        await key_rows.delete_temporary_keys(tx, user_id=user.id)


async def list_groups_of_user(
    tx: Transaction, caller: Caller, user_id: str, query: ListQuery = WHOLE_LIST
) -> list[Group]:
    """Raises: NotFoundError; ForbiddenError."""
    user = await show_user(tx, caller, user_id)
    return await account_rows.list_groups_of_user(tx, user.id, query)
