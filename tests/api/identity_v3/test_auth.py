"""The middleware in front of every door: by token, by signature, or not at all."""

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from litestar.types import ASGIApp

from stillframe.api.auth import MAX_SIGNED_BODY_BYTES, AuthMiddleware
from stillframe.identity import service as identity
from stillframe.identity import tables
from stillframe.identity.callers import CallerMemory
from stillframe.identity.model import Scope as IdentityScope
from tests.identity.home import Home

REFUSAL = {
    "error": {
        "code": 401,
        "message": "The request you have made requires authentication.",
        "title": "Unauthorized",
    }
}
HOST = "ims.test:9292"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says who the middleware thinks is calling, and the hash of the body that arrives behind it."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    caller = scope.get("state", {}).get("caller")
    said = {
        "user": caller and caller.user_name,
        "project": caller and caller.project_id,
        "domain": caller and caller.scope_domain_id,
        "body": hashlib.sha256(body).hexdigest(),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode(), "more_body": False})


def guarded(home: Home, app: ASGIApp = echo) -> ASGIApp:
    return AuthMiddleware(
        app,
        service="image",
        database=home.database,
        token_keys=home.keys,
        callers=CallerMemory(home.database, home.keys),
        settings=home.settings,
        is_open=lambda method, path: (method, path) == ("GET", "/open"),
    )


@pytest.fixture
async def http(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(guarded(home))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        yield client


def signed(
    home: Home,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    user: str = "demo",
    key: tuple[str, str] | None = None,
    at: datetime | None = None,
    **headers: str,
) -> dict[str, str]:
    """The headers of a request as the Huawei SDK signs it."""
    account = home.accounts[user]
    access, secret = key or (account.access_key, account.secret_key)
    path, _, query = target.partition("?")
    pairs = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    named = {"Content-Type": "application/json", "User-Agent": "sdk"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    if at is not None:
        named["X-Sdk-Date"] = at.strftime("%Y%m%dT%H%M%SZ")
    request = SdkRequest(
        method=method,
        schema="http",
        host=HOST,
        resource_path=path,
        query_params=pairs,
        header_params=named,
        body=body,
    )
    made = Signer(BasicCredentials(access, secret)).sign(request).header_params
    return {name: value for name, value in made.items() if name != "Host"}


async def test_a_token_says_who_is_calling(home: Home, http: httpx.AsyncClient) -> None:
    token = (await home.token(home.demo)).text
    answer = await http.get("/anything", headers={"X-Auth-Token": token})
    assert (answer.json()["user"], answer.json()["project"]) == ("demo", home.project.id)


async def test_an_open_request_needs_nothing_and_what_it_brings_is_not_looked_at(http: httpx.AsyncClient) -> None:
    assert (await http.get("/open")).json()["user"] is None
    assert (await http.get("/open", headers={"X-Auth-Token": "rubbish"})).status_code == 200
    assert (await http.post("/open")).status_code == 401


async def _refused(home: Home, name: str) -> dict[str, str]:
    """Headers that must not get anybody in."""
    token = (await home.token(home.demo)).text
    now = datetime.now(UTC)
    account = home.accounts["demo"]
    wrong_secret = (account.access_key, "x" * 40)
    async with home.database.writing() as tx:
        service_key = await identity.service_access_key(tx, home.keys, home.project.id)
    cases: dict[str, dict[str, str]] = {
        "nothing": {},
        "an empty token": {"X-Auth-Token": ""},
        "a token that is none": {"X-Auth-Token": "rubbish"},
        "a token with a letter more": {"X-Auth-Token": token + "A"},
        "a wrong token beside a right signature": {"X-Auth-Token": "rubbish", **signed(home, "GET", "/x")},
        "another scheme": {"Authorization": "Basic YTpi"},
        "a wrong secret": signed(home, "GET", "/x", key=wrong_secret),
        "an unknown key": signed(home, "GET", "/x", key=("NOBODY", "x" * 40)),
        "a signature of another path": signed(home, "GET", "/y"),
        "a signature of another method": signed(home, "PUT", "/x"),
        "a signature of 16 minutes ago": signed(home, "GET", "/x", at=now - timedelta(minutes=16)),
        "a signature of in 16 minutes": signed(home, "GET", "/x", at=now + timedelta(minutes=16)),
        "an unknown security token": {**signed(home, "GET", "/x"), "X-Security-Token": "rubbish"},
        "an unknown project": signed(home, "GET", "/x", X_Project_Id="0" * 32),
        "a project that is no id": signed(home, "GET", "/x", X_Project_Id="eu-de"),
        "a domain that is no id": signed(home, "GET", "/x", X_Domain_Id="' OR 1=1"),
        "the key of the service itself": signed(home, "GET", "/x", key=(service_key.access, service_key.secret)),
    }
    return cases[name]


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "an empty token",
        "a token that is none",
        "a token with a letter more",
        "a wrong token beside a right signature",
        "another scheme",
        "a wrong secret",
        "an unknown key",
        "a signature of another path",
        "a signature of another method",
        "a signature of 16 minutes ago",
        "a signature of in 16 minutes",
        "an unknown security token",
        "an unknown project",
        "a project that is no id",
        "a domain that is no id",
        "the key of the service itself",
    ],
)
async def test_every_refusal_is_the_same(home: Home, http: httpx.AsyncClient, name: str) -> None:
    answer = await http.get("/x", headers=await _refused(home, name))
    assert answer.status_code == 401
    assert answer.json() == REFUSAL
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:5000/v3"'
    assert answer.headers["content-type"] == "application/json"


async def test_a_signed_request_arrives_with_its_body(home: Home, http: httpx.AsyncClient) -> None:
    body = json.dumps({"name": "ims_test", "text": "ü" * 100_000}).encode()
    target = "/v2/cloudimages/action?b=1&a=%20"
    headers = signed(home, "POST", "/v2/cloudimages/action?b=1&a= ", body=body)
    answer = await http.post(target, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["user"] == "demo"
    assert answer.json()["project"] == home.project.id
    assert answer.json()["body"] == hashlib.sha256(body).hexdigest()


async def test_a_signed_request_with_another_body_is_refused(home: Home, http: httpx.AsyncClient) -> None:
    headers = signed(home, "POST", "/x", body=b'{"a":1}')
    assert (await http.post("/x", content=b'{"a":2}', headers=headers)).status_code == 401


@pytest.mark.parametrize("name", ["Content-Type", "X-Sdk-Date", "Host", "X-Project-Id", "Authorization"])
async def test_a_header_that_counts_comes_once_in_a_signed_request(
    home: Home, http: httpx.AsyncClient, name: str
) -> None:
    """Whatever comes second was not signed, and might be what is read later on."""
    headers = [*signed(home, "GET", "/x").items()]
    assert (await http.get("/x", headers=[*headers, ("X-Via", "a"), ("X-Via", "b")])).status_code == 200
    assert (await http.get("/x", headers=[*headers, (name, "other"), (name, "other")])).status_code == 401


@pytest.fixture(scope="module")
async def second_project(home: Home) -> str:
    project = await home.new_project()
    async with home.database.writing() as tx:
        await identity.grant_role(tx, home.demo.id, "member", IdentityScope(project_id=project.id))
    return project.id


async def test_the_project_of_a_signed_request_is_named_by_a_header_or_the_path_or_is_the_user_s_own(
    home: Home, http: httpx.AsyncClient, second_project: str
) -> None:
    own = home.project.id
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("/v2/cloudimages", {}, own),
        (f"/v1/{second_project}/jobs/x", {}, second_project),
        (f"/v2.1/{second_project}", {}, second_project),
        (f"/v1/{second_project}/jobs/x", {"X_Project_Id": own}, own),
        ("/v3/projects", {"X_Project_Id": second_project}, second_project),
    ]
    for target, headers, expected in cases:
        answer = await http.get(target, headers=signed(home, "GET", target, **headers))
        assert answer.json()["project"] == expected, target


async def test_the_header_that_names_the_project_need_not_be_signed(
    home: Home, http: httpx.AsyncClient, second_project: str
) -> None:
    headers = signed(home, "GET", "/x") | {"X-Project-Id": second_project}
    assert (await http.get("/x", headers=headers)).json()["project"] == second_project


async def test_a_signed_request_can_be_for_a_domain(home: Home, http: httpx.AsyncClient) -> None:
    answer = await http.get("/x", headers=signed(home, "GET", "/x", X_Domain_Id=home.domain.id))
    assert (answer.json()["project"], answer.json()["domain"]) == (None, home.domain.id)


async def test_a_project_where_the_signer_has_no_role_is_refused(home: Home, http: httpx.AsyncClient) -> None:
    foreign = (await home.new_project()).id
    answer = await http.get(f"/v1/{foreign}/jobs/x", headers=signed(home, "GET", f"/v1/{foreign}/jobs/x"))
    assert answer.status_code == 401


async def test_a_key_that_is_disabled_or_deleted_signs_nothing_from_then_on(
    home: Home, http: httpx.AsyncClient
) -> None:
    user = await home.new_user()
    async with home.database.writing() as tx:
        made = await identity.create_access_key(tx, home.keys, user.id)
    pair, its_row = (made.key.access, made.secret), tables.access_keys.c.access == made.key.access

    async def status() -> int:
        return (await http.get("/x", headers=signed(home, "GET", "/x", key=pair))).status_code

    assert await status() == 200
    async with home.database.writing() as tx:
        await tx.execute(tables.access_keys.update().where(its_row).values(enabled=False))
    assert await status() == 401
    async with home.database.writing() as tx:
        await tx.execute(tables.access_keys.update().where(its_row).values(enabled=True))
    assert await status() == 200
    async with home.database.writing() as tx:
        await tx.execute(tables.access_keys.delete().where(its_row))
    assert await status() == 401


async def test_a_temporary_key_needs_its_security_token_and_opens_its_project_only(
    home: Home, http: httpx.AsyncClient, second_project: str
) -> None:
    caller = await home.caller(home.demo)
    async with home.database.writing() as tx:
        made = await identity.create_temporary_key(tx, home.keys, caller, timedelta(minutes=15))
    pair, token = (made.access, made.secret), {"X-Security-Token": made.security_token}
    headers = signed(home, "GET", "/x", key=pair)
    assert (await http.get("/x", headers=headers)).status_code == 401
    assert (await http.get("/x", headers=headers | token)).json()["project"] == home.project.id
    assert (await http.get("/x", headers=headers | {"X-Security-Token": "rubbish"})).status_code == 401
    elsewhere = signed(home, "GET", "/x", key=pair, X_Project_Id=second_project) | token
    assert (await http.get("/x", headers=elsewhere)).status_code == 401
    whole_domain = signed(home, "GET", "/x", key=pair, X_Domain_Id=home.domain.id) | token
    assert (await http.get("/x", headers=whole_domain)).status_code == 401
    async with home.database.writing() as tx:
        its_row = tables.access_keys.c.access == made.access
        await tx.execute(tables.access_keys.update().where(its_row).values(expires_at=datetime.now(UTC)))
    assert (await http.get("/x", headers=headers | token)).status_code == 401


async def _chunks(count: int, read: list[int]) -> AsyncIterator[bytes]:
    for _ in range(count):
        read.append(1)
        yield b"\0" * (1024 * 1024)


async def test_a_signed_body_over_12_mb_is_refused(home: Home, http: httpx.AsyncClient) -> None:
    assert MAX_SIGNED_BODY_BYTES == 12 * 1024 * 1024
    headers = signed(home, "PUT", "/x", body=b"\0" * (13 * 1024 * 1024))
    read: list[int] = []
    answer = await http.put("/x", content=_chunks(13, read), headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == 413


async def test_a_signed_body_of_exactly_12_mb_is_taken(home: Home, http: httpx.AsyncClient) -> None:
    headers = signed(home, "PUT", "/x", body=b"\0" * MAX_SIGNED_BODY_BYTES)
    assert (await http.put("/x", content=_chunks(12, []), headers=headers)).status_code == 200


async def test_a_large_body_may_be_left_unsigned(home: Home, http: httpx.AsyncClient) -> None:
    headers = signed(home, "PUT", "/x", body=b"something", Content_Type="application/octet-stream")
    headers["Content-Type"] = "application/octet-stream"
    answer = await http.put("/x", content=_chunks(14, []), headers=headers)
    assert answer.json()["body"] == hashlib.sha256(b"\0" * (14 * 1024 * 1024)).hexdigest()


async def test_the_body_of_an_unknown_key_is_not_read(home: Home, http: httpx.AsyncClient) -> None:
    """Otherwise anybody could fill the memory with 12 MB for a header full of letters."""
    headers = signed(home, "PUT", "/x", body=b"x", key=("NOBODY", "x"))
    asked = 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x", "more_body": False}

    statuses = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {**headers, "Host": HOST, "Content-Length": "1"}.items()
        ],
    }
    await guarded(home)(scope, receive, send)  # type: ignore[arg-type]
    assert (statuses[0], asked) == (401, 0)


async def test_a_websocket_is_closed_unread(home: Home) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await guarded(home)({"type": "websocket", "path": "/", "headers": []}, receive, send)  # type: ignore[arg-type]
    assert sent == ["websocket.close"]
