"""A pid file that is locked as long as its process lives, so a stale one is never mistaken for a running service."""

import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import IO

from stillframe.errors import ConflictError, UnavailableError

_FLOCK = "hhqqi4x"
"""struct flock of 64-bit Linux: type, whence, start, length, pid."""
_WHOLE_FILE = (os.SEEK_SET, 0, 0, 0)


class PidLock:
    """`with PidLock(path, "It already runs"):` holds the lock; the kernel drops it however the process ends.

    Raises: ConflictError with the message and the pid of whoever holds it.
    """

    def __init__(self, path: Path, already: str) -> None:
        self._path = path
        self._already = already
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        while not self._is_in_place(file := self._locked()):
            file.close()
        self._file = file
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def _locked(self) -> IO[str]:
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, *_WHOLE_FILE))
        except BlockingIOError:
            pid = file.read().strip()
            file.close()
            raise ConflictError(f"{self._already} (process {pid}).") from None
        return file

    def _is_in_place(self, file: IO[str]) -> bool:
        """Whoever held the lock may have removed the file before we got it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.truncate(0)
            self._file.close()


def running_pid(path: Path) -> int | None:
    """The process that holds the lock, or None when nobody does.

    Only asks: taking the lock, be it for a moment, would look to a process that just starts as if it ran already.

    Raises: UnavailableError when the file is closed to us.
    """
    try:
        with path.open() as file:
            question = struct.pack(_FLOCK, fcntl.F_WRLCK, *_WHOLE_FILE)
            answer = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, question))
            is_held = answer[0] != fcntl.F_UNLCK
            return (int(file.read().strip() or 0) or None) if is_held else None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.") from None
