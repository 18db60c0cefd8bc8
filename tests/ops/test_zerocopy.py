"""Downloads that the kernel sends: every byte, over connections that are used again; nothing is left of broken ones."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system import System

SIZE = 24 * 1024 * 1024 + 9 * 512


@pytest.fixture(scope="module")
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def image_id(system: System, data: bytes) -> Iterator[str]:
    with system.http("image") as image:
        new = image.post("/v2/images", json={"name": "zero-copy", "disk_format": "raw", "container_format": "bare"})
        found = new.json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert image.put(f"/v2/images/{found}/file", content=data, headers=octets).status_code == 204
        yield found
        image.delete(f"/v2/images/{found}")


def test_every_byte_arrives_on_a_connection_that_is_used_again(system: System, image_id: str, data: bytes) -> None:
    with system.http("image") as image:
        for _ in range(3):
            answer = image.get(f"/v2/images/{image_id}/file")
            assert hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest()
            middle = image.get(f"/v2/images/{image_id}/file", headers={"Range": f"bytes=777-{SIZE - 1000}"})
            assert middle.status_code == 206
            assert middle.content == data[777 : SIZE - 999]
            assert image.get(f"/v2/images/{image_id}").json()["size"] == SIZE


def test_requests_sent_ahead_are_answered_in_their_order(system: System, image_id: str, data: bytes) -> None:
    where = httpx.URL(system.url("image"))
    head = f"HTTP/1.1\r\nHost: {where.host}\r\nX-Auth-Token: {system.token()}\r\n"
    path = f"/v2/images/{image_id}"
    requests = f"GET {path}/file {head}\r\nGET {path}/file {head}Range: bytes=0-9\r\nConnection: close\r\n\r\n"
    with socket.create_connection((where.host, where.port)) as connection:
        connection.sendall(requests.encode())
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert received.count(data) == 1
    assert received.endswith(b"\r\n\r\n" + data[:10])


def test_a_client_that_goes_away_leaves_no_open_file(system: System, image_id: str) -> None:
    where = httpx.URL(system.url("image"))
    request = f"GET /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {system.token()}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection((where.host, where.port)) as connection:
            connection.sendall(request.encode())
            assert connection.recv(1000)
    deadline = time.monotonic() + 20
    while _open_layers(system):
        assert time.monotonic() < deadline, _open_layers(system)
        time.sleep(0.1)


def _open_layers(system: System) -> list[str]:
    parent = (system.data_dir / "run" / "up.pid").read_text().strip()
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    api = next(pid for pid in children if b"stillframe: api" in Path(f"/proc/{pid}/cmdline").read_bytes())
    opened = [entry.readlink() for entry in Path(f"/proc/{api}/fd").iterdir() if entry.is_symlink()]
    return [str(path) for path in opened if path.is_relative_to(system.data_dir / "layers")]


def test_who_reads_slowly_gets_everything(system: System, image_id: str, data: bytes) -> None:
    with system.http("image") as image, image.stream("GET", f"/v2/images/{image_id}/file") as answer:
        pieces = []
        for number, piece in enumerate(answer.iter_bytes(1 << 20)):
            pieces.append(piece)
            if number < 10:
                time.sleep(0.05)
        assert b"".join(pieces) == data
