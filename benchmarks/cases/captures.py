"""From POST /v2/cloudimages/action to a job that says SUCCESS, of stopped servers with disks of several sizes.

The sizes take turns, and each image is deleted again, so that the catalogue stays small; flattening the image before
goes on meanwhile, as it would.
"""

import os
import time

import httpx
from tests.system import System

from benchmarks.bench import Bench
from benchmarks.report import OURS, Goal, Result, Row, latencies

PART = "captures"
SIZES_GIB = (1, 10, 100)
CAPTURES, QUICK_CAPTURES = 30, 5
BOOT_S = 300.0
POLL_S = 0.004
PAUSE_S = 0.25
"""Between two captures, as somebody would leave."""


def measure(bench: Bench) -> None:
    system = bench.system
    servers = {size: _stopped_server(system, size) for size in SIZES_GIB}
    times: dict[int, list[float]] = {size: [] for size in SIZES_GIB}
    with system.http("image") as image:
        for number in range(QUICK_CAPTURES if bench.quick else CAPTURES):
            for size, server in servers.items():
                wanted = {"name": f"bench-{size}-{number}", "instance_id": server}
                seconds, image_id = capture_once(image, system.project_id(), wanted)
                times[size].append(seconds)
                image.delete(f"/v2/images/{image_id}").raise_for_status()
                time.sleep(PAUSE_S)
    results = {size: latencies(seconds) for size, seconds in times.items()}
    for size, result in results.items():
        _add(
            bench, f"capture a server, {size} GiB disk", result, None if size == SIZES_GIB[0] else results[SIZES_GIB[0]]
        )
    _add(bench, "a capture's job, from submitted to running", latencies(_waits(system)), None)
    for server in servers.values():
        system.delete_server(server)


def _stopped_server(system: System, disk_gib: int) -> str:
    """One that has booted once; emulated guests take their time where others are at work, too."""
    server_id = system.create_server(f"bench-{disk_gib}", disk_gib=disk_gib)
    system.wait_for_console(server_id, "stillframe: ready", timeout=BOOT_S)
    system.act(server_id, {"os-stop": None})
    system.wait_for_server(server_id, "SHUTOFF", timeout=BOOT_S)
    return server_id


def _add(bench: Bench, case: str, result: Result, smallest: Result | None) -> None:
    results, goals = {OURS: result}, []
    if case.startswith("capture"):
        goals.append(Goal(bound=100))
    if smallest:
        results[f"{SIZES_GIB[0]} GiB"] = smallest
        goals.append(Goal(against=f"{SIZES_GIB[0]} GiB", bound=0.8))
    bench.add(Row(part=PART, case=case, unit="ms", results=results, goals=goals, load=os.getloadavg()[0]))


def capture_once(image: httpx.Client, project: str, wanted: dict[str, str]) -> tuple[float, str]:
    """Seconds, and the image's id."""
    started = time.perf_counter()
    answer = image.post("/v2/cloudimages/action", json=wanted).raise_for_status()
    while True:
        job = image.get(f"/v1/{project}/jobs/{answer.json()['job_id']}").json()
        if job["status"] == "SUCCESS":
            return time.perf_counter() - started, job["entities"]["image_id"]
        if job["status"] == "FAIL":
            raise RuntimeError(f"capture: {job}")
        time.sleep(POLL_S)


def _waits(system: System) -> list[float]:
    rows = system.sql("SELECT started_at - created_at AS waited FROM jobs WHERE kind = 'image_capture'")
    return [row.waited / 1e6 for row in rows]
