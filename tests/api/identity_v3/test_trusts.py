"""Trusts through the door: what a trustee can do with one, and when that ends."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from stillframe.identity import service as identity
from stillframe.identity.model import User
from stillframe.kit.clock import iso_micros_z, utcnow
from tests.api.identity_v3.admin import Admin
from tests.identity.home import Home

TRUSTS = "/OS-TRUST/trusts"


@dataclass
class Pair:
    """A trustor with a role on a project, and a trustee with nothing."""

    home: Home
    trustor: User
    trustee: User

    async def ask(self, who: User, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        async with self.home.client((await self.home.token(who)).text) as http:
            return await Admin(http).ask(method, path, body, status=status)

    def body(self, **fields: Any) -> dict[str, Any]:
        wanted = {
            "trustor_user_id": self.trustor.id,
            "trustee_user_id": self.trustee.id,
            "project_id": self.home.project.id,
            "impersonation": True,
            "roles": [{"name": "reader"}],
        }
        return {"trust": wanted | fields}

    async def make(self, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = (await self.ask(self.trustor, "POST", TRUSTS, self.body(**fields), status=201))["trust"]
        return made

    async def log_in(self, trust: dict[str, Any], who: User | None = None) -> httpx.Response:
        proof = {"id": (who or self.trustee).id, "password": "secret"}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": proof}},
            "scope": {"OS-TRUST:trust": {"id": trust["id"]}},
        }
        async with self.home.client() as http:
            return await http.post("/v3/auth/tokens", json={"auth": auth})

    async def token(self, trust: dict[str, Any]) -> str:
        answer = await self.log_in(trust)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["x-subject-token"])

    async def works(self, token: str) -> bool:
        async with self.home.client(token) as http:
            return (await http.get("/v3/auth/catalog")).status_code == 200


@pytest.fixture
async def pair(home: Home) -> Pair:
    return Pair(home, await home.new_user(), await home.new_user(None, "reader"))


async def test_a_trust_is_made_by_the_trustor_seen_by_both_and_taken_back(pair: Pair, admin: Admin) -> None:
    ends = iso_micros_z(utcnow() + timedelta(hours=1))
    made = await pair.make(expires_at=ends)
    assert (made["expires_at"], made["remaining_uses"], made["deleted_at"]) == (ends, None, None)
    assert [role["name"] for role in made["roles"]] == ["reader"]
    path, role_id = f"{TRUSTS}/{made['id']}", made["roles"][0]["id"]
    summary = {name: value for name, value in made.items() if not name.startswith("roles")}
    for who in (pair.trustor, pair.trustee):
        assert (await pair.ask(who, "GET", path))["trust"] == made
        assert (await pair.ask(who, "GET", TRUSTS))["trusts"] == [summary]
        assert (await pair.ask(who, "GET", f"{path}/roles"))["roles"] == made["roles"]
        assert (await pair.ask(who, "GET", f"{path}/roles/{role_id}"))["role"] == made["roles"][0]
        await pair.ask(who, "HEAD", f"{path}/roles/{role_id}")
        await pair.ask(who, "GET", f"{path}/roles/{pair.home.project.id}", status=404)
    assert summary in (await admin.ask("GET", TRUSTS))["trusts"]
    assert (await pair.ask(pair.trustor, "GET", f"{TRUSTS}?trustor_user_id={pair.trustor.id}"))["trusts"] == [summary]
    assert (await pair.ask(pair.trustor, "GET", f"{TRUSTS}?trustee_user_id={pair.trustor.id}"))["trusts"] == []
    stranger = await pair.home.new_user()
    await pair.ask(stranger, "GET", path, status=403)
    await pair.ask(stranger, "GET", f"{TRUSTS}?trustor_user_id={pair.trustor.id}", status=403)
    assert (await pair.ask(stranger, "GET", TRUSTS))["trusts"] == []
    await pair.ask(pair.trustee, "DELETE", path, status=403)
    await pair.ask(pair.trustor, "DELETE", path, status=204)
    await pair.ask(pair.trustor, "GET", path, status=404)


async def test_a_trust_brings_along_what_its_roles_imply(pair: Pair, admin: Admin) -> None:
    made = await pair.make(roles=[{"name": "member"}])
    answer = await pair.log_in(made)
    assert [role["name"] for role in answer.json()["token"]["roles"]] == ["member", "reader"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"roles": [{"name": "admin"}]}, 404),
        ({"roles": []}, 403),
        ({"project_id": "0" * 32}, 404),
        ({"project_id": None}, 400),
        ({"trustee_user_id": "0" * 32}, 404),
        ({"trustor_user_id": "0" * 32}, 403),
        ({"expires_at": "bad.123Z"}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"remaining_uses": 0}, 400),
        ({"impersonation": "yes"}, 400),
        ({"allow_redelegation": True}, 403),
        ({"unknown": 1}, 400),
    ],
)
async def test_a_trust_that_cannot_be_is_refused(pair: Pair, fields: dict[str, Any], status: int) -> None:
    await pair.ask(pair.trustor, "POST", TRUSTS, pair.body(**fields), status=status)


@pytest.mark.parametrize("impersonation", [True, False])
async def test_a_trustee_acts_with_the_roles_of_the_trust_only(pair: Pair, impersonation: bool) -> None:  # noqa: FBT001
    trust = await pair.make(impersonation=impersonation)
    answer = await pair.log_in(trust)
    token = answer.json()["token"]
    assert token["user"]["id"] == (pair.trustor if impersonation else pair.trustee).id
    assert token["project"]["id"] == pair.home.project.id
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["OS-TRUST:trust"] == {
        "id": trust["id"],
        "impersonation": impersonation,
        "trustor_user": {"id": pair.trustor.id},
        "trustee_user": {"id": pair.trustee.id},
    }
    assert (await pair.log_in(trust, pair.trustor)).status_code == 401
    assert (await pair.log_in({"id": "0" * 32})).status_code == 401


@pytest.mark.parametrize("impersonation", [True, False])
async def test_a_trust_is_no_way_to_a_lasting_credential(pair: Pair, impersonation: bool) -> None:  # noqa: FBT001
    text = await pair.token(await pair.make(impersonation=impersonation))
    trade = {"auth": {"identity": {"methods": ["token"], "token": {"id": text}}}}
    async with pair.home.client(text) as http:
        for user in (pair.trustor, pair.trustee):
            for method, path, body in (
                ("POST", "/v3.0/OS-CREDENTIAL/credentials", {"credential": {"user_id": user.id}}),
                ("POST", "/v3.0/OS-CREDENTIAL/securitytokens", trade),
                ("POST", f"/v3/users/{user.id}/application_credentials", {"application_credential": {"name": "a"}}),
                ("POST", f"/v3/users/{user.id}/credentials/OS-EC2", {"tenant_id": pair.home.project.id}),
                ("GET", "/v3/credentials", None),
                ("POST", f"/v3{TRUSTS}", pair.body(trustor_user_id=user.id)),
                ("GET", f"/v3{TRUSTS}", None),
                ("POST", "/v3/auth/tokens", trade),
            ):
                assert (await http.request(method, path, json=body)).status_code == 403, path


@pytest.mark.parametrize("impersonation", [True, False])
@pytest.mark.parametrize(
    "what", ["trust deleted", "role lost", "trustor disabled", "trustee disabled", "trustor's password", "trustee's"]
)
async def test_tokens_of_a_trust_die_at_once(
    pair: Pair,
    admin: Admin,
    what: str,
    impersonation: bool,  # noqa: FBT001
) -> None:
    trust = await pair.make(impersonation=impersonation)
    token = await pair.token(trust)
    assert await pair.works(token)
    of = f"/users/{(pair.trustor if 'trustor' in what else pair.trustee).id}"
    if what == "trust deleted":
        await pair.ask(pair.trustor, "DELETE", f"{TRUSTS}/{trust['id']}", status=204)
    elif what == "role lost":
        async with pair.home.database.writing() as tx:
            await identity.withdraw_role(tx, pair.trustor.id, "member", pair.home.project_scope)
    elif "disabled" in what:
        await admin.ask("PATCH", of, {"user": {"enabled": False}})
    else:
        await admin.ask("PATCH", of, {"user": {"password": "another"}})
    assert not await pair.works(token)


async def test_uses_are_counted_and_the_token_of_the_last_one_works(pair: Pair) -> None:
    trust = await pair.make(remaining_uses=1)
    token = await pair.token(trust)
    assert (await pair.log_in(trust)).status_code == 401
    await pair.ask(pair.trustor, "GET", f"{TRUSTS}/{trust['id']}", status=404)
    assert await pair.works(token)


async def test_tokens_end_with_the_trust(pair: Pair) -> None:
    ends = iso_micros_z(utcnow() + timedelta(minutes=5))
    answer = await pair.log_in(await pair.make(expires_at=ends))
    assert answer.json()["token"]["expires_at"] == ends
