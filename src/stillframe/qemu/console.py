"""The log of a serial console: reading its end, keeping it short."""

import asyncio
import os
from pathlib import Path

CONSOLE_LOG = "console.log"
STDERR_LOG = "qemu.log"
DEFAULT_TAIL_BYTES = 64 * 1024


async def read_console(run_dir: Path, *, max_bytes: int = DEFAULT_TAIL_BYTES, max_lines: int | None = None) -> str:
    """The last of what the guest said, as text: what is no UTF-8 is replaced. Empty if it never ran."""
    data = await asyncio.to_thread(read_tail, run_dir / CONSOLE_LOG, max_bytes)
    text = data.decode(errors="replace").replace("\r\n", "\n")
    if max_lines is None:
        return text
    lines = text.splitlines(keepends=True)
    return "".join(lines[-max_lines:]) if max_lines > 0 else ""


async def trim_logs(run_dir: Path, max_bytes: int) -> None:
    """Cuts a log longer than `max_bytes` down to its last half of that. Safe while the machine runs.

    QEMU appends wherever the end is, so it goes on after the cut. What it writes in the instant between reading the
    tail and cutting is lost.
    """
    for name in (CONSOLE_LOG, STDERR_LOG):
        await asyncio.to_thread(_trim, run_dir / name, max_bytes)


def read_tail(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - max_bytes))
            return file.read(max_bytes)
    except FileNotFoundError:
        return b""


def _trim(path: Path, max_bytes: int) -> None:
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return
    with file:
        size = file.seek(0, os.SEEK_END)
        if size <= max_bytes:
            return
        file.seek(size - max_bytes // 2)
        tail = file.read(max_bytes // 2)
        _, newline, whole_lines = tail.partition(b"\n")
        kept = whole_lines if newline else tail
        file.seek(0)
        file.write(kept)
        file.truncate(len(kept))
