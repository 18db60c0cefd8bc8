"""A data directory on a small disk: what fills it fails, gives back what it took, and the service goes on."""

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import free_port_offset
from tests.system import System

MIB = 1024 * 1024
DISK_MIB = 420


@pytest.fixture(scope="module")
def small() -> Iterator[System]:
    data_dir = Path(tempfile.mkdtemp(prefix="sf-small-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "tmpfs", str(data_dir)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    system = System(data_dir=data_dir, port_offset=free_port_offset(), settings={"host_disk_reserve_bytes": MIB})
    try:
        system.up()
        yield system
    finally:
        system.destroy()
        subprocess.run(["umount", "--lazy", str(data_dir)], check=True)
        data_dir.rmdir()


def free_mib(system: System) -> int:
    found = os.statvfs(system.data_dir)
    return found.f_bavail * found.f_frsize // MIB


def new_image(system: System) -> str:
    with system.http("image") as image:
        body = {"name": "large", "disk_format": "raw", "container_format": "bare"}
        return str(image.post("/v2/images", json=body).json()["id"])


def upload(system: System, image_id: str, pieces: Iterator[bytes]) -> httpx.Response:
    with system.http("image") as image:
        headers = {"Content-Type": "application/octet-stream"}
        return image.put(f"/v2/images/{image_id}/file", content=pieces, headers=headers)


def status_of(system: System, image_id: str) -> str:
    with system.http("image") as image:
        return str(image.get(f"/v2/images/{image_id}").json()["status"])


def test_an_upload_that_does_not_fit_leaves_room_for_everything_else(small: System) -> None:
    image_id, before = new_image(small), free_mib(small)
    least = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            least[0] = min(least[0], free_mib(small))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        answer = upload(small, image_id, (os.urandom(MIB) for _ in range(2 * DISK_MIB)))
    finally:
        done.set()
        watching.join()
    assert answer.status_code == 503
    assert least[0] > 32
    assert status_of(small, image_id) == "queued"
    assert free_mib(small) > before - 8
    assert upload(small, image_id, iter([bytes(MIB)])).status_code == 204


def test_an_upload_gives_back_its_room_when_somebody_else_has_filled_the_disk(small: System) -> None:
    """To the last byte, so that nothing could be noted in the database before."""
    image_id, ballast = new_image(small), small.data_dir / "ballast"

    def pieces() -> Iterator[bytes]:
        yield os.urandom(24 * MIB)
        time.sleep(0.5)
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
        for _ in range(32):
            yield os.urandom(MIB)

    try:
        answer = upload(small, image_id, pieces())
        assert answer.status_code == 503, answer.text
        assert status_of(small, image_id) == "queued"
        assert free_mib(small) >= 16
        assert small.run("stillframe", "status").returncode == 0
    finally:
        ballast.unlink()
    assert upload(small, image_id, iter([bytes(MIB)])).status_code == 204
