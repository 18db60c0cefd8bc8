"""Credentials, application credentials, what is added to the catalog, limits and policies, through the door."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from stillframe.identity import service as identity
from stillframe.kit.clock import utcnow
from tests.api.identity_v3.admin import Admin, unique
from tests.identity.home import Home


async def token_with(home: Home, credential: dict[str, Any], **scope: Any) -> httpx.Response:
    auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
    async with home.client() as http:
        return await http.post("/v3/auth/tokens", json={"auth": auth | scope})


@pytest.fixture
async def own(home: Home) -> Any:
    """Requests of a user without any say, about themselves."""
    user = await home.new_user()
    async with home.client((await home.token(user)).text) as http:
        yield Admin(http), user


async def make_app(own: Any, **fields: Any) -> dict[str, Any]:
    door, user = own
    path = f"/users/{user.id}/application_credentials"
    body = {"application_credential": {"name": unique("app"), **fields}}
    made: dict[str, Any] = (await door.ask("POST", path, body, status=201))["application_credential"]
    return made


async def test_an_application_credential_logs_in_to_its_project_with_its_roles(own: Any, home: Home) -> None:
    door, user = own
    made = await make_app(own, roles=[{"name": "reader"}], description="d")
    assert made == made | {"project_id": home.project.id, "unrestricted": False, "expires_at": None}
    assert [role["name"] for role in made["roles"]] == ["reader"]
    path = f"/users/{user.id}/application_credentials"
    shown = (await door.ask("GET", f"{path}/{made['id']}"))["application_credential"]
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await door.ask("GET", f"{path}?name={made['name']}"))["application_credentials"] == [shown]
    for named in (
        {"id": made["id"]},
        {"name": made["name"], "user": {"id": user.id}},
        {"name": made["name"], "user": {"name": user.name, "domain": {"name": "Default"}}},
    ):
        answer = await token_with(home, {**named, "secret": made["secret"]})
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        assert token["methods"] == ["application_credential"]
        assert token["project"]["id"] == home.project.id
        assert [role["name"] for role in token["roles"]] == ["reader"]
        assert token["application_credential"] == {"id": made["id"], "name": made["name"], "restricted": True}
        assert (await token_with(home, {**named, "secret": "wrong"})).status_code == 401
    await door.ask("POST", path, {"application_credential": {"name": made["name"]}}, status=409)
    text = (await token_with(home, {"id": made["id"], "secret": made["secret"]})).headers["x-subject-token"]
    await door.ask("DELETE", f"{path}/{made['id']}", status=204)
    await door.ask("GET", f"{path}/{made['id']}", status=404)
    assert (await token_with(home, {"id": made["id"], "secret": made["secret"]})).status_code == 401
    async with home.client(text) as http:
        assert (await http.get("/v3/auth/projects")).status_code == 401


async def test_an_application_credential_brings_along_what_its_roles_imply(own: Any, home: Home, admin: Admin) -> None:
    _, user = own
    role = await admin.make("role")
    (member,) = (await admin.ask("GET", "/roles?name=member"))["roles"]
    implies = f"/roles/{role['id']}/implies/{member['id']}"
    await admin.ask("PUT", implies, status=201)
    await admin.ask("PUT", f"/projects/{home.project.id}/users/{user.id}/roles/{role['id']}", status=204)
    made = await make_app(own, roles=[{"id": role["id"]}])

    async def roles() -> set[str]:
        token = (await token_with(home, {"id": made["id"], "secret": made["secret"]})).json()["token"]
        return {each["name"] for each in token["roles"]}

    assert await roles() == {role["name"], "member", "reader"}
    await admin.ask("DELETE", implies, status=204)
    assert await roles() == {role["name"]}


async def test_a_token_of_an_application_credential_gives_no_more_than_the_credential(own: Any, home: Home) -> None:
    _, user = own
    made = await make_app(own)
    text = (await token_with(home, {"id": made["id"], "secret": made["secret"]})).headers["x-subject-token"]
    async with home.client(text) as http:
        door = Admin(http)
        path = f"/users/{user.id}/application_credentials"
        await door.ask("POST", path, {"application_credential": {"name": "another"}}, status=403)
        await door.ask("DELETE", f"{path}/{made['id']}", status=403)
        await door.ask("POST", f"/users/{user.id}/credentials/OS-EC2", {}, status=403)
        trade = {"auth": {"identity": {"methods": ["token"], "token": {"id": text}}}}
        await door.ask("POST", "/auth/tokens", trade, status=403)
        key = {"credential": {"user_id": user.id}}
        assert (await http.post("/v3.0/OS-CREDENTIAL/credentials", json=key)).status_code == 403
        assert (await http.post("/v3.0/OS-CREDENTIAL/securitytokens", json=trade)).status_code == 403
    async with home.database.writing() as tx:
        await identity.withdraw_role(tx, user.id, "member", home.project_scope)
        await identity.grant_role(tx, user.id, "reader", home.project_scope)
    async with home.client(text) as http:
        assert (await http.get("/v3/auth/projects")).status_code == 401


async def test_an_application_credential_ends_by_itself(own: Any, home: Home) -> None:
    soon = utcnow() + timedelta(hours=1)
    made = await make_app(own, expires_at=soon.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    answer = await token_with(home, {"id": made["id"], "secret": made["secret"]})
    assert answer.json()["token"]["expires_at"] == soon.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    door, user = own
    for wrong in ({"expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": "soon"}, {"roles": [{"name": "admin"}]}):
        body = {"application_credential": {"name": unique(), **wrong}}
        await door.ask("POST", f"/users/{user.id}/application_credentials", body, status=400)
    body = {"application_credential": {"name": unique()}}
    await door.ask("POST", f"/users/{home.demo.id}/application_credentials", body, status=403)


async def test_access_rules_bound_what_may_be_asked_for(own: Any, home: Home) -> None:
    door, user = own
    rule = {"service": "identity", "method": "GET", "path": "/v3/users/*"}
    made = await make_app(own, access_rules=[rule])
    (kept,) = made["access_rules"]
    assert kept == {**rule, "id": kept["id"]}
    answer = await token_with(home, {"id": made["id"], "secret": made["secret"]})
    assert answer.json()["token"]["application_credential"]["access_rules"] == [{**rule, "id": kept["id"]}]
    async with home.client(answer.headers["x-subject-token"]) as http:
        assert (await http.get(f"/v3/users/{user.id}")).status_code == 200
        assert (await http.get("/v3/auth/projects")).status_code == 200
        for method, path in (
            ("GET", "/v3/users"),
            ("PATCH", f"/v3/users/{user.id}"),
            ("GET", f"/v3/users/{user.id}/projects"),
        ):
            assert (await http.request(method, path, json={})).status_code == 401
    rules = f"/users/{user.id}/access_rules"
    assert [each["id"] for each in (await door.ask("GET", rules))["access_rules"]] == [kept["id"]]
    shown = (await door.ask("GET", f"{rules}/{kept['id']}"))["access_rule"]
    assert shown == kept | {"links": {"self": f"http://iam.test:5000/v3{rules}/{kept['id']}"}}
    await door.ask("DELETE", f"{rules}/{kept['id']}", status=403)
    again = await make_app(own, access_rules=[{"id": kept["id"]}])
    assert again["access_rules"] == [kept]
    for one in (made, again):
        await door.ask("DELETE", f"/users/{user.id}/application_credentials/{one['id']}", status=204)
    await door.ask("DELETE", f"{rules}/{kept['id']}", status=204)
    await door.ask("GET", f"{rules}/{kept['id']}", status=404)


# --- credentials -----------------------------------------------------------------------------------------------------


async def test_credentials_are_kept_for_their_user_only(admin: Admin, own: Any, home: Home) -> None:
    door, user = own
    body = {"type": "cert", "blob": "-----BEGIN", "user_id": user.id, "note": "mine"}
    made = (await door.ask("POST", "/credentials", {"credential": body}, status=201))["credential"]
    assert made == made | body | {"project_id": None}
    path = f"/credentials/{made['id']}"
    assert (await door.ask("GET", path))["credential"] == made
    assert (await door.ask("GET", "/credentials"))["credentials"] == [made]
    assert made in (await admin.ask("GET", f"/credentials?user_id={user.id}&type=cert"))["credentials"]
    changed = (await door.ask("PATCH", path, {"credential": {"blob": "other"}}))["credential"]
    assert changed == made | {"blob": "other"}
    async with home.client((await home.token(home.demo)).text) as http:
        stranger = Admin(http)
        await stranger.ask("GET", path, status=403)
        await stranger.ask("DELETE", path, status=403)
        await stranger.ask("POST", "/credentials", {"credential": body}, status=403)
        assert made["id"] not in {each["id"] for each in (await stranger.ask("GET", "/credentials"))["credentials"]}
    await door.ask("DELETE", path, status=204)
    await door.ask("GET", path, status=404)


async def test_an_ec2_pair_opens_the_buckets_of_its_project(own: Any, home: Home) -> None:
    door, user = own
    path = f"/users/{user.id}/credentials/OS-EC2"
    made = (await door.ask("POST", path, {"tenant_id": home.project.id}, status=201))["credential"]
    assert made == made | {"user_id": user.id, "tenant_id": home.project.id, "trust_id": None}
    assert (await door.ask("GET", path))["credentials"] == [made]
    assert (await door.ask("GET", f"{path}/{made['access']}"))["credential"] == made
    (kept,) = (await door.ask("GET", "/credentials?type=ec2"))["credentials"]
    assert kept["id"] == hashlib.sha256(made["access"].encode()).hexdigest()
    assert json.loads(kept["blob"])["secret"] == made["secret"]

    async def opened() -> object:
        async with home.database.reading() as tx:
            return await identity.lookup_access_key(tx, home.keys, made["access"])

    assert await opened() == (made["access"], made["secret"], home.project.id)
    async with home.database.writing() as tx:
        await identity.withdraw_role(tx, user.id, "member", home.project_scope)
    assert await opened() is None
    async with home.database.writing() as tx:
        await identity.grant_role(tx, user.id, "member", home.project_scope)
    await door.ask("DELETE", f"{path}/{made['access']}", status=204)
    assert await opened() is None
    for broken in ({"type": "ec2", "blob": "{}"}, {"type": "ec2", "blob": "x", "project_id": home.project.id}):
        await door.ask("POST", "/credentials", {"credential": {**broken, "user_id": user.id}}, status=400)


async def test_an_ec2_pair_that_is_changed_opens_what_it_says_now(own: Any, home: Home) -> None:
    door, user = own

    def body(access: str, secret: str) -> dict[str, Any]:
        blob = json.dumps({"access": access, "secret": secret})
        return {"credential": {"type": "ec2", "blob": blob, "project_id": home.project.id}}

    async def opened(access: str) -> object:
        async with home.database.reading() as tx:
            return await identity.lookup_access_key(tx, home.keys, access)

    old, new = unique("old"), unique("new")
    made = (await door.ask("POST", "/credentials", body(old, "a"), status=201))["credential"]
    changed = (await door.ask("PATCH", f"/credentials/{made['id']}", body(new, "b")))["credential"]
    assert changed == made | {"blob": changed["blob"]}
    assert await opened(old) is None
    assert await opened(new) == (new, "b", home.project.id)
    await door.ask("POST", "/credentials", body(new, "c"), status=409)
    await door.ask("DELETE", f"/users/{user.id}/credentials/OS-EC2/{new}", status=204)
    await door.ask("GET", f"/credentials/{made['id']}", status=404)


# --- the catalog -----------------------------------------------------------------------------------------------------


async def test_what_an_administrator_adds_shows_in_the_catalog_of_every_token(admin: Admin, home: Home) -> None:
    service = await admin.make("service", type="dns", name="designate", colour="blue")
    assert service == service | {"enabled": True, "description": "", "colour": "blue"}
    region = (await admin.ask("POST", "/regions", {"region": {"id": unique("r")}}, status=201))["region"]
    fields = {"service_id": service["id"], "interface": "public", "region_id": region["id"]}
    endpoint = await admin.make("endpoint", **fields, url="http://dns.test/$(project_id)s")
    assert endpoint == endpoint | fields | {"region": region["id"], "enabled": True}
    assert (await admin.ask("GET", f"/endpoints?service_id={service['id']}"))["endpoints"] == [endpoint]
    assert service in (await admin.ask("GET", "/services?type=dns"))["services"]
    for query, found in (("type__contains=ns", True), ("name__istartswith=DESIG", True), ("name__endswith=zzz", False)):
        assert (service in (await admin.ask("GET", f"/services?{query}"))["services"]) is found, query

    async def urls(user: Any, *, alone: bool) -> list[str]:
        text = (await home.token(user)).text
        async with home.client(text) as http:
            if alone:
                catalog = (await http.get("/v3/auth/catalog")).json()["catalog"]
            else:
                answer = await http.get("/v3/auth/tokens", headers={"X-Subject-Token": text})
                catalog = answer.json()["token"]["catalog"]
        return [each["url"] for entry in catalog if entry["type"] == "dns" for each in entry["endpoints"]]

    for alone in (True, False):
        assert await urls(home.demo, alone=alone) == [f"http://dns.test/{home.project.id}"]
    await admin.ask("PATCH", f"/endpoints/{endpoint['id']}", {"endpoint": {"url": "http://other.test"}})
    assert await urls(home.demo, alone=False) == ["http://other.test"]
    await admin.ask("PATCH", f"/services/{service['id']}", {"service": {"enabled": False}})
    assert await urls(home.demo, alone=False) == []
    await admin.ask("DELETE", f"/regions/{region['id']}", status=403)
    await admin.ask("DELETE", f"/services/{service['id']}", status=204)
    await admin.ask("GET", f"/endpoints/{endpoint['id']}", status=404)
    await admin.ask("DELETE", f"/regions/{region['id']}", status=204)


async def test_our_own_part_of_the_catalog_is_decided_by_the_configuration(admin: Admin) -> None:
    service = (await admin.ask("GET", "/services?type=image"))["services"][0]
    endpoint = (await admin.ask("GET", f"/endpoints?service_id={service['id']}"))["endpoints"][0]
    await admin.ask("PATCH", f"/services/{service['id']}", {"service": {"name": "x"}}, status=403)
    await admin.ask("DELETE", f"/services/{service['id']}", status=403)
    await admin.ask("DELETE", f"/endpoints/{endpoint['id']}", status=403)
    await admin.ask("DELETE", "/regions/eu-de", status=403)
    await admin.ask("PATCH", "/regions/eu-de", {"region": {"description": "x"}}, status=403)
    more = await admin.make(
        "endpoint", service_id=service["id"], interface="public", region="eu-zz", url="http://x.test"
    )
    assert (await admin.ask("GET", "/regions/eu-zz"))["region"]["parent_region_id"] is None
    await admin.ask("DELETE", f"/endpoints/{more['id']}", status=204)


async def test_regions_lie_in_regions(admin: Admin) -> None:
    top, below = unique("r"), unique("r")
    made = (await admin.ask("PUT", f"/regions/{top}", {"region": {"description": "d"}}, status=201))["region"]
    assert made == made | {"id": top, "description": "d", "parent_region_id": None}
    child = {"id": below, "parent_region_id": top}
    await admin.ask("POST", "/regions", {"region": child}, status=201)
    assert [each["id"] for each in (await admin.ask("GET", f"/regions?parent_region_id={top}"))["regions"]] == [below]
    await admin.ask("POST", "/regions", {"region": child}, status=409)
    await admin.ask("POST", "/regions", {"region": {"parent_region_id": "nowhere"}}, status=404)
    await admin.ask("PATCH", f"/regions/{top}", {"region": {"parent_region_id": below}}, status=400)
    await admin.ask("PATCH", f"/regions/{top}", {"region": {"description": "e"}})
    await admin.ask("DELETE", f"/regions/{top}", status=204)
    await admin.ask("GET", f"/regions/{below}", status=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "no-scheme"},
        {"url": "http://x/$(nobody_knows)s"},
        {"url": "http://x/$(project_id)"},
        {"interface": "other"},
        {"service_id": "0" * 32},
        {"enabled": "yes"},
        {"region_id": 7},
        {"region_id": "eu-typo"},
        {"region_id": ""},
        {"region": ""},
    ],
    ids=str,
)
async def test_an_endpoint_that_could_not_work_is_refused(admin: Admin, wrong: dict[str, Any]) -> None:
    service = (await admin.ask("GET", "/services?type=image"))["services"][0]
    good = {"service_id": service["id"], "interface": "public", "url": "http://x.test"}
    await admin.ask("POST", "/endpoints", {"endpoint": good | wrong}, status=400)


# --- limits and policies ---------------------------------------------------------------------------------------------


async def test_limits_rest_on_registered_ones(admin: Admin, home: Home) -> None:
    service = await admin.make("service", type="gpu")
    place = {"service_id": service["id"], "region_id": "eu-de", "resource_name": "cards"}
    await admin.ask(
        "POST", "/limits", {"limits": [{**place, "project_id": home.project.id, "resource_limit": 5}]}, status=403
    )
    body = {"registered_limits": [{**place, "default_limit": 10, "description": "d"}]}
    (registered,) = (await admin.ask("POST", "/registered_limits", body, status=201))["registered_limits"]
    assert registered == registered | body["registered_limits"][0]
    await admin.ask("POST", "/registered_limits", body, status=409)
    assert (await admin.ask("GET", "/registered_limits?resource_name=cards"))["registered_limits"] == [registered]
    wanted = {**place, "project_id": home.project.id, "resource_limit": 5}
    (limit,) = (await admin.ask("POST", "/limits", {"limits": [wanted]}, status=201))["limits"]
    assert limit == limit | wanted | {"domain_id": None}
    await admin.ask("POST", "/limits", {"limits": [wanted]}, status=409)
    for nobody in ({"project_id": "0" * 32}, {"project_id": None, "domain_id": "0" * 32}):
        await admin.ask("POST", "/limits", {"limits": [wanted | nobody]}, status=400)
    async with home.client((await home.token(home.demo)).text) as http:
        demo = Admin(http)
        assert (await demo.ask("GET", "/limits"))["limits"] == [limit]
        assert (await demo.ask("GET", f"/limits/{limit['id']}"))["limit"] == limit
        assert (await demo.ask("GET", "/limits/model"))["model"]["name"] == "flat"
        await demo.ask("HEAD", "/limits/model")
        await demo.ask("PATCH", f"/limits/{limit['id']}", {"limit": {"resource_limit": 50}}, status=403)
    changed = (await admin.ask("PATCH", f"/limits/{limit['id']}", {"limit": {"resource_limit": 6}}))["limit"]
    assert changed == limit | {"resource_limit": 6}
    path = f"/registered_limits/{registered['id']}"
    assert (await admin.ask("PATCH", path, {"registered_limit": {"default_limit": 11}}))["registered_limit"][
        "default_limit"
    ] == 11
    await admin.ask("PATCH", path, {"registered_limit": {"resource_name": "x"}}, status=403)
    await admin.ask("DELETE", path, status=403)
    await admin.ask("DELETE", f"/limits/{limit['id']}", status=204)
    await admin.ask("DELETE", path, status=204)
    await admin.ask("GET", path, status=404)


async def test_policies_are_kept(admin: Admin) -> None:
    made = await admin.make("policy", type="application/json", blob="{}")
    path = f"/policies/{made['id']}"
    assert (await admin.ask("GET", path))["policy"] == made
    assert made in (await admin.ask("GET", "/policies?type=application/json"))["policies"]
    assert (await admin.ask("PATCH", path, {"policy": {"blob": "[]"}}))["policy"] == made | {"blob": "[]"}
    await admin.ask("DELETE", path, status=204)
    await admin.ask("GET", path, status=404)


async def test_who_may_use_the_system_is_told(admin: Admin, home: Home) -> None:
    assert (await admin.ask("GET", "/auth/system"))["system"] == [{"all": True}]
    async with home.client((await home.token(home.demo)).text) as http:
        assert (await Admin(http).ask("GET", "/auth/system"))["system"] == []
