"""What a process and all its descendants cost: processor time and memory."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


def tree_of(parent: int) -> list[int]:
    """The process and its descendants; empty when it has ended."""
    try:
        threads = list(Path(f"/proc/{parent}/task").iterdir())
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [parent, *(pid for child in children for pid in tree_of(int(child)))]


def trees_of(parents: Sequence[int]) -> list[int]:
    return [pid for parent in parents for pid in tree_of(parent)]


def cpu_seconds(pid: int) -> float:
    """User and system time so far, with that of children it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def cpu_of(parents: Sequence[int]) -> float:
    return sum(map(cpu_seconds, trees_of(parents)))


def pss_kib(pid: int) -> int:
    """0 for a process that has ended and only waits to be noticed, such as a stopped server's."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def pss_mib_of(parents: Sequence[int]) -> float:
    return sum(map(pss_kib, trees_of(parents))) / 1024


class MemoryWatch:
    """The most memory that each of some trees held while the block ran."""

    def __init__(self, trees: Mapping[str, Sequence[int]], every_s: float = 0.2) -> None:
        self.peak_mib = dict.fromkeys(trees, 0.0)
        self._trees = trees
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            for name, parents in self._trees.items():
                self.peak_mib[name] = max(self.peak_mib[name], pss_mib_of(parents))


@contextlib.contextmanager
def running(argv: Sequence[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, so that Ctrl-C reaches it through us only, in our order.

    If we end without a chance to clean up, the kernel ends it.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=env,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """SIGTERM, and SIGKILL for whatever of its session is left after a while."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, timeout_s: float = 60.0) -> None:
    """Raises: RuntimeError with the end of the log when the program ends or does not listen in time."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}:\n{log.read_text()[-2000:]}")
