"""The command against the real system: machines boot, are frozen, and boot again."""

import hashlib
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from stillframe.cli.errors import ExitCode
from tests.cli.conftest import Cli, own_environment
from tests.conftest import BACKENDS
from tests.system import System

# The command is the same whichever database is behind the service.
pytestmark = [pytest.mark.client, pytest.mark.parametrize("system", BACKENDS[:1], indirect=True)]


class SystemCli(Cli):
    """As a user whose shell knows the system's data directory and nothing else."""

    def json(self, *argv: str, check: int = 0) -> Any:
        return json.loads(self.run(*argv, "-o", "json", check=check).stdout)


@pytest.fixture
def user(system: System, tmp_path: Path) -> SystemCli:
    home = tmp_path / "home"
    home.mkdir()
    return SystemCli(home, own_environment(home) | {"STILLFRAME_DATA_DIR": str(system.data_dir)})


@pytest.fixture
def name(user: SystemCli) -> Iterator[str]:
    """A name of this test only; servers and images that carry it are gone afterwards."""
    chosen = f"cli-{uuid.uuid4().hex[:8]}"
    yield chosen
    for noun in ("server", "image"):
        for thing in user.json(noun, "list"):
            if thing["name"].startswith(chosen):
                user.run(noun, "delete", thing["id"], *(["--wait"] if noun == "server" else []), check=0)


@pytest.fixture
def public_image(user: SystemCli) -> str:
    return str(user.json("image", "list", "--type", "public", "--status", "active")[0]["name"])


@pytest.fixture
def flavor(user: SystemCli) -> str:
    return str(user.json("flavor", "list")[0]["name"])


def test_ten_commands_use_one_token(user: SystemCli) -> None:
    tokens = set()
    for _ in range(5):
        user.run("server", "list", check=0)
        tokens.add(user.json("token", "issue")["id"])
    (kept,) = user.cached_tokens
    assert tokens == {json.loads(kept.read_text())["auth_token"]}


def test_a_revoked_token_is_replaced_without_a_word(user: SystemCli, system: System) -> None:
    old = user.json("token", "issue")["id"]
    with system.http("identity") as identity:
        headers = {"X-Auth-Token": old, "X-Subject-Token": old}
        assert identity.delete("/v3/auth/tokens", headers=headers).status_code == 204
    assert user.run("server", "list", check=0).stderr == ""
    assert user.json("token", "issue")["id"] != old


def test_lists_say_what_the_first_start_made(user: SystemCli, name: str) -> None:
    assert name not in [server["name"] for server in user.json("server", "list")]
    assert any(image["__imagetype"] == "gold" for image in user.json("image", "list"))
    flavors = user.json("flavor", "list")
    assert flavors == sorted(flavors, key=lambda one: (one["vcpus"], one["ram"], one["name"]))
    assert user.run("flavor", "list", check=0).stdout.startswith("ID ")


def test_key_pairs_are_made_listed_and_deleted(user: SystemCli, name: str) -> None:
    user.run("keypair", "create", name, "--private-key", "key", check=0)
    assert "PRIVATE KEY" in (user.home / "key").read_text()
    user.run("keypair", "create", name, check=ExitCode.CONFLICT)
    assert name in [pair["name"] for pair in user.json("keypair", "list")]
    user.run("keypair", "delete", name, check=0)
    user.run("keypair", "delete", name, check=ExitCode.NOT_FOUND)


@pytest.mark.parametrize(
    "argv",
    [("server", "show"), ("server", "stop"), ("image", "show"), ("image", "delete"), ("job", "show")],
    ids=" ".join,
)
@pytest.mark.parametrize("what", ["nothing-of-this-name", "47890479-a07a-4088-b7a6-0d0c2dcbd1cd", "a b/c?d#e"])
def test_what_is_not_there_is_not_found(user: SystemCli, argv: tuple[str, ...], what: str) -> None:
    done = user.run(*argv, what)
    assert (done.returncode, done.stdout) == (ExitCode.NOT_FOUND, ""), done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_flavor_or_image_creates_nothing(user: SystemCli, name: str, public_image: str, flavor: str) -> None:
    create = ("server", "create", "--name", name)
    user.run(*create, "--image", public_image, "--flavor", "nope", check=ExitCode.NOT_FOUND)
    user.run(*create, "--image", "nope", "--flavor", flavor, check=ExitCode.NOT_FOUND)
    user.run("server", "show", name, check=ExitCode.NOT_FOUND)


@pytest.mark.boot
def test_a_server_is_frozen_exported_saved_and_deleted(
    user: SystemCli, system: System, name: str, public_image: str, flavor: str
) -> None:
    script = user.home / "hello.sh"
    script.write_text("#!/bin/sh\necho hello from $((40 + 2))\n")
    create = ("server", "create", "--name", name, "--image", public_image, "--flavor", flavor)
    server = user.json(*create, "--user-data", str(script), "--wait")
    assert server["status"] == "ACTIVE"
    wait_for_console(user, name, "hello from 42")

    done = user.run("image", "create", "--server", name, "--name", name, check=ExitCode.CONFLICT)
    assert "IMG.0008" in done.stderr
    assert f"stillframe server stop {name} --wait" in done.stderr
    user.run("server", "stop", name, "--wait", check=0)
    assert user.json("server", "show", name)["status"] == "SHUTOFF"

    create_image = ("image", "create", "--server", name, "--name", name, "--tag", "purpose=test", "--description", "d")
    image = user.json(*create_image, "--wait")
    assert (image["status"], image["tags"], image["__description"]) == ("active", ["purpose=test"], "d")
    assert user.json("image", "show", name)["id"] == image["id"]

    saved = user.json("image", "save", name, "saved.qcow2")
    content = (user.home / "saved.qcow2").read_bytes()
    assert (saved["size"], saved["digest"]) == (len(content), hashlib.new(saved["algorithm"], content).hexdigest())
    assert content.startswith(b"QFI\xfb")

    store = make_bucket(system, name)
    exported = user.json("image", "export", name, f"{name}:out.qcow2", "--wait")
    assert exported["status"] == "SUCCESS"
    assert bytes(obstore.get(store, "out.qcow2").bytes())[:4] == b"QFI\xfb"
    done = user.run("image", "export", name, f"{name}:out.qcow2", check=ExitCode.CONFLICT)
    assert "IMG.0070" in done.stderr
    obstore.delete(store, "out.qcow2")

    user.run("server", "delete", name, "--wait", check=0)
    user.run("image", "delete", name, check=0)
    user.run("image", "show", name, check=ExitCode.NOT_FOUND)
    user.run("server", "show", name, check=ExitCode.NOT_FOUND)


@pytest.mark.boot
def test_without_wait_the_job_is_printed_and_can_be_watched(
    user: SystemCli, name: str, public_image: str, flavor: str
) -> None:
    user.run("server", "create", "--name", name, "--image", public_image, "--flavor", flavor, "--wait", check=0)
    user.run("server", "stop", name, "--wait", check=0)
    job_id = user.json("image", "create", "--server", name, "--name", name)["job_id"]
    watched = user.json("job", "watch", job_id)
    assert watched["status"] == "SUCCESS"
    assert user.json("job", "show", job_id)["entities"]["image_id"] == user.json("image", "show", name)["id"]


@pytest.mark.boot
def test_an_ambiguous_server_name_lists_the_ids(user: SystemCli, name: str, public_image: str, flavor: str) -> None:
    create = ("server", "create", "--name", name, "--image", public_image, "--flavor", flavor)
    ids = {user.json(*create)["id"] for _ in range(2)}
    done = user.run("server", "show", name, check=ExitCode.USAGE)
    assert all(server_id in done.stderr for server_id in ids)


@pytest.mark.boot
def test_the_demo_passes_on_a_running_system_and_leaves_nothing(user: SystemCli) -> None:
    before = [user.json(noun, "list") for noun in ("server", "image")]
    done = run_demo(user, "--reuse", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("demo: PASSED in ")
    assert '/v2/cloudimages/action -H "X-Auth-Token: $TOKEN"' in done.stderr
    assert [user.json(noun, "list") for noun in ("server", "image")] == before


@pytest.mark.boot
def test_a_broken_off_demo_leaves_nothing(user: SystemCli) -> None:
    before = [user.json(noun, "list") for noun in ("server", "image")]
    process = user.start("demo", "--reuse")
    while not any(server["status"] == "ACTIVE" for server in user.json("server", "list")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == ExitCode.INTERRUPTED, output + errors
    assert output.splitlines()[-1].startswith("demo: INTERRUPTED")
    assert [user.json(noun, "list") for noun in ("server", "image")] == before


def run_demo(user: SystemCli, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stillframe.cli", "demo", *options],
        env=user.environ,
        cwd=user.home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        check=False,
    )


def wait_for_console(user: SystemCli, server: str, text: str) -> None:
    deadline = time.monotonic() + 120
    while text not in user.json("server", "console", server)["output"]:
        assert time.monotonic() < deadline, user.run("server", "console", server).stdout
        time.sleep(0.3)


def make_bucket(system: System, bucket: str) -> S3Store:
    boto3 = pytest.importorskip("boto3")
    cloud = system.cloud()
    keys = {"aws_access_key_id": cloud["ak"], "aws_secret_access_key": cloud["sk"]}
    boto3.client("s3", endpoint_url=system.url("obs"), region_name="eu-de", **keys).create_bucket(Bucket=bucket)
    return S3Store(
        bucket,
        endpoint=system.url("obs"),
        region="eu-de",
        access_key_id=cloud["ak"],
        secret_access_key=cloud["sk"],
        client_options={"allow_http": True},
    )
