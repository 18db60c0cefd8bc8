"""What every part is handed: how long to take, what there is to compare with, and where finished rows go."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.system import System

from benchmarks import ours
from benchmarks.limits import Nginx, RawServer
from benchmarks.report import Contestant, Goal, Row, cells, interleaved


class Bench:
    """`system` is one of ours with next to nothing in it; it is there from the first part that asks for it on."""

    def __init__(
        self, *, scratch: Path, raw: RawServer, nginx: Nginx | None, rounds: int, seconds: float, quick: bool
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
        self.stack = contextlib.ExitStack()
        self._system: System | None = None

    @property
    def system(self) -> System:
        if self._system is None:
            self._system = self.stack.enter_context(ours.started())
        return self._system

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

    def add(self, row: Row) -> Row:
        self.rows.append(row)
        print("  " + " | ".join(cell for cell in cells(row) if cell), flush=True)
        return row


@contextlib.contextmanager
def cleaned_up(bench: Bench) -> Iterator[Bench]:
    with bench.stack:
        yield bench
