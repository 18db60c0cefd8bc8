"""What a guest writes to a volume is there wherever the volume's data goes: the same server, an image, another server.

One guest does it all, since starting one is what takes the time. It runs on one database: what it shows is about disks.
"""

import time
from typing import Any

import pytest

from tests.system import System

# The guest looks for a disk of 2 GiB; what it finds on it goes to the console, and every line it is given is written.
SCRIPT = r"""#!/bin/sh
disk() { for d in /sys/block/vd*; do [ "$(cat $d/size)" = 4194304 ] && echo /dev/${d##*/}; done; }
(
    seen=
    while :; do
        now=$(disk | head -n 1)
        if [ "$now" != "$seen" ]; then
            seen=$now
            if [ -n "$now" ]; then
                echo "disk says $(head -c 6 $now | tr -d '\0')." >/dev/console
                echo written | dd of=$now conv=fsync 2>/dev/null
                echo "disk was written" >/dev/console
            else
                echo "disk is gone" >/dev/console
            fi
        fi
        sleep 0.3
    done
) &
"""


pytestmark = pytest.mark.parametrize(
    "system", [pytest.param("sqlite", marks=pytest.mark.xdist_group("sqlite"))], indirect=True
)


def wait_for_volume(system: System, volume_id: str, status: str, timeout: float = 90.0) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    with system.http("volume") as door:
        while True:
            volume = door.get(f"/v3/{system.project_id()}/volumes/{volume_id}").json()["volume"]
            if volume["status"] == status:
                return dict(volume)
            assert time.monotonic() < deadline, volume
            time.sleep(0.1)


def create_volume(system: System, **wanted: Any) -> str:
    with system.http("volume") as door:
        answer = door.post(f"/v3/{system.project_id()}/volumes", json={"volume": wanted})
        assert answer.status_code == 202, answer.text
    volume_id: str = answer.json()["volume"]["id"]
    wait_for_volume(system, volume_id, "available")
    return volume_id


def attachments(system: System, server_id: str) -> str:
    return f"/v2.1/{system.project_id()}/servers/{server_id}/os-volume_attachments"


def image_of(system: System, path: str, body: dict[str, Any]) -> str:
    with system.http("image") as door:
        answer = door.post(path, json=body)
        assert answer.status_code == 200, answer.text
    job = system.wait_for_job(answer.json()["job_id"])
    assert job["status"] == "SUCCESS", job
    return str(job["entities"]["image_id"])


def test_a_guests_data_survives_detaching_capturing_and_booting_elsewhere(system: System) -> None:
    volume_id = create_volume(system, size=2, name="data")
    server_id = system.create_server("writer", user_data=SCRIPT)
    system.wait_for_console(server_id, "stillframe: ready")
    with system.http("compute") as compute:
        answer = compute.post(attachments(system, server_id), json={"volumeAttachment": {"volumeId": volume_id}})
        assert answer.status_code == 200, answer.text
        system.wait_for_console(server_id, "disk says .")
        system.wait_for_console(server_id, "disk was written")
        wait_for_volume(system, volume_id, "in-use")
        whole_id = image_of(
            system, "/v1/cloudimages/wholeimages/action", {"name": "while-it-runs", "instance_id": server_id}
        )
        assert compute.delete(f"{attachments(system, server_id)}/{volume_id}").status_code == 202
        wait_for_volume(system, volume_id, "available")
        system.wait_for_console(server_id, "disk is gone")
    system.delete_server(server_id)
    data_id = image_of(
        system, "/v2/cloudimages/action", {"data_images": [{"name": "data-image", "volume_id": volume_id}]}
    )
    copy_id = create_volume(system, size=2, imageRef=data_id)
    disks = [
        {"boot_index": 0, "uuid": system.public_image(), "source_type": "image", "destination_type": "volume"},
        {"boot_index": -1, "uuid": copy_id, "source_type": "volume", "destination_type": "volume"},
    ]
    reader = system.create_server("reader", user_data=SCRIPT, block_devices=disks)
    twin = system.create_server("twin", image_id=whole_id, user_data=SCRIPT)
    system.wait_for_console(reader, "disk says writte.")
    system.wait_for_console(twin, "disk says writte.")
    for one in (reader, twin):
        system.delete_server(one)
