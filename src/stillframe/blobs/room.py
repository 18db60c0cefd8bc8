"""What large files leave free for the small ones: a disk that is full to the last byte takes no row and no log line."""

import errno
import os

RESERVE_BYTES = 64 * 1024 * 1024


def require_room(descriptor: int) -> None:
    """Raises: OSError as a full disk does, somewhat earlier than the disk of the open file."""
    found = os.fstatvfs(descriptor)
    if found.f_bavail * found.f_frsize < RESERVE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
