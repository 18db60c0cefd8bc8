"""Who guesses passwords is locked out: exactly, in every process, and without being told."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from msgspec import structs

from stillframe.config import Settings
from stillframe.db import Database, open_database
from stillframe.errors import InvalidInputError, UnauthenticatedError
from stillframe.identity import service as identity
from stillframe.identity import tables, users
from stillframe.identity.model import DomainRef, PasswordLogin, User
from stillframe.kit.clock import utcnow
from tests.identity.home import Home


async def enters(home: Home, user: User, password: str, settings: Settings | None = None) -> bool:
    return await enters_by(home.database, settings or strict(home), user, password)


def strict(home: Home) -> Settings:
    """Checking a password is slow on purpose, so two wrong ones do here."""
    return structs.replace(home.settings, login_failures_limit=2)


async def enters_by(database: Database, settings: Settings, user: User, password: str) -> bool:
    login = PasswordLogin(user_id=user.id, user_name=None, domain=DomainRef(), password=password)
    try:
        await identity.authenticate_password(database, settings, login)
    except UnauthenticatedError:
        return False
    return True


async def _set(home: Home, user: User, **values: object) -> None:
    async with home.database.writing() as tx:
        await tx.execute(tables.users.update().where(tables.users.c.id == user.id).values(**values))


async def test_after_so_many_wrong_passwords_in_a_row_the_right_one_does_not_help(home: Home) -> None:
    user = await home.new_user()
    assert not await enters(home, user, "wrong")
    assert await enters(home, user, "secret")
    for _ in range(2):
        assert not await enters(home, user, "wrong")
    assert not await enters(home, user, "secret")
    other = open_database(home.settings.db_url) if home.database.is_sqlite else home.database
    assert not await enters_by(other, strict(home), user, "secret")
    if other is not home.database:
        await other.close()


async def test_the_lock_ends_by_itself_and_guessing_on_does_not_prolong_it(home: Home) -> None:
    user = await home.new_user()
    for _ in range(2):
        await enters(home, user, "wrong")
    almost = utcnow() - timedelta(seconds=home.settings.login_lock_s) + timedelta(seconds=60)
    await _set(home, user, last_failed_at=almost)
    assert not await enters(home, user, "wrong")
    await _set(home, user, last_failed_at=almost - timedelta(seconds=61))
    assert not await enters(home, user, "wrong")
    assert await enters(home, user, "secret")


async def test_many_guesses_at_once_are_counted_one_by_one(home: Home) -> None:
    user = await home.new_user()
    guesses = [enters(home, user, "wrong") for _ in range(4)]
    assert not any(await asyncio.gather(*guesses))
    assert not await enters(home, user, "secret")
    async with home.database.reading() as tx:
        row = await tx.first(tables.users.select().where(tables.users.c.id == user.id))
    assert row is not None
    assert row.failed_logins >= 2


async def test_a_refusal_costs_the_same_whoever_it_is_about(home: Home) -> None:
    """A commit takes some milliseconds: without one for unknown users the clock would tell who exists."""
    known, locked = await home.new_user(), await home.new_user()
    for _ in range(2):
        await enters(home, locked, "wrong")
    unknown = structs.replace(known, id="0" * 32)
    commits, changed = [], []
    engine = home.database.engine.sync_engine
    with (
        listening(engine, "commit", lambda _: commits.append(1)),
        listening(engine, "before_cursor_execute", lambda *event: changed.append(event[2].split()[:2])),
    ):
        for user in (known, locked, unknown):
            del commits[:], changed[:]
            assert not await enters(home, user, "wrong")
            assert (len(commits), changed.count(["UPDATE", "users"])) == (1, 1)


@contextmanager
def listening(engine: sa.Engine, event: str, listener: Callable[..., object]) -> Iterator[None]:
    sa.event.listen(engine, event, listener)
    yield
    sa.event.remove(engine, event, listener)


async def test_a_new_password_of_an_administrator_s_lifts_the_lock(home: Home) -> None:
    user = await home.new_user()
    for _ in range(2):
        await enters(home, user, "wrong")
    await users.change_user(
        home.database, home.settings, await home.caller(home.admin), user.id, {"password": "new"}, {}
    )
    assert await enters(home, user, "new")


async def test_the_operator_may_lock_nobody_and_an_administrator_exempt_a_user(home: Home) -> None:
    user = await home.new_user()
    await _set(home, user, failed_logins=100, last_failed_at=utcnow())
    assert await enters(home, user, "secret", structs.replace(home.settings, login_failures_limit=0))
    assert not await enters(home, user, "secret")
    await _set(home, user, options={"ignore_lockout_failure_attempts": True})
    assert await enters(home, user, "secret")


async def test_passwords_follow_the_rule_and_are_over_in_time(home: Home) -> None:
    rules = structs.replace(
        home.settings, password_pattern=r"\d", password_pattern_hint="one digit", password_lifetime_days=1
    )
    user, admin = await home.new_user(), await home.caller(home.admin)
    with pytest.raises(InvalidInputError, match="one digit"):
        await users.change_own_password(home.database, rules, user.id, "secret", "letters")
    with pytest.raises(InvalidInputError, match="one digit"):
        await users.create_user(home.database, rules, admin, {"name": "n", "password": "letters"}, {})
    await users.change_own_password(home.database, rules, user.id, "secret", "secret1")
    assert await enters(home, user, "secret1")
    await _set(home, user, password_expires_at=utcnow())
    assert not await enters(home, user, "secret1")
    await users.change_own_password(home.database, rules, user.id, "secret1", "secret2")
    assert await enters(home, user, "secret2")
