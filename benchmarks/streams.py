"""Few large requests: images sent and fetched by clients that cost next to nothing themselves."""

import hashlib
import http.client
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.processes import cpu_of
from benchmarks.report import Sample

_PIECE = 1024**2


class ImageService:
    """Glance's API, of whichever service answers it."""

    def __init__(self, url: str, token: str, costs: Sequence[int]) -> None:
        self.url = url
        self.headers = {"X-Auth-Token": token}
        self.costs = costs
        self._http = httpx.Client(base_url=url, headers=self.headers, timeout=600)

    def make(self, name: str) -> str:
        """A queued image's id."""
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare"}
        return str(self._http.post("/v2/images", json=wanted).raise_for_status().json()["id"])

    def delete(self, image_id: str) -> None:
        self._http.delete(f"/v2/images/{image_id}").raise_for_status()

    def check(self, image_id: str, size: int, md5: str) -> None:
        image = self._http.get(f"/v2/images/{image_id}").raise_for_status().json()
        if (image["status"], image["size"], image["checksum"]) != ("active", size, md5):
            raise RuntimeError(f"{self.url} has kept something else: {image}")

    def file_url(self, image_id: str) -> str:
        return f"{self.url}/v2/images/{image_id}/file"

    def upload(self, image_id: str, file: Path) -> None:
        """Raises: RuntimeError when it is refused."""
        put(self.file_url(image_id), file, self.headers)


def put(url: str, file: Path, headers: dict[str, str]) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=600)
    connection.putrequest("PUT", parts.path)
    sized = {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}
    for name, value in (headers | sized).items():
        connection.putheader(name, value)
    connection.endheaders()
    with file.open("rb") as data:
        try:
            connection.sock.sendfile(data)
        except OSError as error:
            raise RuntimeError(f"PUT {url}: {error} after {data.tell()} bytes") from error
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(f"PUT {url}: {answer.status} {answer.read()[:300]!r}")
    connection.close()


def get(url: str, size: int, headers: dict[str, str], feed: Callable[[memoryview], object] | None = None) -> None:
    """Raises: RuntimeError when it is refused or has another size."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=600)
    connection.request("GET", parts.path, headers=headers)
    answer = connection.getresponse()
    buffer, received = memoryview(bytearray(_PIECE)), 0
    while count := answer.readinto(buffer):
        received += count
        if feed:
            feed(buffer[:count])
    connection.close()
    if answer.status != 200 or received != size:
        raise RuntimeError(f"GET {url}: {answer.status}, {received} bytes instead of {size}")


def check_download(url: str, size: int, headers: dict[str, str], md5: str) -> None:
    """Raises: RuntimeError when it is not what was sent."""
    digest = hashlib.md5(usedforsecurity=False)
    get(url, size, headers, digest.update)
    if digest.hexdigest() != md5:
        raise RuntimeError(f"GET {url} answers other bytes")


def together(actions: Sequence[Callable[[], object]], size: int, costs: Sequence[int] = ()) -> Sample:
    """All at once; MB/s of all together, and the processor time of each."""
    before = cpu_of(costs)
    started = time.monotonic()
    with ThreadPoolExecutor(len(actions)) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()
    seconds = time.monotonic() - started
    cpu_s = (cpu_of(costs) - before) / len(actions) if costs else None
    return Sample(value=size * len(actions) / 1e6 / seconds, cpu_s=cpu_s)
