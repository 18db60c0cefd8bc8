"""What makes a token hold, and everything that ends it: at once, and for every process that shares the database."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest

from stillframe.blobs.layout import DataLayout
from stillframe.db import open_database
from stillframe.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from stillframe.identity import service as identity
from stillframe.identity import tables
from stillframe.identity.model import (
    SYSTEM_SCOPE,
    UNSCOPED,
    DomainRef,
    PasswordLogin,
    ProjectRef,
    Scope,
    SystemRef,
    TokenLogin,
    UnscopedRef,
    User,
)
from stillframe.identity.tokens import TokenKeys, decode_token, encode_token
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id
from tests.identity.home import PASSWORDS, Home


async def validate(home: Home, text: str) -> str:
    async with home.database.reading() as tx:
        return (await identity.validate_token(tx, home.keys, text)).user_id


def login(name: str, password: str) -> PasswordLogin:
    return PasswordLogin(user_id=None, user_name=name, domain=DomainRef(name="Default"), password=password)


async def test_a_token_says_who_for_which_project_and_with_which_roles(home: Home) -> None:
    issued = await home.token(home.admin)
    async with home.database.reading() as tx:
        caller = await identity.validate_token(tx, home.keys, issued.text)
    assert (caller.user_id, caller.user_name, caller.domain_id) == (home.admin.id, "admin", home.domain.id)
    assert (caller.project_id, caller.project_name) == (home.project.id, "eu-de")
    assert caller.roles == ("admin", "member", "reader", "te_admin")
    assert caller.is_admin
    assert not caller.is_reader_only


async def test_a_token_is_short_and_opaque(home: Home) -> None:
    text = (await home.token(home.demo)).text
    assert len(text) < 300
    assert home.demo.id not in text


async def test_a_token_lasts_24_hours_to_the_second(home: Home) -> None:
    claims = (await home.token(home.demo)).token.claims
    assert claims.expires_at - claims.issued_at == timedelta(hours=24)
    text = encode_token(home.keys, claims)
    assert decode_token(home.keys, text, claims.expires_at - timedelta(microseconds=1)) == claims
    with pytest.raises(UnauthenticatedError):
        decode_token(home.keys, text, claims.expires_at)


async def test_a_token_that_is_over_is_refused(home: Home) -> None:
    claims = (await home.token(home.demo)).token.claims
    over = msgspec.structs.replace(claims, expires_at=utcnow() - timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError):
        await validate(home, encode_token(home.keys, over))


async def test_a_text_with_one_letter_changed_is_refused(home: Home) -> None:
    text = (await home.token(home.demo)).text
    changed = text[:-10] + ("A" if text[-10] != "A" else "B") + text[-9:]
    with pytest.raises(UnauthenticatedError):
        await validate(home, changed)


@pytest.mark.parametrize("text", ["", "x", "gAAAAA", "a" * 5000, "ümlaut", "\0", "=" * 100])
async def test_a_text_that_is_no_token_is_refused(home: Home, text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await validate(home, text)


async def test_a_token_of_other_keys_is_refused(home: Home, tmp_path_factory: pytest.TempPathFactory) -> None:
    layout = DataLayout(tmp_path_factory.mktemp("other"))
    layout.create()
    claims = (await home.token(home.demo)).token.claims
    with pytest.raises(UnauthenticatedError):
        await validate(home, encode_token(TokenKeys.open(layout), claims))


async def _revoke(home: Home, user: User, text: str) -> None:
    caller = await home.caller(user)
    async with home.database.writing() as tx:
        await identity.revoke_token(tx, home.keys, caller, text)


async def _disable_user(home: Home, user: User, _: str) -> None:
    async with home.database.writing() as tx:
        await identity.set_user_enabled(tx, user.id, enabled=False)


async def _disable_user_for_a_moment(home: Home, user: User, _: str) -> None:
    async with home.database.writing() as tx:
        await identity.set_user_enabled(tx, user.id, enabled=False)
        await identity.set_user_enabled(tx, user.id, enabled=True)


async def _change_password(home: Home, user: User, _: str) -> None:
    async with home.database.writing() as tx:
        await identity.change_password(tx, user.id, "another")


async def _withdraw_role(home: Home, user: User, _: str) -> None:
    async with home.database.writing() as tx:
        await identity.withdraw_role(tx, user.id, "member", home.project_scope)


async def _delete_user(home: Home, user: User, _: str) -> None:
    async with home.database.writing() as tx:
        await tx.execute(tables.users.delete().where(tables.users.c.id == user.id))


@pytest.mark.parametrize(
    "end", [_revoke, _disable_user, _disable_user_for_a_moment, _change_password, _withdraw_role, _delete_user]
)
async def test_a_token_ends_at_once_in_every_process(
    home: Home, end: Callable[[Home, User, str], Awaitable[None]]
) -> None:
    """The other process has connections and keys of its own, and has seen the token hold before."""
    user = await home.new_user()
    text = (await home.token(user)).text
    schema = home.database.engine.url
    other = open_database(schema.render_as_string(hide_password=False))
    other_keys = TokenKeys.open(DataLayout(home.settings.data_dir))
    try:
        async with other.reading() as tx:
            assert (await identity.validate_token(tx, other_keys, text)).user_id == user.id
        await end(home, user, text)
        async with other.reading() as tx:
            with pytest.raises(UnauthenticatedError):
                await identity.validate_token(tx, other_keys, text)
    finally:
        await other.close()


async def test_a_token_for_a_disabled_project_is_refused_while_it_is_disabled(home: Home) -> None:
    project = await home.new_project()
    scope = Scope(project_id=project.id)
    async with home.database.writing() as tx:
        await identity.grant_role(tx, home.demo.id, "member", scope)
    text = (await home.token(home.demo, scope)).text
    async with home.database.writing() as tx:
        await identity.set_project_enabled(tx, project.id, enabled=False)
    with pytest.raises(UnauthenticatedError):
        await validate(home, text)
    async with home.database.writing() as tx:
        await identity.set_project_enabled(tx, project.id, enabled=True)
    assert await validate(home, text) == home.demo.id


async def test_a_role_given_later_shows_in_a_token_that_is_out_already(home: Home) -> None:
    user = await home.new_user(None, "readonly")
    text = (await home.token(user)).text
    async with home.database.writing() as tx:
        await identity.grant_role(tx, user.id, "member", home.project_scope)
    async with home.database.reading() as tx:
        caller = await identity.validate_token(tx, home.keys, text)
    assert caller.roles == ("member", "reader", "readonly")


async def test_a_token_asked_for_with_a_token_ends_when_that_one_ends(home: Home) -> None:
    first = await home.token(home.demo)
    second = await identity.log_in(
        home.database, home.keys, home.settings, TokenLogin(token=first.text), DomainRef(id=home.domain.id)
    )
    assert second.token.claims.expires_at == first.token.claims.expires_at
    assert second.token.claims.methods == ("password", "token")
    assert second.token.caller.scope_domain_id == home.domain.id


async def test_a_token_cannot_be_got_with_a_revoked_one(home: Home) -> None:
    user = await home.new_user()
    text = (await home.token(user)).text
    await _revoke(home, user, text)
    with pytest.raises(UnauthenticatedError):
        await identity.log_in(home.database, home.keys, home.settings, TokenLogin(token=text), None)


async def test_revoking_one_token_leaves_the_others_of_the_user(home: Home) -> None:
    revoked, kept = await home.token(home.demo), await home.token(home.demo)
    await _revoke(home, home.demo, revoked.text)
    assert await validate(home, kept.text) == home.demo.id


async def test_a_revocation_is_forgotten_once_the_token_would_be_over_anyway(home: Home) -> None:
    old = new_hex_id()
    async with home.database.writing() as tx:
        await tx.execute(
            tables.revoked_tokens.insert().values(token_id=old, expires_at=utcnow() - timedelta(seconds=1))
        )
    await _revoke(home, home.demo, (await home.token(home.demo)).text)
    async with home.database.reading() as tx:
        left = {row.token_id for row in await tx.all(tables.revoked_tokens.select())}
    assert left
    assert old not in left


async def test_users_ask_about_their_own_tokens_and_administrators_about_all(home: Home) -> None:
    text = (await home.token(home.demo)).text
    stranger = await home.caller(await home.new_user())
    async with home.database.reading() as tx:
        for user in (home.demo, home.admin):
            await identity.inspect_token(tx, home.keys, await home.caller(user), text)
        with pytest.raises(ForbiddenError):
            await identity.inspect_token(tx, home.keys, stranger, text)
        with pytest.raises(NotFoundError):
            await identity.inspect_token(tx, home.keys, stranger, "unknown")


async def test_the_scope_asked_for_is_the_scope_of_the_token(home: Home) -> None:
    scopes = {
        ProjectRef(id=home.project.id): home.project_scope,
        ProjectRef(name="eu-de"): home.project_scope,
        ProjectRef(name="eu-de", domain=DomainRef(name="Default")): home.project_scope,
        DomainRef(name="Default"): home.domain_scope,
        SystemRef(): SYSTEM_SCOPE,
        UnscopedRef(): UNSCOPED,
        None: home.domain_scope,
    }
    token = TokenLogin(token=(await home.token(home.admin)).text)
    for ref, expected in scopes.items():
        issued = await identity.log_in(home.database, home.keys, home.settings, token, ref)
        assert issued.token.claims.scope == expected, ref


async def test_a_user_without_a_role_on_the_domain_gets_the_default_project_when_no_scope_is_asked_for(
    home: Home,
) -> None:
    user = await home.new_user()
    token = TokenLogin(token=(await home.token(user)).text)
    issued = await identity.log_in(home.database, home.keys, home.settings, token, None)
    assert issued.token.claims.scope == home.project_scope
    unscoped = (await home.token(user, UNSCOPED)).text
    async with home.database.writing() as tx:
        await identity.withdraw_role(tx, user.id, "member", home.project_scope)
    token = TokenLogin(token=unscoped)
    issued = await identity.log_in(home.database, home.keys, home.settings, token, None)
    assert issued.token.claims.scope == UNSCOPED
    assert issued.token.caller.roles == ()


@pytest.mark.parametrize(
    "ref",
    [
        ProjectRef(id="0" * 32),
        ProjectRef(id="eu-de"),
        ProjectRef(name="eu-fr"),
        ProjectRef(name="EU-DE"),
        ProjectRef(name="eu-de\0"),
        ProjectRef(name="eu-de", domain=DomainRef(name="Other")),
        ProjectRef(name=""),
        DomainRef(id="0" * 32),
        DomainRef(name="default"),
        SystemRef(),
    ],
    ids=repr,
)
async def test_a_scope_that_is_not_there_or_not_the_user_s_is_refused(home: Home, ref: ProjectRef) -> None:
    token = TokenLogin(token=(await home.token(home.demo)).text)
    with pytest.raises(UnauthenticatedError):
        await identity.log_in(home.database, home.keys, home.settings, token, ref)


async def test_a_project_without_a_role_on_it_is_refused(home: Home) -> None:
    project = await home.new_project()
    token = TokenLogin(token=(await home.token(home.demo)).text)
    with pytest.raises(UnauthenticatedError):
        await identity.log_in(home.database, home.keys, home.settings, token, ProjectRef(id=project.id))


async def test_a_password_logs_in_by_name_and_by_id(home: Home) -> None:
    for given in (
        login("demo", PASSWORDS["demo"]),
        PasswordLogin(user_id=home.demo.id, user_name=None, domain=DomainRef(), password=PASSWORDS["demo"]),
    ):
        assert await identity.authenticate_password(home.database, home.settings, given) == home.demo


@pytest.mark.parametrize(
    ("name", "domain", "password"),
    [
        ("demo", "Default", "wrong"),
        ("demo", "Default", ""),
        ("demo", "default", PASSWORDS["demo"]),
        ("Demo", "Default", PASSWORDS["demo"]),
        ("demo\0", "Default", PASSWORDS["demo"]),
        ("nobody", "Default", PASSWORDS["demo"]),
        ("demo", "", PASSWORDS["demo"]),
    ],
)
async def test_wrong_credentials_are_refused_alike(home: Home, name: str, domain: str, password: str) -> None:
    given = PasswordLogin(user_id=None, user_name=name, domain=DomainRef(name=domain), password=password)
    with pytest.raises(UnauthenticatedError) as refused:
        await identity.authenticate_password(home.database, home.settings, given)
    assert refused.value.message == UnauthenticatedError.default_message


async def test_a_disabled_user_s_password_is_refused(home: Home) -> None:
    user = await home.new_user()
    await _disable_user(home, user, "")
    with pytest.raises(UnauthenticatedError):
        await identity.authenticate_password(home.database, home.settings, login(user.name, "secret"))


async def test_a_password_that_changes_while_it_is_checked_gives_no_token(home: Home) -> None:
    """The check began with the old password; its token carries the epoch of then and is void."""
    user = await home.new_user()
    before = await identity.authenticate_password(home.database, home.settings, login(user.name, "secret"))
    await _change_password(home, user, "")
    async with home.database.reading() as tx:
        issued = await identity.issue_token(tx, home.keys, before, home.project_scope, methods=("password",))
    with pytest.raises(UnauthenticatedError):
        await validate(home, issued.text)
