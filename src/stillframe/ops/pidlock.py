"""A pid file that is locked as long as its process lives, so a stale one is never mistaken for a running service."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from stillframe.errors import ConflictError


class PidLock:
    """`with PidLock(path, "It already runs"):` holds the lock; the kernel drops it however the process ends.

    Raises: ConflictError with the message and the pid of whoever holds it.
    """

    def __init__(self, path: Path, already: str) -> None:
        self._path = path
        self._already = already
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self._file.read().strip()
            self._file.close()
            raise ConflictError(f"{self._already} (process {pid}).") from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.truncate(0)
            self._file.close()


def running_pid(path: Path) -> int | None:
    """The process that holds the lock, or None when nobody does."""
    try:
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except (FileNotFoundError, ValueError):
        return None
    return None
