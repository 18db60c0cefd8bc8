"""Logins with a password and a passcode."""

import base64
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from stillframe.identity.second_factors import passcode
from stillframe.kit.clock import utcnow
from tests.api.identity_v3.admin import Admin
from tests.identity.home import Home

DEFAULT = {"name": "Default"}


@pytest.mark.parametrize(
    ("second", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_passcodes_are_those_of_rfc_6238(second: int, digits: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert passcode(secret, datetime.fromtimestamp(second, UTC)) == digits
    assert passcode(secret, datetime.fromtimestamp(second + 30, UTC), steps_back=1) == digits


@pytest.mark.parametrize("secret", ["", "1", "not base 32!", "é"])
def test_a_secret_that_is_none_has_no_passcode(secret: str) -> None:
    assert passcode(secret, utcnow()) == ""


async def log_in(
    home: Home, user: dict[str, Any], digits: str | None, *, right: bool = True, **named: Any
) -> httpx.Response:
    """`digits` are for the same user unless another one is named; `right` says whether the password is."""
    proof = {"id": user["id"], "password": "p" if right else "wrong"}
    identity: dict[str, Any] = {"methods": ["password"], "password": {"user": proof}}
    if digits is not None:
        identity["methods"].append("totp")
        identity["totp"] = {"user": {**(named or {"id": user["id"]}), "passcode": digits}}
    async with home.client() as http:
        return await http.post("/v3/auth/tokens", json={"auth": {"identity": identity, "scope": "unscoped"}})


@pytest.fixture
async def bound(admin: Admin) -> tuple[dict[str, Any], str]:
    """A user of whom a passcode is asked, and the secret."""
    rules = [["password", "totp"], ["a method of the future"]]
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": rules}
    user = await admin.make("user", password="p", options=options)
    secret = base64.b32encode(secrets.token_bytes(20)).decode().rstrip("=")
    body = {"type": "totp", "blob": secret, "user_id": user["id"]}
    await admin.ask("POST", "/credentials", {"credential": body}, status=201)
    return user, secret


async def test_a_bound_user_needs_the_passcode_of_the_moment(home: Home, bound: Any) -> None:
    user, secret = bound
    by_name = {"name": user["name"], "domain": DEFAULT}
    for named in ({}, by_name):
        answer = await log_in(home, user, passcode(secret, utcnow()), **named)
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        assert (token["methods"], token["mfa_authn_at"]) == (["password", "totp"], token["issued_at"])
    assert (await log_in(home, user, None)).status_code == 401
    assert (await log_in(home, user, passcode(secret, utcnow()), right=False)).status_code == 401
    assert (await log_in(home, user, passcode(secret, utcnow(), steps_back=9))).status_code == 401


async def test_a_passcode_is_for_the_user_of_the_password(home: Home, bound: Any) -> None:
    user, secret = bound
    for named in ({"id": home.demo.id}, {"name": "demo", "domain": DEFAULT}, {"id": "0" * 32}):
        assert (await log_in(home, user, passcode(secret, utcnow()), **named)).status_code == 401
    for named in ({"name": user["name"]}, {"domain": DEFAULT}):
        assert (await log_in(home, user, "000000", **named)).status_code == 400


async def test_guessing_passcodes_locks_the_user_out(home: Home, bound: Any) -> None:
    user, secret = bound
    wrong = passcode(secret, utcnow(), steps_back=9)
    for _ in range(home.settings.login_failures_limit):
        assert (await log_in(home, user, wrong)).status_code == 401
    assert (await log_in(home, user, passcode(secret, utcnow()))).status_code == 401


async def test_who_is_not_bound_may_give_a_passcode_and_has_to_give_the_right_one(home: Home, admin: Admin) -> None:
    user = await admin.make("user", password="p", options={"multi_factor_auth_rules": [["password", "totp"]]})
    answer = await log_in(home, user, None)
    assert answer.status_code == 201
    assert "mfa_authn_at" not in answer.json()["token"]
    assert (await log_in(home, user, "000000")).status_code == 401
