"""What a waiting user sees on stderr: a live line on a terminal, one plain line per change anywhere else."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stillframe.cli.output import format_bytes, format_seconds, printable, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PERCENT_STEP = 10.0
_QUIET_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Status:
    """`percent` is of the running phase. Bytes are 0 where the service does not tell them."""

    phase: str
    percent: float | None = None
    bytes_done: int = 0
    bytes_total: int = 0


class Display(Protocol):
    def update(self, status: Status) -> None: ...


class PlainDisplay:
    """A line when the phase changes, at every tenth of the way, and at least every ten seconds while it moves."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._shown: Status | None = None
        self._shown_at = 0.0
        self._rate = Rate()

    def update(self, status: Status) -> None:
        now = time.monotonic()
        self._rate.add(status, now)
        if not self._is_news(status, now):
            return
        self._shown, self._shown_at = status, now
        details = [status.phase]
        if status.percent is not None:
            details.append(f"{status.percent:.0f} %")
        if status.bytes_total:
            details.append(f"{format_bytes(status.bytes_done)} of {format_bytes(status.bytes_total)}")
        details += self._rate.describe(status)
        say(f"{self._label}: {', '.join(details)}")

    def _is_news(self, status: Status, now: float) -> bool:
        shown = self._shown
        if shown is None or shown.phase != status.phase:
            return True
        if shown == status:
            return False
        moved = (status.percent or 0.0) - (shown.percent or 0.0)
        return moved >= _PERCENT_STEP or now - self._shown_at >= _QUIET_S


class LiveDisplay:
    """One line that fits into 80 columns."""

    def __init__(self, label: str, progress: "Progress", task: "TaskID") -> None:
        self._label = label
        self._progress = progress
        self._task = task
        self._rate = Rate()

    def update(self, status: Status) -> None:
        self._rate.add(status, time.monotonic())
        self._progress.update(
            self._task,
            description=printable(f"{self._label}: {status.phase}"),
            completed=status.percent or 0.0,
            total=None if status.percent is None else 100.0,
            details=", ".join(self._rate.describe(status)),
        )


class Rate:
    """Speed and time left of the running phase, over the last seconds rather than the whole: both change on the way."""

    WINDOW_S = 10.0

    def __init__(self) -> None:
        self._phase = ""
        self._points: list[tuple[float, float]] = []

    def add(self, status: Status, now: float) -> None:
        if status.phase != self._phase:
            self._phase, self._points = status.phase, []
        value = float(status.bytes_done) if status.bytes_total else status.percent or 0.0
        if self._points and value < self._points[-1][1]:
            self._points = []
        self._points.append((now, value))
        while len(self._points) > 2 and now - self._points[0][0] > self.WINDOW_S:
            del self._points[0]

    @property
    def per_second(self) -> float:
        (start, first), (end, last) = self._points[0], self._points[-1]
        return (last - first) / (end - start) if end > start else 0.0

    def describe(self, status: Status) -> list[str]:
        """`["12.0 MiB/s", "3.0 s left"]`; empty until something has moved."""
        speed = self.per_second
        if speed <= 0:
            return []
        if status.bytes_total:
            left = float(status.bytes_total - status.bytes_done)
            rate = f"{format_bytes(speed)}/s"
        else:
            left = 100.0 - (status.percent or 0.0)
            rate = f"{speed:.1f} %/s"
        return [rate, f"{format_seconds(left / speed)} left"] if left > 0 else [rate]


def can_be_live() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


@contextmanager
def open_display(label: str, *, live: bool) -> Iterator[Display]:
    if not live:
        yield PlainDisplay(label)
        return
    from rich.console import Console  # noqa: PLC0415 - not needed for most commands
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn  # noqa: PLC0415

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TextColumn("{task.fields[details]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(printable(label), total=None, details="")
        yield LiveDisplay(label, progress, task)
