"""What is done with a whole disk of a Linux system: capture, flattening, making volumes and servers, import, export.

Beside qemu-img with the same disk, which is what other services run for the same purpose.
"""

import hashlib
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.system import System

from benchmarks.bench import Bench
from benchmarks.cases.captures import capture_once
from benchmarks.linux_disk import make_linux_disk
from benchmarks.report import OURS, Contestant, Goal, Sample

PART = "disks"
BUCKET = "bench"
OS_VERSION = "Debian GNU/Linux 12.0.0 64bit"
CONVERT = {
    "qemu-img convert -c": ("-c",),
    "qemu-img convert": (),
    "qemu-img convert -W": ("-W",),
}


class Disk:
    """One file system of this machine's own programs and libraries, uncompressed, in the formats that are needed."""

    def __init__(self, directory: Path, size_mib: int) -> None:
        self.directory = directory
        self.size_gib = -(-size_mib * 2 // 1024)
        self.qcow2 = directory / "disk.qcow2"
        self.vmdk = directory / "disk.vmdk"
        raw = make_linux_disk(directory, content_mib=size_mib, size_gib=self.size_gib)
        convert(raw, self.qcow2, ("-W",), source_format="raw")
        convert(raw, self.vmdk, (), source_format="raw", target_format="vmdk")
        raw.unlink()
        self.label = f"{self.qcow2.stat().st_size / 1024**3:.1f} GiB Linux disk"


def measure(bench: Bench) -> None:
    disk = Disk(bench.scratch, 200 if bench.quick else 1024)
    system = bench.system
    image_id = _upload(system, disk)
    volume_id = _volume(system, image_id, disk.size_gib)
    converted = _captures(bench, disk, volume_id)
    _copies(bench, disk, image_id, converted)
    _imports(bench, disk)
    _export(bench, disk, image_id)


def _captures(bench: Bench, disk: Disk, volume_id: str) -> dict[str, float]:
    """Capturing, flattening, and how large that gets; answers the seconds that each conversion takes."""
    sizes: dict[str, float] = {}
    captured: list[float] = []

    def flatten() -> Sample:
        seconds, flattened_s, size = _capture(bench.system, volume_id)
        captured.append(seconds)
        sizes[OURS] = size / 1024**2
        return Sample(value=flattened_s)

    def plain(name: str) -> Sample:
        out = disk.directory / "converted.qcow2"
        seconds = convert(disk.qcow2, out, CONVERT[name])
        sizes[name] = out.stat().st_blocks * 512 / 1024**2
        out.unlink()
        return Sample(value=seconds)

    contestants: dict[str, Contestant] = {OURS: flatten} | {name: partial(plain, name) for name in CONVERT}
    goals = (Goal(against="qemu-img convert -c", bound=5),)
    row = bench.measure(PART, f"flatten and compress a {disk.label}", "s", contestants, goals=goals, rounds=1)
    bench.compare(PART, "its size then", "MiB", sizes, goals=(Goal(against="qemu-img convert -c", bound=1),))
    converted = {name: row.results[name].value for name in CONVERT}
    sealed = {OURS: captured[0]} | converted
    at_once = (Goal(bound=0.1), Goal(against="qemu-img convert", bound=100))
    bench.compare(PART, f"capture a volume with a {disk.label}", "s", sealed, goals=at_once)
    return converted


def _capture(system: System, volume_id: str) -> tuple[float, float, int]:
    """Seconds until it is an image, seconds its flattening took, bytes it has then."""
    wanted = {"name": "captured", "volume_id": volume_id, "os_version": OS_VERSION}
    with system.http("image") as image:
        seconds, image_id = capture_once(image, system.project_id(), wanted)
        while not (shown := image.get(f"/v2/images/{image_id}").raise_for_status().json())["checksum"]:
            time.sleep(0.2)
        image.delete(f"/v2/images/{image_id}").raise_for_status()
    query = "SELECT finished_at - started_at AS took FROM jobs WHERE kind = 'image_consolidate' AND subject_id = :image"
    (job,) = system.sql(query, image=image_id)
    return seconds, job.took / 1e6, shown["size"]


def _copies(bench: Bench, disk: Disk, image_id: str, converted: dict[str, float]) -> None:
    """Volumes and servers of the image."""
    system = bench.system

    def volume() -> Sample:
        started = time.monotonic()
        _volume(system, image_id, disk.size_gib)
        return Sample(value=time.monotonic() - started)

    def server() -> Sample:
        started = time.monotonic()
        server_id = system.create_server("bench", image_id=image_id, disk_gib=disk.size_gib)
        seconds = time.monotonic() - started
        system.delete_server(server_id)
        return Sample(value=seconds)

    plain = Sample(value=converted["qemu-img convert"])
    contestants: dict[str, Contestant] = {OURS: volume, "qemu-img convert": lambda: plain}
    bench.measure(PART, f"make a volume of a {disk.label}", "s", contestants)
    bench.measure(PART, f"boot a server from a {disk.label}, to ACTIVE", "s", {OURS: server})


def _imports(bench: Bench, disk: Disk) -> None:
    system = bench.system
    system.s3().create_bucket(Bucket=BUCKET)
    for file, source_format in ((disk.qcow2, "qcow2"), (disk.vmdk, "vmdk")):
        system.s3().upload_file(str(file), BUCKET, file.name)
        wanted = {"name": "imported", "image_url": f"{BUCKET}:{file.name}", "os_version": OS_VERSION}
        contestants: dict[str, Contestant] = {OURS: partial(_import, system, wanted | {"min_disk": disk.size_gib})}
        if source_format == "qcow2":
            contestants["cp and digests"] = partial(_copy_and_digest, disk, file)
        else:
            contestants["qemu-img convert -c -W, zstd"] = partial(_as_ours, disk, file, source_format)
            contestants["qemu-img convert -c"] = partial(_converted, disk, file, source_format)
        bench.measure(PART, f"import a {disk.label} from OBS, {source_format}", "s", contestants, rounds=1)


def _export(bench: Bench, disk: Disk, image_id: str) -> None:
    system = bench.system

    def export() -> Sample:
        wanted = {"bucket_url": f"{BUCKET}:exported.qcow2", "file_format": "qcow2"}
        seconds = _run_job(system, lambda image: image.post(f"/v1/cloudimages/{image_id}/file", json=wanted))[0]
        system.s3().delete_object(Bucket=BUCKET, Key="exported.qcow2")
        return Sample(value=seconds)

    contestants: dict[str, Contestant] = {
        OURS: export,
        "qemu-img convert -c -W": lambda: Sample(value=_timed_convert(disk, disk.qcow2, "qcow2", ("-c", "-W"))),
    }
    bench.measure(PART, f"export a {disk.label} to OBS, qcow2", "s", contestants, rounds=1)


def _import(system: System, wanted: dict[str, Any]) -> Sample:
    seconds, job = _run_job(system, lambda image: image.post("/v2/cloudimages/action", json=wanted))
    with system.http("image") as image:
        image.delete(f"/v2/images/{job['entities']['image_id']}").raise_for_status()
    return Sample(value=seconds)


def _run_job(system: System, submit: Callable[[Any], Any]) -> tuple[float, dict[str, Any]]:
    started = time.monotonic()
    with system.http("image") as image:
        answer = submit(image).raise_for_status()
    job = system.wait_for_job(answer.json()["job_id"], timeout=600)
    if job["status"] != "SUCCESS":
        raise RuntimeError(f"{job}")
    return time.monotonic() - started, job


def _upload(system: System, disk: Disk) -> str:
    wanted = {"name": "linux", "disk_format": "qcow2", "container_format": "bare", "min_disk": disk.size_gib}
    with system.http("image") as image, disk.qcow2.open("rb") as data:
        image_id = str(image.post("/v2/images", json=wanted).raise_for_status().json()["id"])
        headers = {"Content-Type": "application/octet-stream"}
        image.put(f"/v2/images/{image_id}/file", content=data, headers=headers, timeout=600).raise_for_status()
    return image_id


def _volume(system: System, image_id: str, size_gib: int) -> str:
    """One that is available."""
    base = f"/v3/{system.project_id()}/volumes"
    with system.http("volume") as volume:
        wanted = {"volume": {"name": "bench", "size": size_gib, "imageRef": image_id}}
        volume_id = str(volume.post(base, json=wanted).raise_for_status().json()["volume"]["id"])
        while (shown := volume.get(f"{base}/{volume_id}").json()["volume"])["status"] != "available":
            if shown["status"] == "error":
                raise RuntimeError(f"{shown}")
            time.sleep(0.01)
    return volume_id


def _copy_and_digest(disk: Disk, file: Path) -> Sample:
    started = time.monotonic()
    subprocess.run(["cp", file, disk.directory / "copy"], check=True, start_new_session=True)
    with file.open("rb") as data:
        hashlib.file_digest(data, "sha512")
    (disk.directory / "copy").unlink()
    return Sample(value=time.monotonic() - started)


def _as_ours(disk: Disk, file: Path, source_format: str) -> Sample:
    options = ("-c", "-W", "-m", "8", "-o", "compression_type=zstd")
    return Sample(value=_timed_convert(disk, file, source_format, options))


def _converted(disk: Disk, file: Path, source_format: str) -> Sample:
    return Sample(value=_timed_convert(disk, file, source_format, ("-c",)))


def _timed_convert(disk: Disk, file: Path, source_format: str, options: tuple[str, ...]) -> float:
    out = disk.directory / "converted.qcow2"
    seconds = convert(file, out, options, source_format=source_format)
    out.unlink()
    return seconds


def convert(
    source: Path, out: Path, options: tuple[str, ...], *, source_format: str = "qcow2", target_format: str = "qcow2"
) -> float:
    """Seconds; durable at the end, as ours is."""
    argv = ["qemu-img", "convert", "-f", source_format, "-O", target_format, *options, str(source), str(out)]
    started = time.monotonic()
    subprocess.run(argv, check=True, start_new_session=True)
    subprocess.run(["sync", out], check=True, start_new_session=True)
    return time.monotonic() - started
