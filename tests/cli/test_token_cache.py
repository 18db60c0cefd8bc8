"""One token serves many commands, and nobody else."""

import json
import shutil
import stat

import pytest

from tests.cli.conftest import Cli
from tests.cli.standin import PASSWORD, Answer, StandIn, running_stand_in

LIST = "/v2/cloudimages"


def test_ten_commands_make_one_token_request(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    for _ in range(10):
        cli.run("image", "list", check=0)
    assert cloud.token_requests == 1
    assert len(cloud.sent("GET", LIST)) == 10


def test_commands_that_start_together_share_one_token_request_and_leave_a_whole_file(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    started = [cli.start("image", "list", "-o", "json") for _ in range(6)]
    for process in started:
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, json.loads(output)) == (0, []), errors
    assert cloud.token_requests == 1
    (kept,) = cli.cached_tokens
    assert json.loads(kept.read_text())["auth_token"] == "token-1"


def test_a_rejected_token_is_renewed_once_and_the_request_repeated(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    cli.run("image", "list", check=0)
    cloud.valid_tokens.clear()
    cli.run("image", "list", check=0)
    assert cloud.token_requests == 2
    cli.run("image", "list", check=0)
    assert cloud.token_requests == 2


def test_a_service_that_rejects_every_token_ends_the_command_after_one_renewal(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(401, {"error": {"code": 401, "message": "no", "title": "Unauthorized"}}))
    assert cli.run("image", "list").returncode == 3
    assert cloud.token_requests == 2


def test_a_token_about_to_expire_is_not_reused(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    cli.run("image", "list", check=0)
    (kept,) = cli.cached_tokens
    state = json.loads(kept.read_text())
    state["body"]["token"]["expires_at"] = "2020-01-01T00:00:00.000000Z"
    kept.write_text(json.dumps(state))
    cli.run("image", "list", check=0)
    assert cloud.token_requests == 2


def test_the_token_lies_in_a_private_file_and_the_password_nowhere(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    done = cli.run("--verbose", "image", "list", check=0)
    (kept,) = cli.cached_tokens
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    everything = [path.read_text() for path in cli.home.rglob("*") if path.is_file() and path.name != "clouds.yaml"]
    assert PASSWORD not in "".join(everything) + done.stdout + done.stderr
    assert "token-1" not in done.stdout + done.stderr


def test_a_broken_or_foreign_cache_file_only_costs_a_new_token(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    cli.run("image", "list", check=0)
    (kept,) = cli.cached_tokens
    good = kept.read_text()
    for number, text in enumerate(("", "{", "[]", "{}", '{"auth_token": 1, "body": {}}', good[:-20]), start=2):
        kept.write_text(text)
        cli.run("image", "list", check=0)
        assert cloud.token_requests == number
    kept.chmod(0o644)
    cli.run("image", "list", check=0)
    assert cloud.token_requests == 8
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_cache_that_cannot_be_written_is_no_failure(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(body={"images": []}))
    (cli.home / "cache").write_text("a file where the directory should be")
    cli.run("image", "list", check=0)


def test_revoke_ends_the_token_at_the_service_and_here(cli: Cli, cloud: StandIn) -> None:
    issued = json.loads(cli.run("token", "issue", "-o", "json", check=0).stdout)
    assert issued["id"] in cloud.valid_tokens
    cli.run("token", "revoke", check=0)
    assert not cloud.valid_tokens
    assert cli.cached_tokens == []
    assert json.loads(cli.run("token", "revoke", "-o", "json", check=0).stdout) == {"revoked": False}


def test_issue_prints_the_kept_token_and_renew_a_new_one(cli: Cli) -> None:
    def issue(*options: str) -> str:
        return str(json.loads(cli.run("token", "issue", "-o", "json", *options, check=0).stdout)["id"])

    assert [issue(), issue(), issue("--renew"), issue()] == ["token-1", "token-1", "token-2", "token-2"]


def test_two_accounts_never_share_a_token(cli: Cli, cloud: StandIn) -> None:
    cli.run("token", "issue", check=0)
    cloud.write_clouds_yaml(cli.home, username="somebody-else")
    cli.run("token", "issue", check=0)
    assert cloud.token_requests == 2
    assert len(cli.cached_tokens) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_takes_the_token_or_the_password_to_another_server(cli: Cli, cloud: StandIn, status: int) -> None:
    with running_stand_in() as other:
        other.valid_tokens.add("token-1")
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        cloud.on("GET", LIST, Answer(status, headers={"Location": f"{elsewhere}{LIST}"}))
        done = cli.run("image", "list", check=6)
        assert f"redirects to {elsewhere}" in done.stderr
        cloud.token_redirect = f"{elsewhere}/v3/auth/tokens"
        shutil.rmtree(cli.home / "cache")
        assert f"redirects to {elsewhere}" in cli.run("image", "list", check=6).stderr
        assert other.requests == []


def test_a_redirect_within_the_server_is_followed(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", LIST, Answer(302, headers={"Location": f"{cloud.url}/moved"}))
    cloud.on("GET", "/moved", Answer(body={"images": []}))
    cli.run("image", "list", check=0)
