"""Imports by clients nobody here wrote: openstackclient's commands and openstacksdk's proxy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest

from tests.clients.test_openstack_command import openstack as command
from tests.clients.test_openstack_command import read
from tests.system import WEB_PORT, System
from tests.web_server import WebServer

pytestmark = pytest.mark.client

DISK = bytes(range(256)) * 4_000


@pytest.fixture
def web(system: System) -> Iterator[WebServer]:
    with WebServer(WEB_PORT + system.port_offset).serving() as server:
        server.files["/disk.raw"] = DISK
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DISK)
    return path


def test_openstackclient_stages_imports_saves_and_lists_tasks(system: System, disk: Path, tmp_path: Path) -> None:
    with system.http("image") as image:
        image.post("/v2/images", json={"name": "osc-staged", "disk_format": "raw"})
    command(system, "image", "stage", "--file", str(disk), "osc-staged")
    command(system, "image", "import", "--method", "glance-direct", "--wait", "osc-staged")
    assert read(system, "image", "show", "osc-staged")["status"] == "active"
    command(system, "image", "save", "--file", str(tmp_path / "saved"), "osc-staged")
    assert (tmp_path / "saved").read_bytes() == DISK
    listed = as_admin(system, "image", "task", "list", "--status", "success", "--sort-key", "updated_at")
    assert {"api_image_import"} <= {task["Type"] for task in listed}
    shown = as_admin(system, "image", "task", "show", listed[0]["ID"])
    assert shown["status"] == "success"
    command(system, "image", "delete", "osc-staged")


def as_admin(system: System, *arguments: str) -> Any:
    done = system.run("openstack", *arguments, "-f", "json", cloud="stillframe-admin", timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_openstackclient_creates_by_import(system: System, disk: Path) -> None:
    made = read(system, "image", "create", "--import", "--disk-format", "raw", "--file", str(disk), "osc-created")
    assert made["name"] == "osc-created"
    with system.http("image") as image:
        assert image.get(f"/v2/images/{made['id']}/tasks").json()["tasks"]
    command(system, "image", "delete", "osc-created")


def test_openstackclient_shows_what_can_be_imported_and_where_it_is_kept(system: System) -> None:
    methods = command(system, "image", "import", "info").stdout
    assert "glance-direct" in methods
    assert "web-download" in methods
    assert "local" in command(system, "image", "stores", "list").stdout
    refused = command(system, "cached", "image", "list", check=False)
    assert refused.returncode != 0


def test_openstacksdk_imports_from_the_web(system: System, web: WebServer) -> None:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    images = openstack.connection.Connection(config=config.get_one("stillframe")).image
    image = images.create_image("sdk-web", disk_format="raw", container_format="bare", allow_duplicates=True)
    images.import_image(image, method="web-download", uri=web.url("/disk.raw"))
    images.wait_for_status(image, "active", interval=1, wait=60)
    assert images.get_image(image.id).size == len(DISK)
    assert b"".join(images.download_image(image, stream=True).iter_content(65536)) == DISK
    assert [store.id for store in images.stores()] == ["local"]
    assert images.get_import_info().import_methods["value"] == ["glance-direct", "web-download", "copy-image"]
    images.delete_image(image)
    second = images.create_image("sdk-staged", disk_format="raw", container_format="bare", allow_duplicates=True)
    images.stage_image(second, data=DISK)
    images.import_image(second)
    images.wait_for_status(images.get_image(second.id), "active", interval=1, wait=60)
    images.delete_image(second)
