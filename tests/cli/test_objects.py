"""The few bucket requests of the demo, against a real S3 server."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import obstore
import pytest

from stillframe.cli.api import Api
from stillframe.cli.cloud import Cloud
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.objects import Bucket
from stillframe.cli.session import TokenCache
from tests.qemu.disks import MIB, random_file

KEYS = ("AKEXAMPLE", "SKEXAMPLE")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = tmp_path_factory.mktemp("objects")
    argv = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", "--config", "", "--auth-key", ",".join(KEYS)]
    process = subprocess.Popen([*argv, "--addr", f"127.0.0.1:{port}", str(directory)], stderr=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def cloud(endpoint: str) -> Cloud:
    return Cloud(
        name="test",
        source="here",
        auth_url="http://127.0.0.1:1/v3",
        username="u",
        region_name="eu-de",
        access_key=KEYS[0],
        secret_key=KEYS[1],
        endpoint_overrides={"object": endpoint},
    )


def open_bucket(cloud: Cloud, tmp_path: Path, *, verbose: bool = False) -> Bucket:
    return Bucket(Api(cloud, TokenCache(tmp_path)), "demo-bucket", verbose=verbose)


def test_a_bucket_is_made_read_and_removed(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in a shell that holds a session for AWS: its token must not get into our requests."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    bucket = open_bucket(cloud, tmp_path, verbose=True)
    assert not bucket.exists()
    bucket.create()
    assert bucket.exists()
    assert bucket.object_size("a.qcow2") is None
    obstore.put(bucket._store, "a.qcow2", b"QFI\xfb and more")
    assert bucket.object_size("a.qcow2") == 13
    assert bucket.read_object("a.qcow2", 4) == b"QFI\xfb"
    with pytest.raises(CliError) as caught:
        bucket.delete()
    assert caught.value.exit_code == ExitCode.CONFLICT
    bucket.delete_object("a.qcow2")
    bucket.delete()
    bucket.delete()
    assert not bucket.exists()
    told = capsys.readouterr().err
    assert "-X PUT --aws-sigv4" in told
    assert not any(secret in told for secret in (*KEYS, "Signature", "of-somebody-else"))


def test_an_interrupted_upload_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """At once, and not when all of it has been sent."""
    bucket, file = open_bucket(cloud, tmp_path), random_file(tmp_path / "large", 96 * MIB)
    bucket.create()
    sent: list[int] = []

    def on_piece(_piece: bytes, done: int) -> None:
        sent.append(done)
        if len(sent) == 2:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        bucket.upload(file, "large", on_piece)
    assert sent[-1] < 96 * MIB
    assert bucket.object_size("large") is None
    bucket.delete()


def test_a_wrong_key_is_an_authentication_failure(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(CliError) as caught:
        open_bucket(replace(cloud, secret_key="wrong"), tmp_path).create()
    assert caught.value.exit_code == ExitCode.AUTHENTICATION


def test_a_cloud_without_keys_says_what_is_missing(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(CliError) as caught:
        open_bucket(replace(cloud, access_key="", secret_key=""), tmp_path)
    assert "`ak` and `sk`" in caught.value.hint


def test_a_bucket_goes_into_the_host_name_where_there_is_one(cloud: Cloud, tmp_path: Path) -> None:
    far = replace(cloud, endpoint_overrides={"object": "https://obs.eu-de.otc.t-systems.com"})
    signed = obstore.sign(open_bucket(far, tmp_path)._store, "PUT", "", timedelta(minutes=1))
    assert signed.startswith("https://demo-bucket.obs.eu-de.otc.t-systems.com/?")
