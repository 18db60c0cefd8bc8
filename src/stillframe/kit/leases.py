"""Who uses what right now, within this process."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Leases:
    """Counts users by name, from any thread."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, names: Collection[str]) -> Iterator[None]:
        with self._lock:
            self._held.update(names)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(names)
                self._held += Counter()  # drops what nobody holds

    def is_held(self, name: str) -> bool:
        with self._lock:
            return self._held[name] > 0
