"""Tokens through the door."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from stillframe.identity import service as identity
from tests.identity.home import PASSWORDS, Home, password_body

PROJECT = {"project": {"name": "eu-de", "domain": {"name": "Default"}}}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


async def post_token(home: Home, body: Any, **more: Any) -> httpx.Response:
    async with home.client() as http:
        return await http.post("/v3/auth/tokens", json=body, **more)


async def log_in(home: Home, user: str, scope: object = PROJECT) -> httpx.Response:
    return await post_token(home, password_body(user, PASSWORDS[user], scope))


@pytest.mark.parametrize("path", ["/", "/v3", "/v3/"])
async def test_version_documents_need_no_token_and_point_to_where_the_client_came_from(home: Home, path: str) -> None:
    async with home.client() as http:
        answer = await http.get(path)
        head = await http.head(path)
    version = answer.json()["versions"]["values"][0] if path == "/" else answer.json()["version"]
    assert answer.status_code == head.status_code == (300 if path == "/" else 200)
    assert version == {
        "id": "v3.6",
        "status": "stable",
        "updated": "2016-04-04T00:00:00Z",
        "links": [{"rel": "self", "href": "http://iam.test:5000/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
    assert answer.headers["content-type"] == "application/json"


async def test_a_password_gets_a_project_token(home: Home) -> None:
    answer = await log_in(home, "demo")
    assert answer.status_code == 201
    token = answer.json()["token"]
    issued, expires = (datetime.strptime(token[name], "%Y-%m-%dT%H:%M:%S.%f%z") for name in ("issued_at", "expires_at"))
    assert TIME.fullmatch(token["issued_at"])
    assert TIME.fullmatch(token["expires_at"])
    assert expires - issued == timedelta(hours=24)
    assert abs(datetime.now(UTC) - issued) < timedelta(minutes=1)
    domain = {"id": home.domain.id, "name": "Default"}
    assert {name: token[name] for name in ("methods", "user", "project")} == {
        "methods": ["password"],
        "user": {"id": home.demo.id, "name": "demo", "domain": domain, "password_expires_at": ""},
        "project": {"id": home.project.id, "name": "eu-de", "domain": domain},
    }
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert "domain" not in token
    text = answer.headers["x-subject-token"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,4095}", text)


async def test_the_catalog_names_every_service_the_way_its_clients_look_for_it(home: Home) -> None:
    catalog = (await log_in(home, "demo")).json()["token"]["catalog"]
    pid, host = home.project.id, "http://127.0.0.1"
    urls = {
        entry["type"]: {endpoint["url"] for endpoint in entry["endpoints"] if endpoint["interface"] == "public"}
        for entry in catalog
    }
    assert urls == {
        "identity": {f"{host}:5000/v3"},
        "image": {f"{host}:9292"},
        "ims": {f"{host}:9292"},
        "compute": {f"{host}:8774/v2.1/{pid}"},
        "computev2.1": {f"{host}:8774/v2.1/{pid}"},
        "ecs": {f"{host}:8774/v1/{pid}"},
        "volumev2": {f"{host}:8776/v2/{pid}"},
        "volumev3": {f"{host}:8776/v3/{pid}"},
        "block-storage": {f"{host}:8776/v3/{pid}"},
        "volume": {f"{host}:8776/v2/{pid}"},
        "evs": {f"{host}:8776/v2/{pid}"},
        "network": {f"{host}:9696"},
        "vpc": {f"{host}:9696/v1/{pid}"},
        "vpc2.0": {f"{host}:9696/v2.0/{pid}"},
        "object": {f"{host}:9000"},
    }
    endpoints = [endpoint for entry in catalog for endpoint in entry["endpoints"]]
    assert {endpoint["interface"] for endpoint in endpoints} == {"public", "internal", "admin"}
    assert all(endpoint["region"] == endpoint["region_id"] for endpoint in endpoints)
    assert len({endpoint["id"] for endpoint in endpoints}) == len(endpoints)
    regions = {entry["type"]: {endpoint["region"] for endpoint in entry["endpoints"]} for entry in catalog}
    assert regions.pop("identity") == {"eu-de", "*"}
    assert set().union(*regions.values()) == {"eu-de"}


async def test_nocatalog_leaves_the_catalog_out_whatever_its_value(home: Home) -> None:
    for query in ("nocatalog=true", "nocatalog=", "nocatalog"):
        answer = await post_token(home, password_body("demo", PASSWORDS["demo"], PROJECT), params=query)
        assert answer.status_code == 201
        assert "catalog" not in answer.json()["token"]


@pytest.mark.parametrize(
    "scope", [None, {"domain": {"name": "Default"}}, {"domain": {"id": "ID"}}, {}, {"project": None}]
)
async def test_a_domain_token_has_the_domain_and_only_endpoints_without_a_project(
    home: Home, scope: dict[str, Any] | None
) -> None:
    if scope == {"domain": {"id": "ID"}}:
        scope = {"domain": {"id": home.domain.id}}
    token = (await log_in(home, "demo", scope)).json()["token"]
    assert token["domain"] == {
        "id": home.domain.id,
        "name": "Default",
        "xdomain_type": "TSI",
        "xdomain_id": home.domain.id,
    }
    assert "project" not in token
    assert {entry["type"] for entry in token["catalog"]} == {"identity", "image", "ims", "network", "object"}


@pytest.mark.parametrize("scope", ["unscoped", {"unscoped": {}}])
async def test_an_unscoped_token_has_neither_roles_nor_catalog(home: Home, scope: object) -> None:
    token = (await log_in(home, "demo", scope)).json()["token"]
    assert set(token) == {"methods", "expires_at", "issued_at", "audit_ids", "user"}


async def test_an_unscoped_token_finds_its_projects_and_trades_itself_in(home: Home) -> None:
    first = await log_in(home, "demo", "unscoped")
    text = first.headers["x-subject-token"]
    async with home.client(text) as http:
        projects = (await http.get("/v3/auth/projects")).json()["projects"]
        assert (await http.get("/v3/auth/catalog")).status_code == 403
    assert [project["id"] for project in projects] == [home.project.id]
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": text}}, "scope": {"project": projects[0]}}}
    second = (await post_token(home, body)).json()["token"]
    assert second["methods"] == ["password", "token"]
    assert second["expires_at"] == first.json()["token"]["expires_at"]
    assert second["project"]["id"] == home.project.id


async def test_the_whole_system_is_a_scope_for_who_holds_a_role_on_it(home: Home) -> None:
    token = (await log_in(home, "admin", {"system": {"all": True}})).json()["token"]
    assert token["system"] == {"all": True}
    assert "admin" in {role["name"] for role in token["roles"]}
    assert not {"project", "domain"} & set(token)
    assert {entry["type"] for entry in token["catalog"]} == {"identity", "image", "ims", "network", "object"}
    assert (await log_in(home, "demo", {"system": {"all": True}})).status_code == 401


async def test_a_project_wins_over_a_domain(home: Home) -> None:
    both = PROJECT | {"domain": {"name": "Default"}}
    assert "project" in (await log_in(home, "demo", both)).json()["token"]


async def test_a_user_can_be_named_by_id_and_the_content_type_does_not_matter(home: Home) -> None:
    user = {"id": home.demo.id, "password": PASSWORDS["demo"], "unknown": 1}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "unknown": [1]}}
    headers = {"Content-Type": "application/json;charset=utf8", "X-Domain-Id": "whatever"}
    assert (await post_token(home, body, headers=headers)).status_code == 201


REFUSAL = {
    "error": {
        "code": 401,
        "message": "The request you have made requires authentication.",
        "title": "Unauthorized",
    }
}


@pytest.mark.parametrize(
    "body",
    [
        password_body("demo", "wrong", PROJECT),
        password_body("nobody", "wrong", PROJECT),
        password_body("demo\0", "wrong", PROJECT),
        password_body("demo", PASSWORDS["demo"], PROJECT, name="Other"),
        password_body("demo", PASSWORDS["demo"], PROJECT, id="0" * 32),
        password_body("demo", PASSWORDS["demo"], {"project": {"name": "eu-fr"}}),
        password_body("demo", PASSWORDS["demo"], {"project": {"id": "0" * 32}}),
        password_body("demo", PASSWORDS["demo"], {"project": {"id": "\0"}}),
        password_body("demo", PASSWORDS["demo"], {"domain": {"name": "Other\0"}}),
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "rubbish"}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "\0"}}}},
    ],
)
async def test_wrong_credentials_get_one_answer_that_tells_nothing(home: Home, body: object) -> None:
    answer = await post_token(home, body)
    assert (answer.status_code, answer.json()) == (401, REFUSAL)
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")


async def test_a_disabled_user_gets_the_same_answer(home: Home) -> None:
    user = await home.new_user()
    async with home.database.writing() as tx:
        await identity.set_user_enabled(tx, user.id, enabled=False)
    answer = await post_token(home, password_body(user.name, "secret", PROJECT))
    assert (answer.status_code, answer.json()) == (401, REFUSAL)


def _identity(**content: Any) -> dict[str, Any]:
    return {"auth": {"identity": content}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"auth": None},
        {"auth": {}},
        _identity(),
        _identity(methods=[]),
        _identity(methods="password"),
        _identity(methods=["password"]),
        _identity(methods=["password"], token={"id": "x"}),
        _identity(methods=["password"], password={"user": {"name": "demo", "password": "x"}}),
        _identity(methods=["password"], password={"user": {"id": "x"}}),
        _identity(methods=["password"], password={"user": {"id": 1, "password": "x"}}),
        _identity(methods=["password", "totp"], password={"user": {"id": "x", "password": "x"}}),
        _identity(methods=["assume_role"], assume_role={"agency_name": "x"}),
        _identity(methods=["hw_access_key"]),
        password_body("demo", "x", "everything"),
        password_body("demo", "x", {"project": {}}),
        password_body("demo", "x", {"domain": {}}),
        password_body("demo", "x", {"system": {"all": False}}),
        password_body("demo", "x", 10**40),
    ],
)
async def test_a_malformed_body_is_a_bad_request(home: Home, body: object) -> None:
    answer = await post_token(home, body)
    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"code", "message", "title"}
    assert (answer.json()["error"]["code"], answer.json()["error"]["title"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b'{"auth": "\\ud800"}', b"[" * 50_000, b'{"auth":' + b'{"a":' * 20_000, b"1e999"]
)
async def test_a_body_that_is_no_json_is_a_bad_request(home: Home, raw: bytes) -> None:
    async with home.client() as http:
        answer = await http.post("/v3/auth/tokens", content=raw)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400


async def test_a_huge_body_is_refused_before_it_is_read_whole(home: Home) -> None:
    async with home.client() as http:
        answer = await http.post("/v3/auth/tokens", content=b" " * 120_000)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == 413


async def test_a_token_validates_itself_and_comes_back_in_the_header(home: Home) -> None:
    made = await log_in(home, "demo")
    text = made.headers["x-subject-token"]
    async with home.client(text) as http:
        answer = await http.get("/v3/auth/tokens", headers={"X-Subject-Token": text})
        assert answer.status_code == 200
        assert answer.json() == made.json()
        assert answer.headers["x-subject-token"] == text
        head = await http.head("/v3/auth/tokens", headers={"X-Subject-Token": text})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["x-subject-token"] == text
        short = await http.get("/v3/auth/tokens?nocatalog", headers={"X-Subject-Token": text})
        assert "catalog" not in short.json()["token"]


async def test_other_users_tokens_are_for_administrators(home: Home) -> None:
    subject = {"X-Subject-Token": (await home.token(home.demo)).text}
    async with home.client((await home.token(home.admin)).text) as http:
        assert (await http.get("/v3/auth/tokens", headers=subject)).status_code == 200
    async with home.client((await home.token(await home.new_user())).text) as http:
        for method in ("GET", "HEAD", "DELETE"):
            assert (await http.request(method, "/v3/auth/tokens", headers=subject)).status_code == 403
    async with home.client(subject["X-Subject-Token"]) as http:
        assert (await http.get("/v3/auth/tokens", headers=subject)).status_code == 200


async def test_an_unknown_subject_is_not_found_and_none_a_bad_request(home: Home) -> None:
    async with home.client((await home.token(home.demo)).text) as http:
        for method in ("GET", "HEAD", "DELETE"):
            unknown = await http.request(method, "/v3/auth/tokens", headers={"X-Subject-Token": "rubbish"})
            assert unknown.status_code == 404
            assert (await http.request(method, "/v3/auth/tokens")).status_code == 400


async def test_a_deleted_token_opens_nothing_any_more(home: Home) -> None:
    text = (await home.token(home.demo)).text
    async with home.client(text) as http:
        assert (await http.delete("/v3/auth/tokens", headers={"X-Subject-Token": text})).status_code == 204
        assert (await http.get("/v3/projects")).status_code == 401
        assert (await http.delete("/v3/auth/tokens", headers={"X-Subject-Token": text})).status_code == 401
    async with home.client((await home.token(home.demo)).text) as http:
        assert (await http.get("/v3/auth/tokens", headers={"X-Subject-Token": text})).status_code == 404


async def test_without_a_token_there_is_no_telling_what_exists(home: Home) -> None:
    async with home.client() as http:
        for method, path in [
            ("GET", "/v3/projects"),
            ("GET", "/nowhere"),
            ("PATCH", "/v3"),
            ("GET", "/v3/auth/tokens"),
        ]:
            answer = await http.request(method, path)
            assert (answer.status_code, answer.json()) == (401, REFUSAL)
