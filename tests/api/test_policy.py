"""Every operation of every service with every kind of caller: who is let in is who the table says.

The requests carry nothing useful, so whoever is let in is told what is wrong with them, or that there is no such thing.
One database and the doors in this process, since it is a few thousand requests.
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from msgspec.structs import replace

from stillframe.app import DOORS, build_services
from stillframe.blobs.layout import DataLayout
from stillframe.coverage import operations
from stillframe.db import metadata
from stillframe.identity import service as identity
from stillframe.identity.groups import create_group
from stillframe.identity.model import SYSTEM_SCOPE, UNSCOPED, Domain, Scope, User
from stillframe.identity.policy import Operation, Rule, canonical, rule_of
from stillframe.identity.rows.accounts import insert_domain
from stillframe.images.model import Visibility
from stillframe.jobs.resources import Resources
from stillframe.kit.ids import new_hex_id
from stillframe.metadefs import service as metadefs
from stillframe.metadefs.model import Contents, NamespaceVisibility
from tests.identity.home import Home, open_home
from tests.images.helpers import image, insert

LET_IN: dict[Rule, frozenset[str]] = {
    Rule.TOKEN: frozenset({"unscoped", "outsider", "reader", "member", "manager", "admin", "system"}),
    Rule.SCOPED: frozenset({"outsider", "reader", "member", "manager", "admin", "system"}),
    Rule.SELF: frozenset({"unscoped", "member", "manager", "admin", "system"}),
    Rule.OWNER: frozenset({"unscoped", "member", "admin", "system"}),
    Rule.OWN: frozenset({"unscoped", "member"}),
    Rule.READER: frozenset({"outsider", "reader", "member", "manager", "admin"}),
    Rule.MEMBER: frozenset({"outsider", "member", "manager", "admin"}),
    Rule.MANAGER: frozenset({"manager", "admin", "system"}),
    Rule.ADMIN: frozenset({"admin", "system"}),
}
"""The path, where it names somebody, names the member (who has the unscoped token too); the outsider is a member of
another project, in another domain."""

ELSEWHERE = {400, 403, 404}
"""How services say that the project in a path is not the token's."""

NOWHERE = str(uuid.UUID(int=7))
NARROWED = {"/v3/projects": "?enabled=true"}
"""Lists of which the whole is for managers, as narrow as they are for everybody."""
BODIES = ("POST", "PUT", "PATCH")


@dataclass
class World:
    home: Home
    http: dict[str, httpx.AsyncClient]
    """By service."""
    callers: dict[str, tuple[User, Scope]]
    tokens: dict[str, str]
    names: dict[str, str]
    """What stands for a parameter of a path, where it shall be found."""
    open_to_all: dict[str, str]
    """As `names`, of what everybody sees."""

    async def ask(self, operation: Operation, who: str, more: dict[str, str] | None = None) -> httpx.Response:
        headers = {"X-Auth-Token": self.tokens[who]} if who else {}
        if operation.path == "/v3/auth/tokens" and who:
            headers["X-Subject-Token"] = (await self.home.token(*self.callers[who])).text
        body = {} if operation.method in BODIES else None
        url = await self._url(operation, more or {})
        answer = await self.http[operation.service].request(operation.method, url, json=body, headers=headers)
        assert answer.status_code < 500 or answer.status_code == 501, (operation, who, answer.text)
        return answer

    async def _url(self, operation: Operation, more: dict[str, str]) -> str:
        names = self.names | await self._victim(operation) | more
        parts = operation.path.split("/")
        path = "/".join(names.get(part[1:-1], NOWHERE) if part.startswith("{") else part for part in parts)
        return path + (NARROWED.get(operation.path, "") if operation.method == "GET" else "")

    async def _victim(self, operation: Operation) -> dict[str, str]:
        """Whom and what the path names, when the request would end it."""
        if operation.method == "DELETE" and operation.path == "/v3/users/{user_id}":
            return {"user_id": (await self.home.new_user()).id}
        if operation.method == "DELETE" and operation.path == "/v3/projects/{project_id}":
            return {"project_id": (await self.home.new_project()).id}
        if operation.method == "DELETE" and operation.path == "/v3/groups/{group_id}":
            return {"group_id": await _group(self.home)}
        if operation.method == "DELETE" and operation.path == "/v3/domains/{domain_id}":
            return {"domain_id": (await _domain(self.home, enabled=False)).id}
        return {}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_home("", tmp_path_factory.mktemp("doors")) as home:
        async with home.database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield await _furnish(home)


async def _furnish(home: Home) -> World:
    layout = DataLayout(home.settings.data_dir)
    resources = Resources(settings=home.settings, layout=layout, database=home.database, token_keys=home.keys)
    outsider, there = await _outsider(home)
    member, reader, manager = [await home.new_user(None, role) for role in ("member", "reader", "te_admin")]
    callers = {
        "unscoped": (member, UNSCOPED),
        "outsider": (outsider, there),
        "reader": (reader, home.project_scope),
        "member": (member, home.project_scope),
        "manager": (manager, home.project_scope),
        "admin": (home.admin, home.project_scope),
        "system": (home.admin, SYSTEM_SCOPE),
    }
    return World(
        home=home,
        http={name: _client(app) for name, app in build_services(resources).items()},
        callers=callers,
        tokens={name: (await home.token(*caller)).text for name, caller in callers.items()},
        names={
            "user_id": member.id,
            "group_id": await _group(home),
            "project_id": home.project.id,
            "of_project": home.project.id,
            "domain_id": home.domain.id,
        },
        open_to_all=await _open_to_all(home),
    )


async def _open_to_all(home: Home) -> dict[str, str]:
    public = image(visibility=Visibility.PUBLIC)
    await insert(home.database, public)
    admin = await home.caller(home.admin)
    namespace = replace(metadefs.new_namespace(admin, "Open"), visibility=NamespaceVisibility.PUBLIC)
    async with home.database.writing() as tx:
        await metadefs.create_namespace(tx, admin, namespace, Contents())
    return {"image_id": public.id, "namespace": namespace.name}


def _client(app: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door.test")  # type: ignore[arg-type]


async def _domain(home: Home, *, enabled: bool = True) -> Domain:
    domain = Domain(id=new_hex_id(), name=f"domain-{uuid.uuid4()}", enabled=enabled)
    async with home.database.writing() as tx:
        await insert_domain(tx, domain)
    return domain


async def _group(home: Home) -> str:
    caller = await home.caller(home.admin)
    async with home.database.writing() as tx:
        return (await create_group(tx, caller, {"name": f"group-{uuid.uuid4()}", "domain_id": home.domain.id}, {})).id


async def _outsider(home: Home) -> tuple[User, Scope]:
    other = await _domain(home)
    async with home.database.writing() as tx:
        project = await identity.create_project(tx, other.id, "eu-de_other")
        user = await identity.create_user(tx, other.id, "outsider", "p")
        there = Scope(project_id=project.id)
        await identity.grant_role(tx, user.id, "member", there)
    return user, there


EVERY = sorted(
    Operation(service, each.method, each.path)
    for service, packages in DOORS.items()
    for package in packages
    for each in operations(package.handlers)
    if each.missing is None
)
OPERATIONS = [
    each
    for each in {canonical(each): each for each in EVERY}.values()
    if each.method != "HEAD" or each._replace(method="GET") not in EVERY
]
"""All but what is the same as another: HEAD, and the paths of older versions."""


@pytest.mark.parametrize("operation", OPERATIONS, ids=[" ".join(each) for each in OPERATIONS])
async def test_who_is_let_in_is_who_the_table_says(world: World, operation: Operation) -> None:
    rule = rule_of(operation)
    if rule is Rule.OPEN:
        assert (await world.ask(operation, "")).status_code not in (401, 403)
        return
    assert (await world.ask(operation, "")).status_code == 401
    for who in world.tokens:
        answer = await world.ask(operation, who)
        told = f"{who}: {answer.status_code} {answer.text} from {' '.join(operation)}, which is for {rule}"
        if who not in LET_IN[rule] and _is_looked_for(operation):
            assert answer.status_code == 404, told
            refused = await world.ask(operation, who, world.open_to_all)
            looks = who in LET_IN[Rule.READER]
            assert refused.status_code == (403 if looks else 404), f"{who}: {refused.status_code} {refused.text}"
        elif who not in LET_IN[rule] or (who == "system" and _is_within_a_project(operation)):
            assert answer.status_code == 403, told
        elif who == "outsider" and _names_a_place(operation):
            assert answer.status_code in ELSEWHERE, told
        else:
            assert answer.status_code not in (401, 403), told


def _is_within_a_project(operation: Operation) -> bool:
    """The project in the path has to be the token's, and a token of the system has none."""
    return operation.service in {"compute", "volume"} and "{project_id}" in operation.path


def _is_looked_for(operation: Operation) -> bool:
    """Whether Glance tells who may not do it that it is not there, as it tells who looks for it in vain."""
    named = ("/v2/images/{image_id}", "/v2/metadefs/namespaces/{namespace}", "/v2/stores/{store_id}/{image_id}")
    return operation.service == "image" and operation.path.startswith(named)


def _names_a_place(operation: Operation) -> bool:
    return any(f"{{{name}}}" in operation.path for name in ("project_id", "of_project", "domain_id"))
