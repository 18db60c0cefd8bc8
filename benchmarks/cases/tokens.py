"""Issuing a token by password, and validating one.

What `anew` says is in lists.py: with it no request is like the one before.
"""

from benchmarks import limits, ours
from benchmarks.bench import Bench
from benchmarks.load import Request, wrk
from benchmarks.report import OURS, Contestant, Goal

PART = "tokens"
ISSUE_S = 8.0
"""A hash takes a good part of a second where eight of them compete for two cores, and those under way do not count."""


def measure(bench: Bench) -> None:
    _issue(bench)
    _validate(bench, anew=True)
    _validate(bench, anew=False)


def _issue(bench: Bench) -> None:
    system = bench.system
    url = f"{system.url('identity')}/v3/auth/tokens"
    json = {"Content-Type": "application/json"}
    issue = Request(url=url, method="POST", headers=json, body=ours.login(system))
    pid = ours.main_pid(system)
    user = system.cloud()["auth"]
    stored = system.sql("SELECT password_hash FROM users WHERE name = :name", name=user["username"])[0].password_hash
    bare = f"bare {stored.split('$')[1]} {stored.split('$')[3]}"
    contestants: dict[str, Contestant] = {
        OURS: lambda: wrk(issue, ISSUE_S, costs=[pid]),
        bare: lambda: limits.password_hashes(stored, user["password"], ISSUE_S),
    }
    if peers := bench.peers:
        same = Request(url=f"{peers.keystone}/v3/auth/tokens", method="POST", headers=json, body=peers.login())
        contestants["Keystone"] = lambda: wrk(same, ISSUE_S, costs=[peers.keystone_pid])
    bench.measure(PART, "issue a token by password", "requests/s", contestants, goals=(Goal(against=bare, bound=0.9),))


def _validate(bench: Bench, *, anew: bool) -> None:
    system = bench.system
    token = system.new_token()
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    validate = Request(url=f"{system.url('identity')}/v3/auth/tokens", headers=headers, anew=anew)
    with system.http("identity") as identity:
        body = identity.get("/v3/auth/tokens", headers=headers).raise_for_status().content
    same_bytes = Request(url=bench.raw.url_of(body), anew=anew)
    pid = ours.main_pid(system)
    contestants: dict[str, Contestant] = {
        OURS: lambda: wrk(validate, bench.seconds, costs=[pid]),
        "raw ASGI": lambda: wrk(same_bytes, bench.seconds, costs=[bench.raw.pid]),
    }
    if peers := bench.peers:
        other = peers.token()
        same = Request(
            url=f"{peers.keystone}/v3/auth/tokens", headers={"X-Auth-Token": other, "X-Subject-Token": other}
        )
        contestants["Keystone"] = lambda: wrk(same, bench.seconds, costs=[peers.keystone_pid])
    goals = (Goal(against="raw ASGI", bound=0.5), Goal(against="Keystone", bound=20))
    case = "validate a token" if anew else "validate a token, the same again"
    bench.measure(PART, case, "requests/s", contestants, goals=goals)
