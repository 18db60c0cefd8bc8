"""How long from POST /v2/cloudimages/action to a job that says SUCCESS, at several disk sizes.

Starts a system of its own, makes one stopped server per disk size, captures each again and again (the sizes taking
turns), and prints p50 and p99 per size. Every image is deleted again, so that the catalogue stays small.

Usage: python -m benchmarks.capture [--captures 50] [--sizes 1,10,100] [--json FILE]
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import httpx
from tests.conftest import running_system
from tests.system import System

from benchmarks.processes import cpu_seconds, pss_kib, tree_of

POLL_S = 0.004
IDLE_S = 30
PAUSE_S = 0.25
"""Between two captures, as somebody would leave; consolidation of the last one goes on meanwhile."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captures", type=int, default=50)
    parser.add_argument("--sizes", default="1,10,100", help="disk sizes in GiB")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with running_system(image_quota=1000) as system:
        times = measure(system, sizes, options.captures)
        waits = start_latencies_s(system)
        idle = idle_costs(system)
    report = {f"{size} GiB": summary(times[size]) for size in sizes}
    print(f"POST /v2/cloudimages/action to SUCCESS, {options.captures} captures a size, {platform.node()}")
    print(f"{'disk':>8} {'p50 ms':>8} {'p99 ms':>8} {'min':>8} {'max':>8}")
    for size, row in report.items():
        print(f"{size:>8} {row['p50']:8.1f} {row['p99']:8.1f} {row['min']:8.1f} {row['max']:8.1f}")
    started = summary(waits)
    print(
        f"\njob submitted to job running: p50 {started['p50']:.1f} ms, p99 {started['p99']:.1f} ms, {len(waits)} jobs"
    )
    print(f"idle for {IDLE_S} s: {idle['cpu_percent']:.2f} % of a core, {idle['pss_mib']:.0f} MiB PSS in all processes")
    report |= {"start": started, "idle": idle}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))


def summary(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * value for value in times_s)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return {"p50": statistics.median(ordered), "p99": p99, "min": ordered[0], "max": ordered[-1]}


def measure(system: System, sizes: list[int], captures: int) -> dict[int, list[float]]:
    servers = {size: system.stopped_server(f"bench-{size}", disk_gib=size) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    project = system.project_id()
    with system.http("image") as image:
        for number in range(captures):
            for size, server in servers.items():
                seconds, image_id = capture_once(image, project, server, f"bench-{size}-{number}")
                times[size].append(seconds)
                image.delete(f"/v2/images/{image_id}").raise_for_status()
                time.sleep(PAUSE_S)
    return times


def start_latencies_s(system: System) -> list[float]:
    rows = system.sql("SELECT started_at - created_at AS waited FROM jobs WHERE kind = 'image_capture'")
    return [row.waited / 1e6 for row in rows]


def idle_costs(system: System) -> dict[str, float]:
    """What everything that `up` started costs when nobody asks for anything."""
    while system.sql("SELECT id FROM jobs WHERE state IN ('queued', 'running', 'cancelling')"):
        time.sleep(1)
    time.sleep(10)
    tree = tree_of(int(json.loads(system.run("stillframe", "-o", "json", "status").stdout)["pid"]))
    before = sum(cpu_seconds(pid) for pid in tree)
    time.sleep(IDLE_S)
    used = sum(cpu_seconds(pid) for pid in tree) - before
    return {"cpu_percent": 100 * used / IDLE_S, "pss_mib": sum(pss_kib(pid) for pid in tree) / 1024}


def capture_once(image: httpx.Client, project: str, server: str, name: str) -> tuple[float, str]:
    started = time.perf_counter()
    answer = image.post("/v2/cloudimages/action", json={"name": name, "instance_id": server})
    answer.raise_for_status()
    while True:
        job = image.get(f"/v1/{project}/jobs/{answer.json()['job_id']}").json()
        if job["status"] == "SUCCESS":
            return time.perf_counter() - started, job["entities"]["image_id"]
        assert job["status"] != "FAIL", job
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
