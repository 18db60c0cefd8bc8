"""What every part is handed: how long to take, what there is to compare with, and where finished rows go."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from tests.system import System

from benchmarks import ours, peers
from benchmarks.limits import Nginx, RawServer
from benchmarks.peers import Peers
from benchmarks.report import Contestant, Goal, Row, Sample, cells, interleaved, summed_up


class Bench:
    """`system` is one of ours with next to nothing in it; it is there from the first part that asks for it on."""

    def __init__(
        self,
        *,
        scratch: Path,
        raw: RawServer,
        nginx: Nginx | None,
        rounds: int,
        seconds: float,
        quick: bool,
        with_peers: bool,
    ) -> None:
        self.scratch = scratch
        self.raw = raw
        self.nginx = nginx
        self.rounds = rounds
        self.seconds = seconds
        """Of one run of a load."""
        self.quick = quick
        self.rows: list[Row] = []
        self.remarks: list[str] = []
        self.has_failed = False
        self.stack = contextlib.ExitStack()
        self._system: System | None = None
        self._peers: Peers | None = None
        self._peers_wanted = with_peers

    @property
    def system(self) -> System:
        if self._system is None:
            self._system = self.stack.enter_context(ours.started())
        return self._system

    @property
    def peers(self) -> Peers | None:
        """None where they are not wanted or cannot be had."""
        if self._peers is None and self._peers_wanted:
            self._peers_wanted = False
            try:
                self._peers = self.stack.enter_context(peers.started(self.scratch))
            except (OSError, RuntimeError, subprocess.CalledProcessError, httpx.HTTPError) as error:
                self.remarks.append(f"Keystone and Glance are missing: {error}")
                print(self.remarks[-1], flush=True)
        return self._peers

    @property
    def peers_run(self) -> bool:
        return self._peers is not None

    def measure(
        self,
        part: str,
        case: str,
        unit: str,
        contestants: Mapping[str, Contestant],
        *,
        goals: tuple[Goal, ...] = (),
        rounds: int | None = None,
        note: str = "",
    ) -> Row:
        """Lets the contestants take turns; the row is printed and kept."""
        results = interleaved(contestants, rounds or self.rounds)
        return self.add(
            Row(part=part, case=case, unit=unit, results=results, goals=list(goals), load=os.getloadavg()[0], note=note)
        )

    def compare(
        self,
        part: str,
        case: str,
        unit: str,
        values: Mapping[str, float],
        *,
        goals: tuple[Goal, ...] = (),
        note: str = "",
    ) -> Row:
        """A row of what was measured in one go."""
        results = {name: summed_up([Sample(value=value)]) for name, value in values.items()}
        load = os.getloadavg()[0]
        return self.add(Row(part=part, case=case, unit=unit, results=results, goals=list(goals), load=load, note=note))

    def add(self, row: Row) -> Row:
        self.rows.append(row)
        print("  " + " | ".join(cell for cell in cells(row) if cell), flush=True)
        return row


@contextlib.contextmanager
def cleaned_up(bench: Bench) -> Iterator[Bench]:
    with bench.stack:
        yield bench
