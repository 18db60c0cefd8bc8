"""Writes docs/performance.md's table and the chart from reports: python -m benchmarks.docs REPORT.json ...

Of several reports, each part is taken from the last that has it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.chart import draw
from benchmarks.report import HEADINGS, Report, Row, cells

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- what `make bench` wrote: begin -->", "<!-- end -->"


def main() -> None:
    reports = [msgspec.json.decode(Path(name).read_bytes(), type=Report) for name in sys.argv[1:]]
    if not reports:
        sys.exit(__doc__)
    write(reports)


def write(reports: Sequence[Report]) -> None:
    page = DOCS / "performance.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{tables(reports)}\n{END}{after}")
    title = "Times as good as what one would use instead, measured in one run"
    (DOCS / "performance.svg").write_text(draw(list(_rows(reports)), title))


def tables(reports: Sequence[Report]) -> str:
    lines = []
    for part, report in parts_of(reports).items():
        rows = [row for row in report.rows if row.part == part]
        loads = sorted(row.load for row in rows)
        lines += [
            f"### {part}",
            "",
            f"{report.started[:10]}, `{report.command}`; load {loads[0]:.1f} to {loads[-1]:.1f}.",
        ]
        lines += ["", _line(HEADINGS), _line(["---"] * len(HEADINGS)), *map(_row, rows), ""]
    newest = reports[-1]
    versions = {name: version for report in reports for name, version in report.versions.items()}
    lines.append(f"Machine: {newest.machine}. {', '.join(f'{name} {version}' for name, version in versions.items())}.")
    lines += sorted({f"{remark}." for report in reports for remark in report.remarks})
    return "\n".join(lines)


def parts_of(reports: Sequence[Report]) -> dict[str, Report]:
    return {row.part: report for report in reports for row in report.rows}


def _rows(reports: Sequence[Report]) -> list[Row]:
    return [row for part, report in parts_of(reports).items() for row in report.rows if row.part == part]


def _row(row: Row) -> str:
    return _line([*cells(row)[:-1], cells(row)[-1].replace("MISSED", "**missed**")])


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    main()
