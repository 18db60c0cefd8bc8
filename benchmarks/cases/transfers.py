"""Uploads, downloads and ranges of images: random and sparse data, one client and eight."""

import hashlib
import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import ours
from benchmarks.bench import Bench
from benchmarks.load import Request, wrk
from benchmarks.processes import MemoryWatch, pss_mib_of
from benchmarks.report import OURS, Contestant, Goal, Sample
from benchmarks.streams import ImageService, check_download, get, together

PART = "transfers"
CLIENTS = 8
RANGE = 65536
CP = "cp or digests"


class Data(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    file: Path
    size: int
    md5: str


def measure(bench: Bench) -> None:
    size = 128 * 1024**2 if bench.quick else 1024**3
    directory = bench.nginx.directory if bench.nginx else bench.scratch
    random, sparse = _random(directory, size), _sparse(directory, size)
    services = {OURS: ImageService(bench.system.url("image"), bench.system.token(), [ours.main_pid(bench.system)])}
    if bench.peers:
        services["Glance"] = ImageService(bench.peers.glance, bench.peers.token(), [bench.peers.glance_pid])
    try:
        for data in (random, sparse):
            _uploads(bench, services, data, 1)
        # Glance as it is set up here ends some of so many connections: it is asked for downloads only.
        _uploads(bench, {OURS: services[OURS]}, random, CLIENTS)
        for data in (random, sparse):
            _downloads(bench, services, data)
    finally:
        random.file.unlink()
        sparse.file.unlink()


def _random(directory: Path, size: int) -> Data:
    file, digest = directory / "random", hashlib.md5(usedforsecurity=False)
    with file.open("wb") as output:
        for _ in range(size // 1024**2):
            piece = os.urandom(1024**2)
            digest.update(piece)
            output.write(piece)
    return Data(label=f"{size // 1024**2} MiB random", file=file, size=size, md5=digest.hexdigest())


def _sparse(directory: Path, size: int) -> Data:
    """A sixteenth is data, in pieces of a mebibyte."""
    file = directory / "sparse"
    with file.open("wb") as output:
        output.truncate(size)
        for position in range(0, size, 16 * 1024**2):
            output.seek(position)
            output.write(os.urandom(1024**2))
    with file.open("rb") as data:
        md5 = hashlib.file_digest(data, "md5").hexdigest()
    return Data(label=f"{size // 1024**2} MiB sparse", file=file, size=size, md5=md5)


def _uploads(bench: Bench, services: dict[str, ImageService], data: Data, clients: int) -> None:
    contestants: dict[str, Contestant] = {
        name: partial(_upload, service, data, clients) for name, service in services.items()
    }
    contestants[CP] = partial(_copy_or_digest, bench.scratch, data)
    goals: tuple[Goal, ...] = (Goal(against=CP, bound=0.8),) if data.label.endswith("random") else ()
    if goals and clients == 1:
        goals += (Goal(against="Glance", bound=2),)
    case = f"upload {data.label}, {_clients(clients)}"
    before = {name: pss_mib_of(service.costs) for name, service in services.items()}
    with MemoryWatch({name: service.costs for name, service in services.items()}) as watch:
        bench.measure(PART, case, "MB/s", contestants, goals=goals, rounds=1 if clients > 1 else None)
    if clients > 1:
        above = {name: watch.peak_mib[name] - before[name] for name in services}
        note = "at the highest moment, above what they held before"
        bench.compare(PART, f"memory during {case}", "MiB", above, goals=(Goal(bound=300),), note=note)


def _upload(service: ImageService, data: Data, clients: int) -> Sample:
    ids = [service.make(f"upload-{number}") for number in range(clients)]
    sample = together([partial(service.upload, image_id, data.file) for image_id in ids], data.size, service.costs)
    for image_id in ids:
        service.check(image_id, data.size, data.md5)
        service.delete(image_id)
    return sample


def _copy_or_digest(scratch: Path, data: Data) -> Sample:
    """The slower of what no upload gets around: writing the bytes, and both digests on a processor each."""
    copy = scratch / "copy"
    started = time.monotonic()
    subprocess.run(["cp", data.file, copy], check=True, start_new_session=True)
    copied_s = time.monotonic() - started
    copy.unlink()
    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(_digest, data.file), ("md5", "sha512")))
    return Sample(value=data.size / 1e6 / max(copied_s, time.monotonic() - started))


def _digest(file: Path, name: str) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, name).hexdigest()


def _downloads(bench: Bench, services: dict[str, ImageService], data: Data) -> None:
    urls = {}
    for name, service in services.items():
        image_id = service.make("download")
        service.upload(image_id, data.file)
        urls[name] = service.file_url(image_id)
        check_download(urls[name], data.size, service.headers, data.md5)
    for clients in (1, CLIENTS) if data.label.endswith("random") else (1,):
        contestants: dict[str, Contestant] = {
            name: partial(_download, urls[name], data, services[name].headers, clients, services[name].costs)
            for name in services
        }
        if bench.nginx:
            url = bench.nginx.url_of(data.file.name)
            contestants["nginx"] = partial(_download, url, data, {}, clients, [bench.nginx.pid])
        rounds = 1 if clients > 1 else None
        goals = (Goal(against="nginx", bound=0.9),)
        case = f"download {data.label}, {_clients(clients)}"
        bench.measure(PART, case, "MB/s", contestants, goals=goals, rounds=rounds)
    if data.label.endswith("random"):
        _ranges(bench, services, urls, data)
    for name, service in services.items():
        service.delete(urls[name].split("/")[-2])


def _download(url: str, data: Data, headers: dict[str, str], clients: int, costs: Sequence[int]) -> Sample:
    return together([partial(get, url, data.size, headers)] * clients, data.size, costs)


def _ranges(bench: Bench, services: dict[str, ImageService], urls: dict[str, str], data: Data) -> None:
    script = f"""
request = function()
  local first = math.random(0, {data.size // RANGE - 1}) * {RANGE}
  wrk.headers['Range'] = string.format('bytes=%d-%d', first, first + {RANGE - 1})
  return wrk.format()
end
"""
    asked = {name: (urls[name], service.headers, service.costs) for name, service in services.items()}
    if bench.nginx:
        asked["nginx"] = (bench.nginx.url_of(data.file.name), {}, [bench.nginx.pid])
    contestants: dict[str, Contestant] = {
        name: partial(wrk, Request(url=url, headers=headers, script=script), bench.seconds, 8, costs)
        for name, (url, headers, costs) in asked.items()
    }
    bench.measure(PART, "read 64 KiB anywhere in an image", "requests/s", contestants)


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"
