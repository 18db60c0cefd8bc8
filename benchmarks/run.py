"""Runs the parts that are asked for and tells what came out: `make bench`.

Usage: python -m benchmarks.run [--parts tokens,lists] [--quick] [--no-peers] [--json FILE] [--write-docs]
"""

import argparse
import contextlib
import os
import platform
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks import docs, limits, peers, tools
from benchmarks.bench import Bench, cleaned_up
from benchmarks.cases import captures, disks, footprint, lists, tokens, transfers
from benchmarks.report import Report, printed

PARTS = {
    footprint.PART: footprint.measure,
    tokens.PART: tokens.measure,
    lists.PART: lists.measure,
    transfers.PART: transfers.measure,
    captures.PART: captures.measure,
    disks.PART: disks.measure,
}


def main() -> None:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    missing = tools.provide(["wrk", "nginx", *([] if options.no_peers else ["memcached"])])
    if "wrk" in missing:
        sys.exit("wrk is missing, which makes the load. Run: sudo apt-get install wrk")
    report = Report(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        command=shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]]),
        versions=tools.versions(),
        remarks=left_out(missing, no_peers=options.no_peers) + busy(),
        rows=[],
        seconds=0,
    )
    try:
        with bench_of(options) as bench:
            _run_parts(options.parts, bench, options.minutes)
            if bench.peers_run:
                report.versions.update(peers.versions(peers.install()))
            report = msgspec.structs.replace(report, rows=bench.rows, remarks=report.remarks + bench.remarks)
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is left running")
    report = msgspec.structs.replace(report, seconds=round(time.monotonic() - started))
    print("\n" + printed(report.rows))
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    print("\n".join(["", *report.remarks, versions, f"{report.machine}; {report.started}; {report.seconds:.0f} s"]))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if options.write_docs:
        docs.write([report])
    sys.exit(1 if bench.has_failed else 0)


class OutOfTimeError(Exception):
    """Raised in whatever is under way when the minutes are over."""


def _run_parts(parts: list[str], bench: Bench, minutes: float) -> None:
    def out_of_time(*_: object) -> None:
        raise OutOfTimeError(f"the {minutes:g} minutes are over")

    signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    try:
        for part in parts:
            _run(part, bench)
    except OutOfTimeError as error:
        bench.remarks.append(f"Not all was measured: {error}")
        bench.has_failed = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _run(part: str, bench: Bench) -> None:
    """A part that breaks is told about and does not take what the others have found with it."""
    print(f"{part}:", flush=True)
    try:
        PARTS[part](bench)
    except OutOfTimeError:
        raise
    except Exception as error:  # noqa: BLE001 - anything can go wrong in there
        traceback.print_exc()
        bench.remarks.append(f"The part {part} broke off: {str(error)[:200]}")
        bench.has_failed = True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="one round of a second each, small catalogues only")
    parser.add_argument("--minutes", type=float, default=19, help="after which what is left is left out")
    parser.add_argument("--no-peers", action="store_true", help="without Keystone and Glance")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the results are kept")
    parser.add_argument("--write-docs", action="store_true", help="also into docs/performance.md and its chart")
    options = parser.parse_args()
    options.parts = options.parts.replace(",", " ").split()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


@contextlib.contextmanager
def bench_of(options: argparse.Namespace) -> Iterator[Bench]:
    """Everything that was started is ended on the way out, and a second Ctrl-C does not get between."""
    with contextlib.ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="sf-bench-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        raw = stack.enter_context(limits.raw_server(scratch))
        nginx = stack.enter_context(limits.nginx(scratch))
        rounds, seconds = (1, 1.0) if options.quick else (3, 2.0)
        bench = Bench(
            scratch=scratch,
            raw=raw,
            nginx=nginx,
            rounds=rounds,
            seconds=seconds,
            quick=options.quick,
            with_peers=not options.no_peers,
        )
        stack.enter_context(cleaned_up(bench))
        try:
            yield bench
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)


def left_out(missing: list[str], *, no_peers: bool) -> list[str]:
    remarks = [f"{program} is missing: what needs it is left out" for program in missing]
    return [*remarks, "Keystone and Glance are left out, as asked for"] if no_peers else remarks


def busy() -> list[str]:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return [f"The machine was busy with something else at the start: load {load:.1f}"] if load > cores / 2 else []


def machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, {system}, Linux {platform.release()}"


if __name__ == "__main__":
    main()
