"""What it takes to start, and what it costs when nobody asks for anything."""

import time
from collections.abc import Mapping, Sequence

from tests.system import System

from benchmarks import ours
from benchmarks.bench import Bench
from benchmarks.processes import cpu_of, pss_mib_of
from benchmarks.report import OURS, Contestant, Goal, Sample

PART = "footprint"


def measure(bench: Bench) -> None:
    settle_s, watch_s = (3, 5) if bench.quick else (10, 30)
    with ours.started() as system:
        starts: dict[str, Contestant] = {OURS: lambda: _restart(system)}
        if peers := bench.peers:
            starts["Keystone and Glance"] = lambda: Sample(value=peers.startup_s)
        bench.measure(PART, "up to the first authenticated answer", "s", starts, goals=(Goal(bound=3),))
        trees = {OURS: [ours.main_pid(system)]}
        if peers:
            trees["Keystone and Glance"] = peers.pids
        time.sleep(settle_s)
        cpu = _idle_cpu(trees, watch_s)
        memory = {name: pss_mib_of(pids) for name, pids in trees.items()}
    bench.compare(PART, "idle memory (PSS)", "MiB", memory, goals=(Goal(against="Keystone and Glance", bound=2),))
    bench.compare(PART, "idle processor time", "% of a core", cpu)


def _restart(system: System) -> Sample:
    """Of a system that has run before; with a login, since a client that starts has no token yet."""
    system.down()
    started = time.monotonic()
    system.up()
    token = system.new_token()
    with system.http("image") as image:
        image.get("/v2/images", headers={"X-Auth-Token": token}).raise_for_status()
    return Sample(value=time.monotonic() - started)


def _idle_cpu(trees: Mapping[str, Sequence[int]], seconds: float) -> dict[str, float]:
    before = {name: cpu_of(pids) for name, pids in trees.items()}
    time.sleep(seconds)
    return {name: 100 * (cpu_of(pids) - before[name]) / seconds for name, pids in trees.items()}
