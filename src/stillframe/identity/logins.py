"""Checking passwords, and locking out who guesses them.

Failures are counted in the database, one by one as they happen, so every process knows of all of them. After so many
in a row no password is accepted for the user for a while; the answer and the time it takes are the same as for a wrong
password.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from weakref import WeakKeyDictionary

from stillframe.config import Settings
from stillframe.db import Database
from stillframe.errors import UnauthenticatedError
from stillframe.identity.model import DomainRef, PasswordLogin, User
from stillframe.identity.passwords import password_matches
from stillframe.identity.rows import accounts as account_rows
from stillframe.identity.rows.accounts import LoginRow
from stillframe.kit.clock import utcnow

_NO_DOMAIN = DomainRef()

# Nobody's guess is looked at before the failures of those in front of it are on record.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(os.cpu_count() or 1))


async def _nothing_more(_: User) -> bool:
    return True


async def authenticate_password(
    database: Database,
    settings: Settings,
    login: PasswordLogin,
    *,
    expired_too: bool = False,
    holds_too: Callable[[User], Awaitable[bool]] = _nothing_more,
) -> User:
    """`holds_too` is asked about whose password is right; failing it counts like a wrong password.

    Takes equally long, a commit included, for a wrong password, an unknown user and one who is locked out.

    Raises: UnauthenticatedError.
    """
    async with _turn():
        found = await _find(database, login)
        locked = found is None or _is_locked(settings, found)
        matches = await password_matches(None if found is None or locked else found.password_hash, login.password)
        if found is None or not (matches and await holds_too(found.user)):
            await _count_failure(database, settings, None if found is None or locked else found.user)
            raise UnauthenticatedError
    if not await _may_enter(database, settings, found, expired_too=expired_too):
        raise UnauthenticatedError
    return found.user


async def _find(database: Database, login: PasswordLogin) -> LoginRow | None:
    async with database.reading() as tx:
        return await account_rows.find_user(tx, user_id=login.user_id, name=login.user_name, domain=login.domain)


def _is_locked(settings: Settings, row: LoginRow) -> bool:
    limit = settings.login_failures_limit
    if not limit or row.failed_logins < limit or row.user.options.get("ignore_lockout_failure_attempts"):
        return False
    return row.last_failed_at is not None and utcnow() < row.last_failed_at + _duration(settings)


def _duration(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.login_lock_s)


async def _count_failure(database: Database, settings: Settings, user: User | None) -> None:
    """Nobody's failure is not counted, but costs a commit, too: else the time it takes tells which users there are."""
    if not settings.login_failures_limit:
        return
    now = utcnow()
    async with database.writing() as tx:
        if user is None:
            await account_rows.count_nothing(tx)
        else:
            await account_rows.count_failed_login(tx, user.id, now, starts_anew_before=now - _duration(settings))


async def _may_enter(database: Database, settings: Settings, row: LoginRow, *, expired_too: bool) -> bool:
    """The right password is not enough for who is disabled, whose password is over, or who was locked meanwhile."""
    user = row.user
    expired = user.password_expires_at is not None and user.password_expires_at <= utcnow()
    if not user.enabled or (expired and not expired_too):
        return False
    if not settings.login_failures_limit:
        return True
    async with database.reading() as tx:
        now = await account_rows.find_user(tx, user_id=user.id, name=None, domain=_NO_DOMAIN)
    if now is None or _is_locked(settings, now):
        return False
    if now.failed_logins:
        async with database.writing() as tx:
            await account_rows.forget_failed_logins(tx, user.id)
    return True
