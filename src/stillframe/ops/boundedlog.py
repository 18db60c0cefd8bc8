"""A log file a child process appends to, kept below a bound by dropping its older half."""

import os
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024


class BoundedLog:
    """`descriptor` is opened for appending, so the child's next line follows wherever the file ends after a cut."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def bound(self) -> None:
        """Cheap while the file is small: one fstat."""
        size = os.fstat(self.descriptor).st_size
        if size <= self._limit_bytes:
            return
        kept = os.pread(self.descriptor, self._limit_bytes // 2, size - self._limit_bytes // 2)
        os.ftruncate(self.descriptor, 0)
        os.write(self.descriptor, kept[kept.find(b"\n") + 1 :])
