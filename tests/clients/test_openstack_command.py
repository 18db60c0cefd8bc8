"""The `openstack` command against the running system: images, servers and their images."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system import System

pytestmark = pytest.mark.client


def openstack(system: System, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = system.run("openstack", *arguments, timeout=180)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def read(system: System, *arguments: str) -> Any:
    return json.loads(openstack(system, *arguments, "-f", "json").stdout)


def test_image_list_show_and_save(system: System, tmp_path: Path) -> None:
    assert "stillframe-tiny" in {image["Name"] for image in read(system, "image", "list")}
    shown = read(system, "image", "show", "stillframe-tiny")
    assert shown["status"] == "active"
    openstack(system, "image", "save", "--file", str(tmp_path / "tiny.qcow2"), "stillframe-tiny")
    assert (tmp_path / "tiny.qcow2").stat().st_size == shown["size"]


def test_image_create_from_a_file_set_and_delete(system: System, tmp_path: Path) -> None:
    data = tmp_path / "disk.raw"
    data.write_bytes(b"\0" * 1_000_000)
    made = read(system, "image", "create", "--file", str(data), "--disk-format", "raw", "from-osc")
    assert (made["status"], made["size"]) == ("active", 1_000_000)
    openstack(system, "image", "set", "--property", "team=blue", "--tag", "nightly", "from-osc")
    shown = read(system, "image", "show", "from-osc")
    assert "nightly" in shown["tags"]
    assert shown["properties"]["team"] == "blue"
    openstack(system, "image", "delete", "from-osc")
    assert openstack(system, "image", "show", "from-osc", check=False).returncode != 0


def test_server_create_stop_image_create_and_delete(system: System) -> None:
    flavor = ("--flavor", "s3.small.1")
    read(
        system,
        "server",
        "create",
        "--image",
        "stillframe-tiny",
        *flavor,
        "--network",
        "default",
        "--wait",
        "osc-server",
    )
    server = system_id(system, "osc-server")
    system.wait_for_console(server, "stillframe: ready")
    assert "stillframe: ready" in openstack(system, "console", "log", "show", "osc-server").stdout
    openstack(system, "server", "stop", "osc-server")
    system.wait_for_server(server, "SHUTOFF")
    openstack(system, "server", "image", "create", "--name", "osc-image", "--wait", "osc-server")
    assert read(system, "image", "show", "osc-image")["status"] == "active"
    openstack(system, "image", "delete", "osc-image")
    openstack(system, "server", "delete", "--wait", "osc-server")
    assert "osc-server" not in {found["Name"] for found in read(system, "server", "list")}


def system_id(system: System, name: str) -> str:
    return str(read(system, "server", "show", name)["id"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("flavor", "list"),
        ("keypair", "list"),
        ("network", "list"),
        ("subnet", "list"),
        ("security", "group", "list"),
        ("availability", "zone", "list"),
        ("volume", "list"),
        ("project", "list"),
        ("catalog", "list"),
        ("token", "issue"),
    ],
    ids=" ".join,
)
def test_commands_that_only_look_work(system: System, arguments: tuple[str, ...]) -> None:
    read(system, *arguments)
