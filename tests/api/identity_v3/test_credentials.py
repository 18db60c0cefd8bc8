"""Access keys and temporary keys through the door."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from stillframe.identity.model import User
from stillframe.kit.clock import utcnow
from tests.identity.home import Home

KEYS = "/v3.0/OS-CREDENTIAL/credentials"
TEMPORARY = "/v3.0/OS-CREDENTIAL/securitytokens"


async def call(home: Home, user: User, method: str, path: str, body: object = None) -> httpx.Response:
    async with home.client((await home.token(user)).text) as http:
        return await http.request(method, path, json=body)


async def create(home: Home, user: User, description: str = "for CI") -> dict[str, Any]:
    answer = await call(home, user, "POST", KEYS, {"credential": {"user_id": user.id, "description": description}})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["credential"]
    return made


async def test_a_new_key_shows_its_secret_once(home: Home) -> None:
    user = await home.new_user()
    made = await create(home, user)
    secret = made.pop("secret")
    assert re.fullmatch(r"[A-Z0-9]{20}", made["access"])
    assert re.fullmatch(r"[A-Za-z0-9]{40}", secret)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["create_time"])
    assert made == made | {"user_id": user.id, "description": "for CI", "status": "active"}
    for path in (f"{KEYS}/{made['access']}", f"{KEYS}?user_id={user.id}", KEYS):
        answer = await call(home, user, "GET", path)
        assert answer.status_code == 200
        assert answer.json() in ({"credential": made}, {"credentials": [made]})


async def test_the_third_key_is_refused(home: Home) -> None:
    user = await home.new_user()
    for _ in range(2):
        await create(home, user)
    answer = await call(home, user, "POST", KEYS, {"credential": {"user_id": user.id}})
    assert answer.status_code == 400
    assert answer.json() == {"error": {"message": "akSkNumExceed", "code": 400, "title": "Bad Request"}}


async def test_a_key_can_be_changed_and_deleted(home: Home) -> None:
    user = await home.new_user()
    path = f"{KEYS}/{(await create(home, user))['access']}"
    changed = await call(home, user, "PUT", path, {"credential": {"status": "inactive", "description": "old"}})
    assert changed.status_code == 200
    assert (changed.json()["credential"]["status"], changed.json()["credential"]["description"]) == ("inactive", "old")
    kept = await call(home, user, "PUT", path, {"credential": {"status": "active"}})
    assert (kept.json()["credential"]["status"], kept.json()["credential"]["description"]) == ("active", "old")
    assert (await call(home, user, "PUT", path, {"credential": {"status": "frozen"}})).status_code == 400
    assert (await call(home, user, "DELETE", path)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await call(home, user, method, path)
        assert gone.status_code == 404
        assert gone.json()["error_code"] == "IAM.0004"


async def test_keys_of_others_are_for_administrators(home: Home) -> None:
    owner, stranger = await home.new_user(), await home.new_user()
    path = f"{KEYS}/{(await create(home, owner))['access']}"
    assert (await call(home, stranger, "GET", path)).status_code == 404
    assert (await call(home, stranger, "DELETE", path)).status_code == 404
    listed = await call(home, stranger, "GET", f"{KEYS}?user_id={owner.id}")
    assert (listed.status_code, listed.json()["error_code"]) == (403, "IAM.0003")
    body = {"credential": {"user_id": owner.id}}
    assert (await call(home, stranger, "POST", KEYS, body)).status_code == 403
    assert (await call(home, home.admin, "GET", path)).status_code == 200
    assert (await call(home, home.admin, "POST", KEYS, body)).status_code == 201


@pytest.mark.parametrize(
    "body",
    [{}, {"credential": {}}, {"credential": {"user_id": 1}}, {"credential": {"user_id": "USER", "description": "\0"}}],
)
async def test_a_malformed_key_is_a_bad_request(home: Home, body: dict[str, Any]) -> None:
    if body.get("credential", {}).get("user_id") == "USER":
        body = {"credential": {**body["credential"], "user_id": home.demo.id}}
    answer = await call(home, home.demo, "POST", KEYS, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "IAM.0011")


def trade(**token: Any) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": ["token"], "token": token}}}


@pytest.mark.parametrize("token", [{}, {"id": "x"}, {"duration_seconds": 3600}, {"duration-secods": 1}])
async def test_a_token_is_traded_for_a_temporary_key(home: Home, token: dict[str, Any]) -> None:
    answer = await call(home, home.demo, "POST", TEMPORARY, trade(**token))
    assert answer.status_code == 201
    credential = answer.json()["credential"]
    assert set(credential) == {"access", "secret", "securitytoken", "expires_at"}
    assert credential["expires_at"].endswith("Z")
    listed = (await call(home, home.demo, "GET", KEYS)).json()["credentials"]
    assert credential["access"] not in [key["access"] for key in listed]


@pytest.mark.parametrize("seconds", [0, 899, 86401, -1, 10**30, "900", 1.5])
async def test_a_lifetime_outside_of_15_minutes_to_a_day_is_refused(home: Home, seconds: object) -> None:
    assert (await call(home, home.demo, "POST", TEMPORARY, trade(duration_seconds=seconds))).status_code == 400


async def test_agencies_are_not_offered(home: Home) -> None:
    body = {"auth": {"identity": {"methods": ["assume_role"], "assume_role": {"agency_name": "x"}}}}
    assert (await call(home, home.demo, "POST", TEMPORARY, body)).status_code == 400


def signed(method: str, path: str, key: dict[str, Any], body: object) -> dict[str, str]:
    """The headers of a request to the identity service as the Huawei SDK signs it."""
    headers = {"Content-Type": "application/json", "User-Agent": "sdk"}
    if "securitytoken" in key:
        headers["X-Security-Token"] = key["securitytoken"]
    request = SdkRequest(
        method=method,
        schema="http",
        host="iam.test:5000",
        resource_path=path,
        query_params=[],
        header_params=headers,
        body=json.dumps(body).encode(),
    )
    return dict(Signer(BasicCredentials(key["access"], key["secret"])).sign(request).header_params)


async def ask_signed(home: Home, key: dict[str, Any], method: str, path: str, body: object) -> httpx.Response:
    async with home.client() as http:
        headers = signed(method, path, key, body)
        return await http.request(method, path, content=json.dumps(body).encode(), headers=headers)


async def test_a_signed_request_gets_a_temporary_key_for_as_long_as_it_asks(home: Home) -> None:
    key = await create(home, await home.new_user())
    answer = await ask_signed(home, key, "POST", TEMPORARY, trade(duration_seconds=3600))
    assert answer.status_code == 201, answer.text
    lasts = datetime.fromisoformat(answer.json()["credential"]["expires_at"]) - utcnow()
    assert timedelta(minutes=59) < lasts <= timedelta(hours=1)


async def test_a_temporary_key_makes_nothing_that_outlives_it(home: Home) -> None:
    """Else who got it for a quarter of an hour would have it for good."""
    user = await home.new_user()
    lasting = await create(home, user)
    temporary = (await call(home, user, "POST", TEMPORARY, trade())).json()["credential"]
    assert (await ask_signed(home, temporary, "GET", f"/v3/users/{user.id}", None)).status_code == 200
    for method, path, body in (
        ("POST", TEMPORARY, trade()),
        ("POST", KEYS, {"credential": {"user_id": user.id}}),
        ("PUT", f"{KEYS}/{lasting['access']}", {"credential": {"status": "inactive"}}),
        ("DELETE", f"{KEYS}/{lasting['access']}", None),
        ("POST", f"/v3/users/{user.id}/credentials/OS-EC2", {"tenant_id": home.project.id}),
        ("POST", f"/v3/users/{user.id}/application_credentials", {"application_credential": {"name": "a"}}),
        ("POST", "/v3/credentials", {"credential": {"type": "cert", "blob": "b"}}),
    ):
        assert (await ask_signed(home, temporary, method, path, body)).status_code == 403, path
    assert (await call(home, user, "GET", f"{KEYS}/{lasting['access']}")).json()["credential"]["status"] == "active"


async def test_the_keys_of_a_platform_s_administrator_are_nothing_to_one_of_a_domain(home: Home) -> None:
    manager, user = await home.new_user(None, "te_admin"), await home.new_user()
    key = home.accounts["admin"].access_key
    for method, body in (("PUT", {"credential": {"status": "inactive"}}), ("DELETE", None)):
        answer = await call(home, manager, method, f"{KEYS}/{key}", body)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "IAM.0003")
    theirs = f"{KEYS}/{(await create(home, user))['access']}"
    assert (await call(home, manager, "DELETE", theirs)).status_code == 204
