"""Tells the demo's story as it happens, and remembers how long each step took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stillframe.cli.output import format_seconds, printable


class Narrator:
    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started = time.monotonic()
        self.steps: list[tuple[str, float]] = []
        self.running = ""

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.running = f"{len(self.steps) + 1}. {title}"
        self._write(f"\n{self.running}")
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        self.steps.append((title, took))
        self.tell(f"done in {format_seconds(took)}")

    def tell(self, text: str) -> None:
        for line in text.splitlines():
            self._write(f"   {printable(line)}")

    def command(self, text: str) -> None:
        """What a reader could have typed to the same effect."""
        self.tell(f"$ stillframe {text}")
