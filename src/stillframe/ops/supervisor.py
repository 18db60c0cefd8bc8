"""Starts the parts of the service as processes, keeps them running, and ends them together."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stillframe.ops.boundedlog import BoundedLog
from stillframe.ops.forks import Fork

TERM_GRACE_S = 15.0
KILL_GRACE_S = 60.0
MAX_PAUSE_S = 10.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the service. `is_ready` is asked again and again until it is true."""

    name: str
    main: Callable[[], None]
    log: Path
    is_ready: Callable[[], bool]


class _Running:
    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: Fork | None = None
        self.ready = False
        self.failures = 0
        self.start_after = 0.0
        self.log = BoundedLog(part.log)

    def start(self) -> None:
        self.ready = False
        self.process = Fork(self.part.name, self.part.main, self.log.descriptor)


class Supervisor:
    """`run()` blocks until SIGTERM or SIGINT. A part that ends is started again, ever more slowly."""

    def __init__(self, parts: tuple[Part, ...], on_ready: Callable[[], None]) -> None:
        self._all = {part.name: _Running(part) for part in parts}
        self._on_ready = on_ready
        self._announced = False
        self._stopping = False

    def run(self, start_deadline_s: float = 60.0) -> str | None:
        """None after an orderly end; a sentence when the parts did not become ready in time or one keeps failing."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._stop)
        deadline = time.monotonic() + start_deadline_s
        failure = None
        while not self._stopping and failure is None:
            for running in self._all.values():
                self._tend(running)
            failure = self._check_start(deadline)
            time.sleep(0.02 if not self._announced else 0.25)
        self._end_all()
        return failure

    def _stop(self, _signum: int, _frame: object) -> None:
        self._stopping = True

    def _tend(self, running: _Running) -> None:
        if running.process is None or running.process.poll() is not None:
            self._restart(running)
        elif not running.ready and running.part.is_ready():
            running.ready = True
            running.failures = 0
        # The disk may be full: no reason to end everything.
        with contextlib.suppress(OSError):
            running.log.bound()

    def _restart(self, running: _Running) -> None:
        now = time.monotonic()
        if running.process is not None and running.start_after <= 0:
            self._note_failure(running, now)
        if now >= running.start_after:
            running.start_after = 0.0
            try:
                running.start()
            except OSError:  # the host has no memory or no process to spare
                self._note_failure(running, now)

    @staticmethod
    def _note_failure(running: _Running, now: float) -> None:
        running.failures += 1
        running.start_after = now + min(MAX_PAUSE_S, 0.1 * 2 ** min(running.failures, 10))

    def _check_start(self, deadline: float) -> str | None:
        if self._announced:
            return None
        if all(running.ready for running in self._all.values()):
            self._announced = True
            self._on_ready()
            return None
        failing = [running.part for running in self._all.values() if running.failures >= 3]
        slow = [running.part for running in self._all.values() if not running.ready]
        if failing:
            return f"The {failing[0].name} process ends as soon as it starts: {_last_line(failing[0].log)}"
        if time.monotonic() > deadline:
            return f"The {slow[0].name} process is not ready in time: {_last_line(slow[0].log)}"
        return None

    def _end_all(self) -> None:
        alive = [r.process for r in self._all.values() if r.process is not None and r.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + TERM_GRACE_S
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(KILL_GRACE_S)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{lines[-1][:500] if lines else 'it said nothing'} (see {path})"
