"""The `openstack` command against the running system: images, servers and their images."""

import json
from pathlib import Path

import pytest

from tests.clients.command_line import CommandLine
from tests.system import System

pytestmark = pytest.mark.client


@pytest.fixture
def openstack(system: System) -> CommandLine:
    return CommandLine(system)


def test_the_command_finds_its_cloud_by_the_file_that_was_written(system: System) -> None:
    """As a user runs it, in a process of its own and with the password of clouds.yaml."""
    done = system.run("openstack", "image", "list", "-f", "json", timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stillframe-tiny" in {image["Name"] for image in json.loads(done.stdout)}


def test_image_show_and_save(openstack: CommandLine, tmp_path: Path) -> None:
    shown = openstack.read("image show stillframe-tiny")
    assert shown["status"] == "active"
    openstack.run(f"image save --file {tmp_path}/tiny.qcow2 stillframe-tiny")
    assert (tmp_path / "tiny.qcow2").stat().st_size == shown["size"]


def test_image_create_from_a_file_set_and_delete(openstack: CommandLine, tmp_path: Path) -> None:
    data = tmp_path / "disk.raw"
    data.write_bytes(b"\0" * 1_000_000)
    made = openstack.read(f"image create --file {data} --disk-format raw from-osc")
    assert (made["status"], made["size"]) == ("active", 1_000_000)
    openstack.run("image set --property team=blue --tag nightly from-osc")
    shown = openstack.read("image show from-osc")
    assert "nightly" in shown["tags"]
    assert shown["properties"]["team"] == "blue"
    openstack.run("image delete from-osc")
    assert "from-osc" in openstack.refused("image show from-osc")


def test_server_create_stop_image_create_and_delete(system: System, openstack: CommandLine) -> None:
    made = "--image stillframe-tiny --flavor s3.small.1 --network default --wait"
    server = str(openstack.read(f"server create {made} osc-server")["id"])
    system.wait_for_console(server, "stillframe: ready")
    assert "stillframe: ready" in openstack.run("console log show osc-server")
    openstack.run("server stop osc-server")
    system.wait_for_server(server, "SHUTOFF")
    openstack.run("server image create --name osc-image --wait osc-server")
    assert openstack.read("image show osc-image")["status"] == "active"
    openstack.run("image delete osc-image")
    openstack.run("server delete --wait osc-server")
    assert "osc-server" not in {found["Name"] for found in openstack.read("server list")}


@pytest.mark.parametrize(
    "line",
    [
        "image list",
        "flavor list",
        "keypair list",
        "network list",
        "subnet list",
        "security group list",
        "availability zone list",
        "volume list",
        "project list",
        "catalog list",
        "token issue",
    ],
)
def test_commands_that_only_look_work(openstack: CommandLine, line: str) -> None:
    openstack.read(line)
