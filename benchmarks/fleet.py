"""Many servers at the same time: created, booted, stopped, captured and deleted, each by a client of its own.

Starts a system of its own. Every phase begins when all servers have come through the one before; what fails is told and
makes the exit code 1.

Usage: python -m benchmarks.fleet [--servers 20] [--json FILE]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conftest import running_system
from tests.system import System

FLAVOR = "s3.tiny"
PATIENCE_S = 1800.0
READY = "stillframe: ready"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with running_system() as system:
        fleet = Fleet(system, options.servers)
        fleet.run()
    cores = os.cpu_count()
    print(f"{options.servers} servers of {FLAVOR} at once, {cores} cores, load {load:.1f} before, {platform.node()}")
    print(f"{'':<28} {'all done s':>10} {'each: p50 s':>12} {'max s':>8}")
    for name, phase in fleet.phases.items():
        print(f"{name:<28} {phase['all_s']:10.1f} {phase['p50_s']:12.1f} {phase['max_s']:8.1f}")
    print(f"failures: {len(fleet.failures)}", *fleet.failures, sep="\n")
    if options.json:
        report = {"load": load, "phases": fleet.phases, "failures": fleet.failures}
        options.json.write_text(json.dumps(report, indent=2))
    sys.exit(bool(fleet.failures))


class Fleet:
    def __init__(self, system: System, count: int) -> None:
        self.system = system
        self.names = [f"fleet-{number:02d}" for number in range(count)]
        self.servers: dict[str, str] = {}
        self.images: dict[str, str] = {}
        self.phases: dict[str, dict[str, float]] = {}
        self.failures: list[str] = []
        self.image_id = system.public_image()
        system.project_id()

    def run(self) -> None:
        self.phase("create to ACTIVE", self.create)
        self.phase("guest is up", self.wait_for_guest)
        self.phase("stop to SHUTOFF", self.stop)
        self.phase("capture to SUCCESS", self.capture)
        self.phase("images flattened", self.wait_for_flattening)
        self.phase("delete to gone", self.delete)
        if left := self.system.sql("SELECT id FROM servers"):
            self.failures.append(f"{len(left)} servers are left")

    def phase(self, name: str, work: Callable[[str], None]) -> None:
        """Of every server that has not failed, at the same time."""

        def timed(server: str) -> float | None:
            begun = time.perf_counter()
            try:
                work(server)
            except Exception as error:  # noqa: BLE001 - a benchmark tells, and goes on with the others
                self.failures.append(f"{name}: {server}: {str(error)[:500]}")
                return None
            return time.perf_counter() - begun

        begun = time.perf_counter()
        with ThreadPoolExecutor(len(self.names)) as pool:
            results = dict(zip(self.names, pool.map(timed, self.names), strict=True))
        times = [seconds for seconds in results.values() if seconds is not None]
        self.names = [server for server, seconds in results.items() if seconds is not None]
        all_s = time.perf_counter() - begun
        self.phases[name] = {"all_s": all_s, "p50_s": statistics.median(times or [0]), "max_s": max(times, default=0)}

    def create(self, name: str) -> None:
        wanted = {"name": name, "flavorRef": FLAVOR, "imageRef": self.image_id, "networks": "auto"}
        with self.system.http("compute") as compute:
            answer = compute.post(f"/v2.1/{self.system.project_id()}/servers", json={"server": wanted})
        assert answer.status_code == 202, answer.text
        self.servers[name] = answer.json()["server"]["id"]
        self.system.wait_for_server(self.servers[name], "ACTIVE", PATIENCE_S)

    def wait_for_guest(self, name: str) -> None:
        self.system.wait_for_console(self.servers[name], READY, PATIENCE_S)

    def stop(self, name: str) -> None:
        answer = self.system.act(self.servers[name], {"os-stop": None})
        assert answer.status_code == 202, answer.text
        self.system.wait_for_server(self.servers[name], "SHUTOFF", PATIENCE_S)

    def capture(self, name: str) -> None:
        self.images[name] = self.system.capture(self.servers[name], f"{name}-image")

    def wait_for_flattening(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        with self.system.http("image") as image:
            while image.get(f"/v2/images/{self.images[name]}").json().get("os_hash_value") is None:
                assert time.monotonic() < deadline, "the image is not flattened"
                time.sleep(0.5)

    def delete(self, name: str) -> None:
        self.system.delete_server(self.servers[name], PATIENCE_S)
        with self.system.http("image") as image:
            image.delete(f"/v2/images/{self.images[name]}").raise_for_status()


if __name__ == "__main__":
    main()
