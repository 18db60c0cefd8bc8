"""Opens one disk in the appliance."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

MEMORY_MIB = 640
"""Enough to replay the journals of large file systems; the kernel itself takes a tenth."""
_SERVER_START_S = 30.0
_SERVER_STOP_S = 120.0


@contextlib.contextmanager
def open_disk(disk: str, *, writable: bool) -> Iterator[Any]:
    """A launched libguestfs handle. All that was written is in the disk's file when the block is left without an error.

    libguestfs cannot be told of a chain of files with their formats, and must not guess them. So qemu-nbd opens the
    chain, and libguestfs sees one raw disk.
    """
    import guestfs  # noqa: PLC0415 - so that the modules beside this one can be imported without it

    with tempfile.TemporaryDirectory() as scratch, _served(disk, f"{scratch}/nbd", writable=writable) as address:
        # Else libguestfs and QEMU would look for /var/tmp, which is not there.
        os.environ["TMPDIR"] = scratch
        handle = guestfs.GuestFS(python_return_dict=True, close_on_exit=False)
        handle.set_memsize(MEMORY_MIB)
        handle.add_drive_opts("", format="raw", readonly=not writable, protocol="nbd", server=[f"unix:{address}"])
        handle.launch()
        yield handle
        handle.shutdown()
        handle.close()


@contextlib.contextmanager
def _served(disk: str, socket: str, *, writable: bool) -> Iterator[str]:
    # Several clients, one after the other: libguestfs lets qemu-img look at a disk that is only read.
    mode = [] if writable else ["--read-only"]
    server = subprocess.Popen(["qemu-nbd", "--persistent", "--shared=0", *mode, f"--socket={socket}", disk])
    try:
        _wait_for(socket, server)
        yield socket
    except BaseException:
        server.kill()
        raise
    server.terminate()
    if server.wait(_SERVER_STOP_S) != 0:
        raise RuntimeError("qemu-nbd could not write everything")


def _wait_for(socket: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _SERVER_START_S
    while not os.path.exists(socket):  # noqa: PTH110 - a name, not a file of ours
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("qemu-nbd does not serve the disk")
        time.sleep(0.01)
