"""A database with the first accounts in it, and the identity door in front: what the tests of identity start from."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from litestar.types import ASGIApp

from stillframe.app import build_services
from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Database, metadata, open_database
from stillframe.identity import service as identity
from stillframe.identity import tables
from stillframe.identity.model import Caller, Domain, DomainRef, PasswordLogin, Project, Scope, User
from stillframe.identity.rows.accounts import find_domain, get_user
from stillframe.identity.service import FirstAccount, IssuedToken
from stillframe.identity.tokens import TokenKeys
from stillframe.jobs.resources import Resources

PASSWORDS = {"admin": "admin's own pass word", "demo": "dëmo's"}


@dataclass
class Home:
    database: Database
    keys: TokenKeys
    settings: Settings
    domain: Domain
    project: Project
    admin: User
    demo: User
    accounts: dict[str, FirstAccount]
    """By user name."""

    @property
    def project_scope(self) -> Scope:
        return Scope(project_id=self.project.id)

    @property
    def domain_scope(self) -> Scope:
        return Scope(domain_id=self.domain.id)

    async def token(self, user: User, scope: Scope | None = None) -> IssuedToken:
        """As if the user had just given the password: which takes its time."""
        async with self.database.reading() as tx:
            current = await get_user(tx, user.id)
            assert current is not None
            return await identity.issue_token(
                tx, self.keys, current, scope or self.project_scope, methods=("password",)
            )

    async def caller(self, user: User, scope: Scope | None = None) -> Caller:
        return (await self.token(user, scope)).token.caller

    async def new_user(self, name: str | None = None, *roles: str) -> User:
        """With the password `secret` and the roles (member when none is named) on the first project."""
        async with self.database.writing() as tx:
            user = await identity.create_user(
                tx, self.domain.id, name or f"user-{uuid.uuid4().hex}", "secret", default_project_id=self.project.id
            )
            for role in roles or ("member",):
                await identity.grant_role(tx, user.id, role, self.project_scope)
        return user

    async def new_project(self, name: str | None = None) -> Project:
        async with self.database.writing() as tx:
            return await identity.create_project(tx, self.domain.id, name or f"eu-de_{uuid.uuid4().hex}")

    @cached_property
    def app(self) -> ASGIApp:
        layout = DataLayout(self.settings.data_dir)
        resources = Resources(settings=self.settings, layout=layout, database=self.database, token_keys=self.keys)
        return build_services(resources)["identity"]

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {"X-Auth-Token": token} if token else {}
        transport = httpx.ASGITransport(self.app)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://iam.test:5000", headers=headers)


@asynccontextmanager
async def open_home(url: str, directory: Path) -> AsyncIterator[Home]:
    layout = DataLayout(directory)
    layout.create()
    keys = TokenKeys.open(layout)
    async with _fresh_database(url or f"sqlite+aiosqlite:///{layout.database}") as database:
        yield await _furnish(database, keys, Settings(data_dir=directory, database_url=url))


@asynccontextmanager
async def _fresh_database(url: str) -> AsyncIterator[Database]:
    """On PostgreSQL a schema of its own, so that other tests may do to the server what they like."""
    schema = f"identity_{uuid.uuid4().hex}"
    outer = open_database(url)
    if not outer.is_sqlite:
        async with outer.engine.begin() as connection:
            await connection.execute(sa.schema.CreateSchema(schema))
        url = f"{url}&options=-csearch_path%3D{schema}"
    database = open_database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all, tables=_own_tables())
        yield database
    finally:
        await database.close()
        if not outer.is_sqlite:
            async with outer.engine.begin() as connection:
                await connection.execute(sa.schema.DropSchema(schema, cascade=True))
        await outer.close()


def _own_tables() -> list[sa.Table]:
    return [table for table in vars(tables).values() if isinstance(table, sa.Table)]


async def _furnish(database: Database, keys: TokenKeys, settings: Settings) -> Home:
    async with database.writing() as tx:
        accounts = await identity.bootstrap_accounts(
            tx,
            keys,
            region=settings.region,
            admin_password=PASSWORDS["admin"],
            user_password=PASSWORDS["demo"],
        )
    users = {}
    for name, password in PASSWORDS.items():
        login = PasswordLogin(user_id=None, user_name=name, domain=DomainRef(name="Default"), password=password)
        users[name] = await identity.authenticate_password(database, settings, login)
    async with database.reading() as tx:
        domain = await find_domain(tx, DomainRef(name="Default"))
        project_id = users["demo"].default_project_id
        assert domain is not None
        assert project_id is not None
        project = await identity.get_project(tx, project_id)
    return Home(
        database=database,
        keys=keys,
        settings=settings,
        domain=domain,
        project=project,
        accounts={account.user_name: account for account in accounts},
        **users,
    )


def password_body(user: str, password: str, scope: object = None, **domain: str) -> dict[str, Any]:
    """The body that asks for a token by name and password."""
    named = {"name": user, "password": password, "domain": domain or {"name": "Default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": named}}}
    return {"auth": auth if scope is None else auth | {"scope": scope}}


BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql-accounts"))]
