"""Results, their ratios and goals, and the table that is printed."""

import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec

OURS = "Stillframe"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one contestant."""

    value: float
    """In the unit of its row."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_s: float | None = None
    """Processor time of the contestant's processes per operation."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of all runs of one contestant."""

    value: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_s: float | None = None
    runs: list[float]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """How many times as good as `against` we are to be; as an absolute bound of our own value when that is ""."""

    against: str = ""
    bound: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    part: str
    case: str
    unit: str
    """`requests/s`, `MB/s`, `ms`, `s`, `MiB`, `%`"""
    results: dict[str, Result]
    """By contestant; ours is there always."""
    goals: list[Goal] = []
    load: float
    """Of the machine over the last minute, when the runs ended."""
    note: str = ""

    @property
    def more_is_better(self) -> bool:
        return self.unit.endswith("/s")

    def ratio(self, other: str) -> float:
        """How many times as good as the other we are: above 1 is better, whatever the unit."""
        ours, theirs = self.results[OURS].value, self.results[other].value
        above, below = (ours, theirs) if self.more_is_better else (theirs, ours)
        return above / below if below else float("inf")

    def is_met(self, goal: Goal) -> bool | None:
        """None when there is nobody to compare with."""
        if goal.against:
            return self.ratio(goal.against) >= goal.bound if goal.against in self.results else None
        ours = self.results[OURS].value
        return ours >= goal.bound if self.more_is_better else ours <= goal.bound


class Report(msgspec.Struct, frozen=True, kw_only=True):
    started: str
    machine: str
    command: str
    versions: dict[str, str]
    remarks: list[str]
    """What was left out, and why."""
    rows: list[Row]
    seconds: float


Contestant = Callable[[], Sample]


def interleaved(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Result]:
    """All take turns, so that what else the machine does meets all of them alike."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            samples[name].append(contestant())
    return {name: summed_up(runs) for name, runs in samples.items()}


def summed_up(samples: Sequence[Sample]) -> Result:
    def median(field: str) -> float | None:
        values = [getattr(sample, field) for sample in samples if getattr(sample, field) is not None]
        return statistics.median(values) if values else None

    return Result(
        value=statistics.median(sample.value for sample in samples),
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        cpu_s=median("cpu_s"),
        runs=[round(sample.value, 4) for sample in samples],
    )


def latencies(seconds: Sequence[float]) -> Result:
    """In milliseconds, by their median."""
    ordered = sorted(1000 * value for value in seconds)
    p99 = ordered[round(0.99 * (len(ordered) - 1))]
    p50 = statistics.median(ordered)
    return Result(value=p50, p50_ms=p50, p99_ms=p99, runs=[round(value, 1) for value in ordered])


HEADINGS = ("case", "unit", OURS, "p50 / p99 ms", "CPU", "others", "goal")


def cells(row: Row) -> tuple[str, ...]:
    ours = row.results[OURS]
    others = [
        f"{name} {number(result.value)}{_cpu(result)} ({ratio_text(row.ratio(name))})"
        for name, result in row.results.items()
        if name != OURS
    ]
    latencies = "" if ours.p50_ms is None or ours.p99_ms is None else f"{number(ours.p50_ms)} / {number(ours.p99_ms)}"
    return (
        row.case,
        row.unit,
        number(ours.value),
        latencies,
        "" if ours.cpu_s is None else duration(ours.cpu_s),
        "; ".join(others),
        "; ".join(goal_text(row, goal) for goal in row.goals),
    )


def _cpu(result: Result) -> str:
    return "" if result.cpu_s is None else f", CPU {duration(result.cpu_s)}"


def goal_text(row: Row, goal: Goal) -> str:
    met = {True: "met", False: "MISSED", None: "not measured"}[row.is_met(goal)]
    if goal.against:
        return f"≥ {number(goal.bound)} x {goal.against}: {met}"
    return f"{'≥' if row.more_is_better else '≤'} {number(goal.bound)} {row.unit}: {met}"


def ratio_text(ratio: float) -> str:
    return f"{ratio:.2f} x" if ratio < 10 else f"{ratio:,.0f} x"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.3g} ms" if seconds >= 0.001 else f"{seconds * 1e6:.0f} us"


def printed(rows: Sequence[Row]) -> str:
    """The rows as aligned columns."""
    table = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )
