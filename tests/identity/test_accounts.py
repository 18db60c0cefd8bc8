"""The first accounts, access keys, and who sees what."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from stillframe.errors import ForbiddenError, InvalidInputError, LimitExceededError, NotFoundError
from stillframe.identity import access_keys, directory, tables
from stillframe.identity import service as identity
from stillframe.identity.model import AccessKeyKind, Project, ProjectFilter, Scope, User, UserFilter
from stillframe.kit.ids import is_hex_id
from tests.identity.home import PASSWORDS, Home


async def test_the_first_start_makes_one_domain_one_project_and_two_users(home: Home) -> None:
    assert {name: account.cloud for name, account in home.accounts.items()} == {
        "demo": "stillframe",
        "admin": "stillframe-admin",
    }
    assert all(is_hex_id(an_id) for an_id in (home.domain.id, home.project.id, home.admin.id, home.demo.id))
    assert (home.domain.name, home.project.name) == ("Default", "eu-de")
    assert (await home.caller(home.demo)).roles == ("member", "reader")
    assert (await home.caller(home.demo, home.domain_scope)).roles == ("member", "reader")


async def test_the_second_start_changes_nothing(home: Home) -> None:
    async with home.database.writing() as tx:
        made = await identity.bootstrap_accounts(
            tx, home.keys, region="eu-nl", admin_password="another", user_password="another"
        )
        assert made == []
        assert await tx.scalar(sa.select(sa.func.count()).select_from(tables.roles)) == 5


async def test_no_secret_is_stored_in_clear(home: Home) -> None:
    secrets = [*PASSWORDS.values(), *(account.secret_key for account in home.accounts.values())]
    async with home.database.reading() as tx:
        stored = [
            str(tuple(row)) for table in (tables.users, tables.access_keys) for row in await tx.all(sa.select(table))
        ]
    assert len(stored) >= 4
    assert not [row for row in stored for secret in secrets if secret in row]


async def test_an_account_does_not_show_its_secrets_when_printed(home: Home) -> None:
    account = home.accounts["demo"]
    assert account.password not in repr(account)
    assert account.secret_key not in repr(account)


@pytest.mark.parametrize("name", ["", "x" * 256, "nul\0", "line\n"])
async def test_an_unusable_name_is_refused(home: Home, name: str) -> None:
    async with home.database.writing() as tx:
        with pytest.raises(InvalidInputError):
            await identity.create_project(tx, home.domain.id, name)


async def test_an_access_key_opens_the_default_project_of_its_user(home: Home) -> None:
    account = home.accounts["demo"]
    assert len(account.access_key) == 20
    assert account.access_key.isalnum()
    assert account.access_key.isupper()
    assert len(account.secret_key) == 40
    async with home.database.reading() as tx:
        found = await identity.lookup_access_key(tx, home.keys, account.access_key)
    assert found == (account.access_key, account.secret_key, home.project.id)


async def test_a_key_that_is_unknown_disabled_or_of_a_disabled_user_opens_nothing(home: Home) -> None:
    async with home.database.writing() as tx:
        assert await identity.lookup_access_key(tx, home.keys, "NOBODY") is None
    user = await home.new_user()
    async with home.database.writing() as tx:
        key = await identity.create_access_key(tx, home.keys, user.id)
        access = key.key.access
        assert await identity.lookup_access_key(tx, home.keys, access) is not None
        await tx.execute(tables.access_keys.update().where(tables.access_keys.c.access == access).values(enabled=False))
        assert await identity.lookup_access_key(tx, home.keys, access) is None
        await tx.execute(tables.access_keys.update().where(tables.access_keys.c.access == access).values(enabled=True))
        await identity.set_user_enabled(tx, user.id, enabled=False)
        assert await identity.lookup_access_key(tx, home.keys, access) is None


async def test_a_user_has_two_keys_at_most_even_when_asking_at_once(home: Home) -> None:
    user = await home.new_user()

    async def ask() -> bool:
        try:
            async with home.database.writing() as tx:
                await identity.create_access_key(tx, home.keys, user.id)
        except LimitExceededError:
            return False
        return True

    assert sorted(await asyncio.gather(*(ask() for _ in range(5)))) == [False, False, False, True, True]


async def test_the_service_s_own_key_is_made_once_and_listed_nowhere(home: Home) -> None:
    project = await home.new_project()
    async with home.database.writing() as tx:
        first = await identity.service_access_key(tx, home.keys, project.id)
    async with home.database.writing() as tx:
        assert await identity.service_access_key(tx, home.keys, project.id) == first
        assert await identity.lookup_access_key(tx, home.keys, first.access) == first
        with pytest.raises(NotFoundError):
            await access_keys.show_key(tx, await home.caller(home.admin), first.access)


async def test_two_jobs_that_need_the_service_s_key_first_get_the_same(home: Home) -> None:
    project = await home.new_project()

    async def ask() -> identity.BucketAccount:
        async with home.database.writing() as tx:
            return await identity.service_access_key(tx, home.keys, project.id)

    assert len(set(await asyncio.gather(*(ask() for _ in range(4))))) == 1


async def test_an_unknown_project_has_no_service_key(home: Home) -> None:
    async with home.database.writing() as tx:
        with pytest.raises(NotFoundError):
            await identity.service_access_key(tx, home.keys, "0" * 32)


async def test_a_temporary_key_ends_with_the_token_it_came_from_at_the_latest(home: Home) -> None:
    caller = await home.caller(home.demo)
    async with home.database.writing() as tx:
        made = await identity.create_temporary_key(tx, home.keys, caller, timedelta(hours=48))
        assert made.expires_at == caller.expires_at
        found = await identity.lookup_access_key(tx, home.keys, made.access)
        assert found == (made.access, made.secret, home.project.id)
        stored = await tx.first(tables.access_keys.select().where(tables.access_keys.c.access == made.access))
    assert stored is not None
    assert stored.kind == AccessKeyKind.TEMPORARY
    assert made.security_token not in str(tuple(stored))


async def test_a_new_password_ends_the_temporary_keys_and_keeps_the_others(home: Home) -> None:
    user = await home.new_user()
    caller = await home.caller(user)
    async with home.database.writing() as tx:
        kept = await identity.create_access_key(tx, home.keys, user.id)
        ended = await identity.create_temporary_key(tx, home.keys, caller, timedelta(hours=1))
        await identity.change_password(tx, user.id, "another")
        assert await identity.lookup_access_key(tx, home.keys, kept.key.access)
        assert await identity.lookup_access_key(tx, home.keys, ended.access) is None


async def test_a_domain_s_administrator_makes_no_key_for_the_platform_s(home: Home) -> None:
    """With such a key the one could act as the other."""
    te_admin = await home.caller(await home.new_user(None, "te_admin"))
    user = await home.new_user()
    async with home.database.writing() as tx:
        await access_keys.create_key_of_user(tx, home.keys, te_admin, user.id, "")
        with pytest.raises(ForbiddenError):
            await access_keys.create_key_of_user(tx, home.keys, te_admin, home.admin.id, "")


async def _projects(home: Home, user: User, **wanted: Any) -> set[str]:
    caller = await home.caller(user)
    async with home.database.reading() as tx:
        return {each.id for each in await directory.list_visible_projects(tx, caller, ProjectFilter(**wanted))}


@pytest.fixture(scope="module")
async def foreign_project(home: Home) -> Project:
    """Nobody but administrators knows of it."""
    return await home.new_project()


async def test_a_user_sees_the_projects_with_a_role_and_an_administrator_all(
    home: Home, foreign_project: Project
) -> None:
    assert await _projects(home, home.demo, enabled=True) == {home.project.id}
    assert {home.project.id, foreign_project.id} <= await _projects(home, home.admin)
    assert {home.project.id, foreign_project.id} <= await _projects(home, await home.new_user(None, "te_admin"))


async def test_filters_of_projects_are_exact(home: Home, foreign_project: Project) -> None:
    assert await _projects(home, home.admin, name="eu-de") == {home.project.id}
    assert await _projects(home, home.admin, name="eu") == set()
    assert await _projects(home, home.admin, name="eu-de\0") == set()
    assert await _projects(home, home.admin, name=foreign_project.name) == {foreign_project.id}
    assert await _projects(home, home.demo, name=foreign_project.name) == set()
    assert await _projects(home, home.admin, domain_id="0" * 32) == set()
    assert await _projects(home, home.admin, enabled=False) == set()


async def test_a_foreign_project_is_forbidden_and_cannot_be_told_from_none(
    home: Home, foreign_project: Project
) -> None:
    caller = await home.caller(home.demo)
    async with home.database.reading() as tx:
        assert await directory.show_project(tx, caller, home.project.id) == home.project
        messages = []
        for project_id in (foreign_project.id, "0" * 32):
            with pytest.raises(ForbiddenError) as refused:
                await directory.show_project(tx, caller, project_id)
            messages.append(refused.value.message)
        assert messages[0] == messages[1]
        with pytest.raises(NotFoundError):
            await directory.show_project(tx, caller, "eu-de")
        with pytest.raises(NotFoundError):
            await directory.show_project(tx, await home.caller(home.admin), "0" * 32)


async def test_a_user_sees_only_themselves(home: Home) -> None:
    caller = await home.caller(home.demo)
    async with home.database.reading() as tx:
        assert await directory.list_visible_users(tx, caller, UserFilter()) == [home.demo]
        assert await directory.list_visible_users(tx, caller, UserFilter(name="admin")) == []
        with pytest.raises(ForbiddenError):
            await directory.show_user(tx, caller, home.admin.id)
        assert await directory.show_user(tx, await home.caller(home.admin), home.demo.id) == home.demo


async def test_locking_a_project_makes_others_wait(home: Home) -> None:
    """What is counted after the lock stays true until the commit."""
    project = await home.new_project()
    order: list[str] = []
    locked = asyncio.Event()

    async def first() -> None:
        async with home.database.writing() as tx:
            await identity.lock_project(tx, project.id)
            locked.set()
            await asyncio.sleep(0.1)
            order.append("first")

    async def second() -> None:
        await locked.wait()
        async with home.database.writing() as tx:
            await identity.lock_project(tx, project.id)
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


async def test_a_role_on_nothing_is_refused(home: Home) -> None:
    async with home.database.writing() as tx:
        with pytest.raises(InvalidInputError):
            await identity.grant_role(tx, home.demo.id, "member", Scope())
        with pytest.raises(NotFoundError):
            await identity.grant_role(tx, home.demo.id, "emperor", home.project_scope)
