import asyncio
import io
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from stillframe.blobs.layout import DataLayout
from stillframe.errors import ToolFailedError
from stillframe.ops.obs import (
    MIN_RCLONE,
    ObsSettings,
    build_obs_env,
    find_rclone,
    rclone_version,
    require_safe_version,
)
from stillframe.ops.obs_auth_server import ObsAccount
from stillframe.ops.sockets import is_port_free
from tests.blobs.obs_endpoint import ALICE, BOB, ObsEndpoint, free_port, listens, running_endpoint

MIB = 1024 * 1024
PART = 5 * MIB


@pytest.fixture(scope="module")
async def endpoint() -> AsyncIterator[ObsEndpoint]:
    async with running_endpoint() as started:
        yield started


@pytest.fixture
async def own_endpoint() -> AsyncIterator[ObsEndpoint]:
    """For tests that kill it."""
    async with running_endpoint() as started:
        yield started


async def run(function: Callable[..., Any], **arguments: Any) -> Any:
    """In a thread, since the endpoint asks this event loop whose a key is."""
    return await asyncio.to_thread(function, **arguments)


async def status(function: Callable[..., Any], **arguments: Any) -> int:
    with pytest.raises(ClientError) as caught:
        await run(function, **arguments)
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


async def list_keys(client: Any, bucket: str) -> list[str]:
    listed = await run(client.list_objects_v2, Bucket=bucket)
    return [found["Key"] for found in listed.get("Contents", [])]


async def list_buckets(client: Any) -> set[str]:
    return {found["Name"] for found in (await run(client.list_buckets))["Buckets"]}


async def test_projects_do_not_see_each_other_and_may_use_the_same_names(endpoint: ObsEndpoint) -> None:
    alice, bob = endpoint.client("AKALICE"), endpoint.client("AKBOB")
    await run(alice.create_bucket, Bucket="shared-name")
    await run(alice.put_object, Bucket="shared-name", Key="key", Body=b"alice's")
    assert "shared-name" not in await list_buckets(bob)
    assert await status(bob.head_bucket, Bucket="shared-name") == 404
    await run(bob.create_bucket, Bucket="shared-name")
    assert await status(bob.get_object, Bucket="shared-name", Key="key") == 404
    assert await status(bob.copy_object, Bucket="shared-name", Key="k", CopySource="shared-name/key") == 404
    assert await list_keys(bob, "shared-name") == []
    kept = endpoint.obs.layout.obs_root(ALICE) / "shared-name" / "key"
    assert kept.read_bytes() == b"alice's"


@pytest.mark.parametrize("key", ["../../x", "a/../../../x", f"../../{BOB}/x/y"])
async def test_no_key_leads_out_of_the_bucket(endpoint: ObsEndpoint, key: str) -> None:
    alice = endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket=f"cage-{abs(hash(key)) % 1000}")
    assert await status(alice.put_object, Bucket=f"cage-{abs(hash(key)) % 1000}", Key=key, Body=b"x") == 400


async def test_what_one_key_does_the_projects_other_keys_see_at_once(endpoint: ObsEndpoint) -> None:
    """Each key has a directory cache of its own; five minutes of it would hide an export from the user who asked."""
    first, second = endpoint.client("AKALICE"), endpoint.client("AKALICE2")
    await run(first.create_bucket, Bucket="two-keys")
    for number in range(20):
        await list_keys(second, "two-keys")
        await run(first.put_object, Bucket="two-keys", Key=f"k{number}", Body=b"x")
        await asyncio.sleep(0.011)
        assert f"k{number}" in await list_keys(second, "two-keys")
        await run(second.delete_object, Bucket="two-keys", Key=f"k{number}")
        await asyncio.sleep(0.011)
        assert await list_keys(first, "two-keys") == []
    await run(first.head_bucket, Bucket="two-keys")


@pytest.mark.parametrize(("access_key", "secret"), [("AKALICE", "wrong"), ("AKNOBODY", "x"), ("AKBOB", "alice-secret")])
async def test_a_wrong_signature_is_refused(endpoint: ObsEndpoint, access_key: str, secret: str) -> None:
    assert await status(endpoint.client(access_key, secret).list_buckets) == 403


async def test_a_request_without_signature_is_refused(endpoint: ObsEndpoint) -> None:
    nobody = boto3.client(
        "s3", endpoint_url=endpoint.url, region_name="eu-de", config=Config(signature_version=UNSIGNED)
    )
    assert await status(nobody.list_buckets) == 403


async def test_a_new_key_works_at_once_even_if_it_was_tried_before(endpoint: ObsEndpoint) -> None:
    early = endpoint.client("AKNEW", "new-secret")
    assert await status(early.list_buckets) == 403
    endpoint.accounts["AKNEW"] = ObsAccount(secret="new-secret", project_id=ALICE)
    await run(early.list_buckets)


async def test_boto3_does_its_everyday_things(endpoint: ObsEndpoint, tmp_path: Path) -> None:
    alice = endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket="everyday", CreateBucketConfiguration={"LocationConstraint": "eu-de"})
    (tmp_path / "source").write_bytes(os.urandom(20 * MIB))
    await run(alice.upload_file, Filename=str(tmp_path / "source"), Bucket="everyday", Key="in/parts")
    await run(alice.copy_object, Bucket="everyday", Key="copy", CopySource="everyday/in/parts")
    await run(alice.download_file, Bucket="everyday", Key="copy", Filename=str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == (tmp_path / "source").read_bytes()
    by_folder = await run(alice.list_objects_v2, Bucket="everyday", Delimiter="/")
    assert [found["Prefix"] for found in by_folder["CommonPrefixes"]] == ["in/"]
    url = alice.generate_presigned_url("get_object", Params={"Bucket": "everyday", "Key": "copy"}, ExpiresIn=60)
    answer = await run(urllib.request.urlopen, url=url)
    assert answer.headers["Content-Length"] == str(20 * MIB)
    answer.close()
    await run(alice.delete_objects, Bucket="everyday", Delete={"Objects": [{"Key": "copy"}, {"Key": "in/parts"}]})
    assert await list_keys(alice, "everyday") == []
    await run(alice.delete_bucket, Bucket="everyday")


async def test_an_object_is_read_for_its_etag_only_while_it_arrives(endpoint: ObsEndpoint) -> None:
    """Otherwise every HEAD of a disk of 100 GiB takes minutes."""
    alice = endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket="etags")
    await run(alice.upload_fileobj, Fileobj=io.BytesIO(bytes(64 * MIB)), Bucket="etags", Key="large")
    before = bytes_read(endpoint.pid)
    for _ in range(10):
        head = await run(alice.head_object, Bucket="etags", Key="large")
        await run(alice.list_objects_v2, Bucket="etags")
    assert head["ETag"] == '"7f614da9329cd3aebf59b91aadc30bf0"'
    assert bytes_read(endpoint.pid) - before < MIB


async def test_an_idle_endpoint_uses_no_processor(endpoint: ObsEndpoint) -> None:
    """With a directory cache of 0 s a timer without a pause keeps a whole core busy after the first upload."""
    alice = endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket="idle")
    for number in range(20):
        await run(alice.put_object, Bucket="idle", Key=f"d{number}/k", Body=b"x")
        await run(alice.delete_object, Bucket="idle", Key=f"d{number}/k")
    await run(alice.upload_fileobj, Fileobj=io.BytesIO(bytes(20 * MIB)), Bucket="idle", Key="parts")
    await asyncio.sleep(1)
    before = processor_seconds(endpoint.pid)
    await asyncio.sleep(2)
    assert processor_seconds(endpoint.pid) - before < 0.1


async def test_what_is_kept_is_private_and_no_secret_shows(endpoint: ObsEndpoint) -> None:
    alice = endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket="private")
    await run(alice.put_object, Bucket="private", Key="a/b", Body=b"x")
    root = endpoint.obs.layout.obs_root(ALICE) / "private"
    assert [oct(path.stat().st_mode & 0o777) for path in (root, root / "a", root / "a" / "b")] == [
        "0o700",
        "0o700",
        "0o600",
    ]
    assert b"alice-secret" not in visible_text(endpoint)


async def test_an_upload_in_parts_shows_only_when_it_is_whole_and_survives_no_kill(own_endpoint: ObsEndpoint) -> None:
    alice = own_endpoint.client("AKALICE")
    await run(alice.create_bucket, Bucket="killed")
    await run(alice.put_object, Bucket="killed", Key="whole", Body=b"old")
    upload = (await run(alice.create_multipart_upload, Bucket="killed", Key="whole"))["UploadId"]
    arguments = {"Bucket": "killed", "Key": "whole", "UploadId": upload}
    await run(alice.upload_part, PartNumber=1, Body=bytes(PART), **arguments)
    assert await list_keys(alice, "killed") == ["whole"]
    assert (await run(alice.head_object, Bucket="killed", Key="whole"))["ContentLength"] == 3

    own_endpoint.kill()
    assert len(own_endpoint.files(ALICE, "killed")) == 2
    own_endpoint.start()
    assert own_endpoint.files(ALICE, "killed") == {"whole"}
    kept = await run(alice.head_object, Bucket="killed", Key="whole")
    assert (kept["ContentLength"], kept["ETag"]) == (3, '"149603e6c03516362a8da23f624db945"')


SUPERVISOR = """
import sys, time
from functools import partial
from pathlib import Path
from stillframe.blobs.layout import DataLayout
from stillframe.ops.forks import Fork
from stillframe.ops.obs import ObsSettings, become_rclone

obs = ObsSettings(DataLayout(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]))
Fork("obs", partial(become_rclone, obs), 2)
time.sleep(60)
"""


async def test_it_ends_with_its_supervisor(own_endpoint: ObsEndpoint) -> None:
    own_endpoint.kill()
    obs = own_endpoint.obs
    argv = [sys.executable, "-c", SUPERVISOR, str(obs.layout.root), obs.host, str(obs.port)]
    parent = await asyncio.create_subprocess_exec(*argv)
    await until(lambda: listens(obs.port))
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not listens(obs.port))


async def test_a_taken_port_is_told_in_the_last_words(endpoint: ObsEndpoint, tmp_path: Path) -> None:
    second = ObsEndpoint(endpoint.obs, {}, tmp_path / "log")
    second.begin()
    assert second.process is not None
    assert await asyncio.to_thread(second.process.wait, timeout=20) != 0
    said = f"Port {endpoint.obs.port} of the obs service cannot be had: Address already in use."
    assert second.log.read_text().strip().endswith(said)


def test_the_installed_rclone_is_new_enough() -> None:
    assert rclone_version(find_rclone()) >= MIN_RCLONE


def test_an_rclone_which_ignores_secrets_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "rclone"
    old.write_text("#!/bin/sh\necho rclone v1.75.0\n")
    old.chmod(0o755)
    with pytest.raises(ToolFailedError, match=r"1\.75\.0; 1\.75\.2 or later"):
        require_safe_version(old)
    with pytest.raises(ToolFailedError, match="rclone 0;"):
        require_safe_version(tmp_path / "nothing")


def test_the_callers_own_rclone_settings_change_nothing() -> None:
    obs = ObsSettings(DataLayout(Path("/srv/x")), "127.0.0.1", 9000)
    env = build_obs_env(obs, {"RCLONE_READ_ONLY": "true", "STILLFRAME_OBS_SECRET_KEY": "s", "PATH": "/bin"})
    assert set(env) == {"PATH", "RCLONE_CACHE_DIR", "GOMEMLIMIT"}


def test_it_is_rclone_only_once_somebody_connects() -> None:
    """On IPv6 too, whose addresses rclone itself wants in brackets."""
    with tempfile.TemporaryDirectory(prefix="sf-obs-") as directory:
        layout = DataLayout(Path(directory))
        layout.create()
        endpoint = ObsEndpoint(ObsSettings(layout, "::1", free_port()), {}, layout.log("obs"))
        endpoint.begin()
        try:
            deadline = time.monotonic() + 20
            while is_port_free("::1", endpoint.obs.port):
                assert time.monotonic() < deadline, endpoint.log.read_text()
                time.sleep(0.01)
            command = Path(f"/proc/{endpoint.pid}/cmdline")
            assert b"rclone" not in command.read_bytes().split(b"\0")[0]
            with pytest.raises(urllib.error.HTTPError, match="403"):  # nobody's key
                urllib.request.urlopen(f"http://[::1]:{endpoint.obs.port}/", timeout=20)
            assert command.read_bytes().split(b"\0")[:3] == [bytes(find_rclone()), b"serve", b"s3"]
        finally:
            endpoint.kill()


def visible_text(endpoint: ObsEndpoint) -> bytes:
    """What other processes, and readers of the log, can see of the endpoint."""
    process = Path(f"/proc/{endpoint.pid}")
    return b"".join([(process / "cmdline").read_bytes(), (process / "environ").read_bytes(), endpoint.log.read_bytes()])


def bytes_read(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(lines[0].removeprefix("rchar: "))


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
