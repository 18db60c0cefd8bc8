"""Imports by clients nobody here wrote: openstackclient's commands and openstacksdk's proxy."""

import time
from collections.abc import Iterator
from pathlib import Path

import openstack
import pytest

from tests.clients.command_line import CommandLine
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
    user, admin = CommandLine(system), CommandLine(system, "stillframe-admin")
    with system.http("image") as image:
        image.post("/v2/images", json={"name": "osc-staged", "disk_format": "raw"})
    user.run(f"image stage --file {disk} osc-staged")
    user.run("image import --method glance-direct osc-staged")
    deadline = time.monotonic() + 60
    while (shown := user.read("image show osc-staged"))[
        "status"
    ] != "active":  # `--wait` of the command waits for nothing
        assert shown["status"] in {"uploading", "importing"}
        assert time.monotonic() < deadline
        time.sleep(0.2)
    user.run(f"image save --file {tmp_path}/saved osc-staged")
    assert (tmp_path / "saved").read_bytes() == DISK
    listed = admin.read("image task list --status success --sort-key updated_at")
    assert {"api_image_import"} <= {task["Type"] for task in listed}
    assert admin.read(f"image task show {listed[0]['ID']}")["status"] == "success"
    user.run("image delete osc-staged")


def test_openstackclient_creates_by_import(system: System, disk: Path) -> None:
    user = CommandLine(system)
    made = user.read(f"image create --import --disk-format raw --file {disk} osc-created")
    assert made["name"] == "osc-created"
    with system.http("image") as image:
        assert image.get(f"/v2/images/{made['id']}/tasks").json()["tasks"]
    user.run("image delete osc-created")


def test_openstackclient_shows_what_can_be_imported_and_where_it_is_kept(system: System) -> None:
    user = CommandLine(system)
    methods = user.run("image import info")
    assert "glance-direct" in methods
    assert "web-download" in methods
    assert "local" in user.run("image stores list")
    assert user.refused("cached image list")


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
