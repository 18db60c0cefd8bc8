"""ISO files as what they are for: starting a server from them that has nothing on its disk yet."""

from pathlib import Path

import pytest

from tests.api.ims import importing
from tests.api.ims.importing import import_image, post, put
from tests.api.ims.installer import build_installer
from tests.api.ims.test_capture_door import refusal
from tests.system import System


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_installer(tmp_path_factory.mktemp("installer") / "installer.iso")


def test_a_server_starts_from_an_iso_image_and_finds_an_empty_disk(system: System, installer: Path) -> None:
    wanted = {"type": "IsoImage", "os_version": "Other Linux(64 bit)", "min_disk": 2}
    job = import_image(system, put(system, "installer.iso", installer), name="installer", **wanted)
    assert job["status"] == "SUCCESS", job
    image_id = job["entities"]["image_id"]
    server = system.create_server("installs", image_id=image_id, disk_gib=3)
    # The image may go; the file stays in the server's drive.
    importing.delete(system, image_id)
    system.wait_for_console(server, f"installer: a disk of {3 * 1024**3 // 512} sectors holds ''")
    system.wait_for_server(server, "SHUTOFF")
    assert refusal(post(system, "/v2/cloudimages/action", name="n", instance_id=server)) == "IMG.0063"
    system.act(server, {"os-start": None})
    system.wait_for_console(server, "sectors holds 'installed'")
    (row,) = system.sql("SELECT cdrom_layer_id FROM servers WHERE id = :id", id=server)
    system.wait_for_server(server, "SHUTOFF")
    system.delete_server(server)
    assert not system.sql("SELECT id FROM layers WHERE id = :id AND state != 'doomed'", id=row.cdrom_layer_id)
