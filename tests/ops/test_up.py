"""Starting, stopping and what can stand against it: always a sentence and a non-zero exit, never a traceback."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from stillframe.blobs.layout import DataLayout
from tests.conftest import free_port_offset, running_system
from tests.system import System


@pytest.fixture(scope="module")
def own() -> System:  # type: ignore[misc]
    """A system that these tests may stop and break."""
    with running_system() as started:
        yield started


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """What a refusal said, in one sentence."""
    assert done.returncode not in (0, None)
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert text.strip()
    return text


def test_credentials_are_private_and_no_password_is_a_default(own: System) -> None:
    for path in (own.clouds_yaml, own.data_dir / "openrc"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    passwords = [own.cloud(name)["auth"]["password"] for name in ("stillframe", "stillframe-admin")]
    assert len(set(passwords)) == 2
    assert all(len(password) >= 16 for password in passwords)
    assert stat.S_IMODE(own.data_dir.stat().st_mode) & 0o077 == 0


def test_no_secret_stands_in_a_process_list_or_a_log(own: System) -> None:
    secrets = [own.cloud(name)[key] for name in ("stillframe", "stillframe-admin") for key in ("sk",)]
    secrets += [own.cloud(name)["auth"]["password"] for name in ("stillframe", "stillframe-admin")]
    own.token()
    own.s3().list_buckets()
    commands = "".join(
        path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    )
    logs = "".join(path.read_text(errors="replace") for path in (own.data_dir / "logs").iterdir())
    assert not [secret for secret in secrets if secret in commands or secret in logs]


def test_everything_listens_on_loopback_only(own: System) -> None:
    listening = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[3] for line in listening.splitlines() if _port(line) in _ports(own)]
    assert len(ours) == len(_ports(own))
    assert all(address.startswith(("127.0.0.1:", "[::1]:")) for address in ours)


def _ports(own: System) -> set[int]:
    return {
        int(own.url(name).rsplit(":", 1)[1]) for name in ("identity", "image", "compute", "volume", "network", "obs")
    }


def _port(line: str) -> int:
    return int(line.split()[3].rsplit(":", 1)[1])


def test_status_tells_what_answers(own: System) -> None:
    done = own.run("stillframe", "-o", "json", "status")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["running"] is True
    assert status["silent"] == []
    assert status["services"]["identity"] == own.url("identity")


def test_a_second_up_on_the_same_directory_says_so(own: System) -> None:
    for arguments in (("up",), ("up", "--detach")):
        assert "already runs" in refused(own.run("stillframe", *arguments))
    assert httpx.get(own.url("identity") + "/v3").status_code == 200


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    system = System(data_dir=tmp_path / "data", port_offset=free_port_offset())
    system.data_dir.mkdir()
    with socket.create_server(("127.0.0.1", int(system.url("image").rsplit(":", 1)[1]))):
        text = refused(system.run("stillframe", "up", "--detach"))
    assert "image" in text
    assert system.url("image").rsplit(":", 1)[1] in text


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    system = System(data_dir=tmp_path, port_offset=free_port_offset())
    text = refused(system.run("stillframe", "up", "--data-dir", str(tmp_path / "file" / "data")))
    assert "data directory" in text


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    """On a file system of a few MiB."""
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=False)
    if mount.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        system = System(data_dir=tmp_path, port_offset=free_port_offset())
        assert "full" in refused(system.run("stillframe", "up"))
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_read_only_disk_is_a_sentence(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        system = System(data_dir=tmp_path / "data", port_offset=free_port_offset())
        done = subprocess.run(
            [str(Path(sys.executable).with_name("stillframe")), "up", "--data-dir", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "STILLFRAME_PORT_OFFSET": str(system.port_offset)},
            check=False,
        )
        assert "cannot be used" in refused(done)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_missing_tools_are_named_with_their_packages(tmp_path: Path) -> None:
    system = System(data_dir=tmp_path, port_offset=free_port_offset())
    environment = system.environment() | {"PATH": str(tmp_path)}
    program = Path(sys.executable).with_name("stillframe")
    done = subprocess.run(
        [str(program), "up"], capture_output=True, text=True, env=environment, timeout=30, check=False
    )
    assert "apt-get install qemu-system-x86 qemu-utils" in refused(done)


def test_a_wrong_setting_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "stillframe.toml").write_text("image_quota = 'many'\n")
    system = System(data_dir=tmp_path, port_offset=free_port_offset())
    assert "image_quota" in refused(system.run("stillframe", "up"))
    (tmp_path / "stillframe.toml").write_text("no_such_key = 1\n")
    assert "no_such_key" in refused(system.run("stillframe", "up"))


def test_a_part_that_dies_is_started_again(own: System) -> None:
    before = own.worker_pid()
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while own.worker_pid() == before or not DataLayout(own.data_dir).socket("worker").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert own.run("stillframe", "status").returncode == 0


def test_stopping_and_starting_again_keeps_accounts_and_images_and_a_stale_pid_is_no_obstacle(own: System) -> None:
    clouds = own.clouds_yaml.read_text()
    image = own.public_image()
    token = own.token()
    pid = json.loads(own.run("stillframe", "-o", "json", "status").stdout)["pid"]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while own.run("stillframe", "status").returncode == 0 or _anything_listens(own):
        assert time.monotonic() < deadline, "the parts outlive their supervisor"
        time.sleep(0.2)
    own.up()
    assert own.clouds_yaml.read_text() == clouds
    assert own.public_image() == image
    answer = httpx.get(own.url("image") + "/v2/images", headers={"X-Auth-Token": token})
    assert answer.status_code == 200


def _anything_listens(own: System) -> bool:
    for name in ("identity", "obs"):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(own.url(name).rsplit(":", 1)[1]))) == 0:
                return True
    return False


def test_down_ends_everything_and_says_when_there_was_nothing_to_end() -> None:
    with running_system() as system:
        assert system.run("stillframe", "down").returncode == 0
        assert not _anything_listens(system)
        assert list(DataLayout(system.data_dir).runtime_dir.iterdir()) == []
        again = system.run("stillframe", "down")
        assert again.returncode == 0
        assert "Nothing runs" in again.stderr
        assert system.run("stillframe", "status").returncode != 0
