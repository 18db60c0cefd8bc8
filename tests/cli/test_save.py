"""`image save` leaves a complete, verified file or nothing."""

import hashlib
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from stillframe.cli.errors import ExitCode
from tests.cli.conftest import Cli
from tests.cli.standin import Answer, StandIn

IMAGE_ID = "33ad552d-1149-471c-8190-ff6776174a00"
CONTENT = b"QFI\xfb" + bytes(range(256)) * 20000
SHA512 = hashlib.sha512(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324 - Glance's checksum


def offer_image(cloud: StandIn, file: Answer, **facts: object) -> None:
    image = {"id": IMAGE_ID, "name": "golden", "status": "active", "size": len(CONTENT)} | facts
    cloud.on("GET", "/v2/cloudimages", Answer(body={"images": [image]}))
    cloud.on("GET", f"/v2/images/{IMAGE_ID}", Answer(body=image))
    cloud.on("GET", f"/v2/images/{IMAGE_ID}/file", file)


def files(cli: Cli) -> list[str]:
    return sorted(path.name for path in cli.home.iterdir() if path.name not in ("clouds.yaml", "cache"))


def test_the_file_holds_the_images_bytes_and_the_digest_is_told(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT), os_hash_algo="sha512", os_hash_value=SHA512)
    done = cli.run("image", "save", "golden", "golden.qcow2", "-o", "json", check=0)
    assert (cli.home / "golden.qcow2").read_bytes() == CONTENT
    assert files(cli) == ["golden.qcow2"]
    told = json.loads(done.stdout)
    assert (told["size"], told["algorithm"], told["digest"]) == (len(CONTENT), "sha512", SHA512)


def test_a_file_made_with_the_users_umask_not_a_private_one(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT))
    umask = os.umask(0)
    os.umask(umask)
    cli.run("image", "save", "golden", "golden.qcow2", check=0)
    assert (cli.home / "golden.qcow2").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize(
    "facts", [{"os_hash_algo": "sha512", "os_hash_value": "0" * 128}, {"checksum": "0" * 32}], ids=["sha512", "md5"]
)
def test_wrong_bytes_leave_nothing(cli: Cli, cloud: StandIn, facts: dict[str, object]) -> None:
    offer_image(cloud, Answer(raw=CONTENT), **facts)
    done = cli.run("image", "save", "golden", "golden.qcow2", check=ExitCode.FAILED)
    assert "should be 000" in done.stderr
    assert files(cli) == []


def test_md5_serves_where_there_is_no_better_digest(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT), checksum=MD5, os_hash_algo=None, os_hash_value=None)
    assert "md5 verified" in cli.run("image", "save", "golden", "golden.qcow2", check=0).stderr


def test_an_image_without_a_digest_is_said_to_be_unverified(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT))
    assert "not verified" in cli.run("image", "save", "golden", "golden.qcow2", check=0).stderr


def test_a_broken_download_leaves_nothing(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT[:-1000], announced_length=len(CONTENT)))
    done = cli.run("image", "save", "golden", "golden.qcow2", check=ExitCode.UNREACHABLE)
    assert "broke off" in done.stderr
    assert files(cli) == []


def test_an_existing_file_is_replaced_only_by_force(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT))
    target = cli.home / "golden.qcow2"
    target.write_text("precious")
    cli.run("image", "save", "golden", "golden.qcow2", check=ExitCode.CONFLICT)
    assert target.read_text() == "precious"
    cli.run("image", "save", "golden", "golden.qcow2", "--force", check=0)
    assert target.read_bytes() == CONTENT


def test_a_failed_replacement_leaves_the_old_file(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(raw=CONTENT), checksum="0" * 32)
    target = cli.home / "golden.qcow2"
    target.write_text("precious")
    cli.run("image", "save", "golden", "golden.qcow2", "--force", check=ExitCode.FAILED)
    assert target.read_text() == "precious"
    assert files(cli) == ["golden.qcow2"]


@pytest.mark.parametrize("target", ["/dev/null", "nowhere/golden.qcow2", "."])
def test_a_target_that_can_be_no_file_is_refused(cli: Cli, cloud: StandIn, target: str) -> None:
    offer_image(cloud, Answer(raw=CONTENT))
    cli.run("image", "save", "golden", target, "--force", check=ExitCode.USAGE)


def test_an_image_that_has_no_data_yet_is_a_conflict(cli: Cli, cloud: StandIn) -> None:
    offer_image(cloud, Answer(204))
    cli.run("image", "save", "golden", "golden.qcow2", check=ExitCode.CONFLICT)
    assert files(cli) == []


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_an_interrupted_download_leaves_nothing(
    cli: Cli, cloud: StandIn, number: signal.Signals, expected: ExitCode
) -> None:
    release = threading.Event()

    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[: len(CONTENT) // 2])
        release.wait(30)

    offer_image(cloud, Answer(raw=CONTENT))
    cloud.on("GET", f"/v2/images/{IMAGE_ID}/file", half)
    process = cli.start("image", "save", "golden", "golden.qcow2")
    try:
        deadline = time.monotonic() + 20
        while not (part := list(cli.home.glob(".golden.qcow2.*.part"))) or part[0].stat().st_size == 0:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(20) == expected
    finally:
        release.set()
        process.kill()
        process.communicate()
    assert files(cli) == []
