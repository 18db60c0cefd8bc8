"""Scripts can tell failures apart by the exit code; people are told what to do."""

import json
import socket

import pytest

from stillframe.cli.errors import REMEDIES, ExitCode, find_remedy, read_envelope
from tests.cli.conftest import Cli
from tests.cli.standin import PROJECT_ID, Answer, StandIn, ims_error, job

SERVER_ID = "877a2cda-ba63-4e1e-b95f-e67e48b6129a"
IMAGE_ID = "33ad552d-1149-471c-8190-ff6776174a00"
JOB_ID = "8a12fc664fb4daa3014fb4e581380005"
JOB_PATH = f"/v1/{PROJECT_ID}/jobs/{JOB_ID}"
SERVERS = f"/v2.1/{PROJECT_ID}/servers"


def offer_server(cloud: StandIn, name: str = "web", status: str = "ACTIVE") -> None:
    server = {"id": SERVER_ID, "name": name, "status": status, "OS-EXT-STS:task_state": None}
    cloud.on("GET", f"{SERVERS}/detail", Answer(body={"servers": [server]}))
    cloud.on("GET", f"{SERVERS}/{SERVER_ID}", Answer(body={"server": server}))


def test_capturing_a_running_server_names_the_code_and_the_command_that_helps(cli: Cli, cloud: StandIn) -> None:
    offer_server(cloud, name="web 1")
    refusal = "The ECS cannot be used to create images because it is not in stopped state."
    cloud.on("POST", "/v2/cloudimages/action", ims_error("IMG.0008", refusal))
    done = cli.run("image", "create", "--server", "web 1", "--name", "golden", check=ExitCode.CONFLICT)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"error: IMG.0008 {refusal}",
        "  fix: stop the server first: stillframe server stop 'web 1' --wait",
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ims_error("IMG.0005", "The ECS does not exist."), ExitCode.NOT_FOUND),
        (ims_error("IMG.0010", "in-progress tasks"), ExitCode.CONFLICT),
        (ims_error("IMG.0003", "The image name format is invalid."), ExitCode.USAGE),
        (ims_error("IMG.0015", "quota"), ExitCode.FAILED),
        (ims_error("IMG.0026", "The role is invalid.", status=403), ExitCode.AUTHENTICATION),
        (Answer(403, {"error": {"code": 403, "message": "Forbidden", "title": "Forbidden"}}), ExitCode.AUTHENTICATION),
        (Answer(409, {"conflictingRequest": {"code": 409, "message": "busy"}}), ExitCode.CONFLICT),
        (Answer(429, {"error": {"code": "x", "message": "slow down"}}), ExitCode.FAILED),
        (Answer(500, raw=b"<html>oops</html>"), ExitCode.FAILED),
        (Answer(503, raw=b""), ExitCode.UNREACHABLE),
        (Answer(200, raw=b"<html>a captive portal</html>"), ExitCode.UNREACHABLE),
        (Answer(200, raw=b"[1]"), ExitCode.UNREACHABLE),
    ],
)
def test_each_refusal_has_its_exit_code_and_no_traceback(
    cli: Cli, cloud: StandIn, answer: Answer, expected: ExitCode
) -> None:
    offer_server(cloud, status="SHUTOFF")
    cloud.on("POST", "/v2/cloudimages/action", answer)
    done = cli.run("image", "create", "--server", SERVER_ID, "--name", "golden", check=expected)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_failed_job_ends_with_1_and_its_own_code_and_reason(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, job("RUNNING"), job("FAIL", error_code="IMG.0014", fail_reason="The disk is damaged."))
    done = cli.run("job", "watch", JOB_ID, check=ExitCode.FAILED)
    assert "error: IMG.0014 The disk is damaged." in done.stderr


def test_showing_a_failed_job_is_no_failure(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, job("FAIL", error_code="IMG.0014", fail_reason="The disk is damaged."))
    done = cli.run("job", "show", JOB_ID, "-o", "json", check=ExitCode.OK)
    assert json.loads(done.stdout)["error_code"] == "IMG.0014"


def test_an_unknown_job_is_not_found(cli: Cli, cloud: StandIn) -> None:
    cloud.on("GET", JOB_PATH, ims_error("IMG.0023", "An exception occurred during task query."))
    cli.run("job", "show", JOB_ID, check=ExitCode.NOT_FOUND)


def test_a_wrong_password_is_an_authentication_failure_that_names_where_it_came_from(cli: Cli, cloud: StandIn) -> None:
    path = cloud.write_clouds_yaml(cli.home, password="wrong-secret")
    done = cli.run("image", "list", check=ExitCode.AUTHENTICATION)
    assert str(path) in done.stderr
    assert "wrong-secret" not in done.stderr


def test_a_service_that_is_not_there_is_unreachable(cli: Cli, cloud: StandIn) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        cloud.write_clouds_yaml(cli.home, auth_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v3")
        done = cli.run("image", "list", check=ExitCode.UNREACHABLE)
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("image", "create"),
        ("image", "lisst"),
        ("image", "list", "--bad"),
        ("image", "list", "-o", "xml"),
        ("server", "stop"),
        ("image", "create", "--server", "x", "--name", "y", "--tag", "=1"),
        ("image", "create", "--server", "x", "--name", "y", "--tag", "a=1", "--tag", "a=2"),
        ("image", "list", "--os-cloud", "nowhere"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_asks_nobody(cli: Cli, cloud: StandIn, argv: tuple[str, ...]) -> None:
    done = cli.run(*argv, check=ExitCode.USAGE)
    assert done.stderr.startswith("error: ")
    assert cloud.requests == []


def test_an_ambiguous_name_lists_the_ids(cli: Cli, cloud: StandIn) -> None:
    ids = [IMAGE_ID, IMAGE_ID.replace("33", "44")]
    images = [{"id": image_id, "name": "golden", "status": "active"} for image_id in ids]
    cloud.on("GET", "/v2/cloudimages", Answer(body={"images": images}))
    done = cli.run("image", "delete", "golden", check=ExitCode.USAGE)
    assert all(image_id in done.stderr for image_id in ids)
    assert cloud.sent("DELETE", f"/v2/images/{ids[0]}") == []


def test_a_reader_that_goes_away_is_no_error(cli: Cli, cloud: StandIn) -> None:
    images = [{"id": IMAGE_ID, "name": "golden" * 20, "status": "active"}] * 400
    cloud.on("GET", "/v2/cloudimages", Answer(body={"images": images}))
    process = cli.start("image", "list")
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == ""
    assert process.wait(30) == ExitCode.PIPE_CLOSED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"code": "IMG.0008", "message": "not stopped"}}, ("IMG.0008", "not stopped")),
        ({"error": {"code": 401, "message": "who?", "title": "Unauthorized"}}, ("", "who?")),
        ({"itemNotFound": {"code": 404, "message": "no such server"}}, ("", "no such server")),
        ({"error_code": "APIGW.0301", "error_msg": "bad signature"}, ("APIGW.0301", "bad signature")),
        ({"message": "No image &lt;x&gt;<br /><br />\n", "code": "404 Not Found"}, ("", "No image <x>")),
        (
            {"message": "IMG.0028: The image is protected.", "code": "403 Forbidden"},
            ("IMG.0028", "The image is protected."),
        ),
        ({"NeutronError": {"type": "X", "message": "no network", "detail": ""}}, ("", "no network")),
        ({"error": {"code": "Ecs.0114", "message": "gone"}}, ("Ecs.0114", "gone")),
        (["unexpected"], ("", "")),
        ({"error": None}, ("", "")),
        ({}, ("", "")),
    ],
)
def test_every_dialects_error_body_is_understood(body: object, expected: tuple[str, str]) -> None:
    assert read_envelope(json.dumps(body)) == expected


def test_every_hint_can_be_filled_in_even_when_nothing_is_known() -> None:
    for code in REMEDIES:
        assert "{" not in find_remedy(code, 400).hint


def test_names_in_hints_are_quoted_for_the_shell() -> None:
    assert find_remedy("IMG.0008", 400, {"server": "$(reboot)"}).hint.endswith("'$(reboot)' --wait")
