"""What the switch costs: throughput, round trips and new conversations between two cards, and when nothing happens.

Sockets take the place of machines, so that the switch is measured and not the guests. Times are of the processor as
well as of the clock: the first do not depend on who else is at work.

Usage: python -m benchmarks.switch
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.switch.cable import packed
from tests.switch.test_process import ADDRESSES, Running

from benchmarks.processes import cpu_seconds, pss_kib
from stillframe.switch import frames

WINDOW, TURNS, ROUND_TRIPS, IDLE_S = 128, 800, 5000, 10


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        running = Running(Path(directory))
        try:
            for label, size in (("1514-byte frames", 1472), ("64-byte frames", 22)):
                print(f"{label}: {throughput(running, size)}")
            print(f"new conversations: {new_conversations(running)}")
            print(f"round trips: {round_trips(running)}")
            time.sleep(1)
            before = cpu_seconds(running.process.pid)
            time.sleep(IDLE_S)
            used = cpu_seconds(running.process.pid) - before
            print(f"idle: {used:.2f} s of the processor in {IDLE_S} s, {pss_kib(running.process.pid) / 1024:.0f} MiB")
        finally:
            running.close()


def frame(running: Running, size: int, port: int = 53) -> bytes:
    source, destination = packed(ADDRESSES[2]), packed(ADDRESSES[3])
    data = frames.udp(source, destination, port, 53, bytes(size))
    return frames.ipv4(running.cable.header(2, running.cable.mac(3)), frames.UDP, source, destination, data)


def throughput(running: Running, size: int) -> str:
    """With as many frames on their way as a TCP window of two guests holds."""
    one = frame(running, size)
    return _passed(running, ([one] * WINDOW for _ in range(TURNS)), len(one))


def new_conversations(running: Running) -> str:
    """Each frame from another port: decided by the rules, and remembered."""
    turns = ([frame(running, 22, turn * WINDOW + number) for number in range(WINDOW)] for turn in range(1, 80))
    return _passed(running, turns, 64)


def _passed(running: Running, turns: Iterator[list[bytes]], size: int) -> str:
    count, clock_s, before = 0, 0.0, cpu_seconds(running.process.pid)
    for turn in turns:
        started = time.perf_counter()
        running.machines[2].send(*turn)
        for _ in turn:
            running.machines[3].read()
        clock_s += time.perf_counter() - started
        count += len(turn)
    cpu_s = cpu_seconds(running.process.pid) - before
    return (
        f"{count / clock_s:,.0f} frames/s, {count * size / clock_s / 1e6:.0f} MB/s; "
        f"{cpu_s / count * 1e6:.1f} us of the processor per frame"
    )


def round_trips(running: Running) -> str:
    out = frame(running, 22)
    source, destination = packed(ADDRESSES[3]), packed(ADDRESSES[2])
    header = running.cable.header(3, running.cable.mac(2))
    back = frames.ipv4(header, frames.UDP, source, destination, frames.udp(source, destination, 53, 53, bytes(22)))
    times_us = []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        running.machines[2].send(out)
        running.machines[3].read()
        running.machines[3].send(back)
        running.machines[2].read()
        times_us.append((time.perf_counter() - started) * 1e6)
    times_us.sort()
    return f"median {statistics.median(times_us):.0f} us, 99 % within {times_us[int(len(times_us) * 0.99)]:.0f} us"


if __name__ == "__main__":
    main()
