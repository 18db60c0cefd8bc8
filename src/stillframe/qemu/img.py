"""What we ask of qemu-img. Paths are ours, formats are told, chains are spelled out; results are durable on return."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stillframe.errors import ToolFailedError
from stillframe.qemu.graph import foreign_filename, json_filename
from stillframe.qemu.inspection.model import ForeignFormat, Window
from stillframe.qemu.model import Chain, ChainLink, CheckReport, ImageInfo, Measurement
from stillframe.qemu.qcow2 import encode_empty
from stillframe.qemu.runner import Completed, ToolPolicy, run_tool
from stillframe.qemu.sandbox import GIB

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes in all, a few times a second at the most: bytes as stored in the chain."""

QUICK_TIMEOUT_S = 60.0
LONG_TIMEOUT_S = 24 * 3600.0
_PROGRESS_INTERVAL_S = 0.25
_PROGRESS = re.compile(rb"\(([0-9.]+)/100%\)")

# The compressing threads of one qcow2 writer are four, however many are asked for; more coroutines keep them fed.
_COROUTINES = 8

_EXPORT_OPTIONS: dict[str, tuple[str, ...]] = {
    "raw": (),
    "qcow2": ("-c", "-W", "-o", "compression_type=zlib"),
    # Without force_size the size is rounded to what cylinders, heads and sectors can express: another disk.
    "vpc": ("-o", "subformat=dynamic,force_size=on"),
    "vmdk": ("-o", "subformat=streamOptimized"),
}


async def create_blank(path: Path, size_bytes: int) -> None:
    """An empty qcow2 disk, durable on return.

    Raises: FileExistsError, so that a disk is never overwritten.
    """
    await asyncio.to_thread(_write_new, path, encode_empty(size_bytes))


async def create_overlay(path: Path, backing: Chain, size_bytes: int) -> None:
    """A disk which shows `backing` until it is written to. Takes the same time for any size; durable on return.

    `size_bytes` may be more than the backing disk has; the rest reads as zeros. The header names the backing file
    without its directory, for people and tools to see; we never follow it.

    Raises: FileExistsError, so that a disk is never overwritten.
    """
    content = encode_empty(size_bytes, backing_name=backing[0].path.name, backing_format=backing[0].format)
    await asyncio.to_thread(_write_new, path, content)


async def consolidate(chain: Chain, out: Path, on_progress: OnProgress | None = None, *, compress: bool = True) -> None:
    """Writes the whole disk into one new qcow2 file without a backing file, compressed with zstd.

    Clusters are compressed by several threads and written in the order they are ready, so two runs give the same disk,
    not the same bytes. `out` is gone again if this fails or is cancelled.
    """
    options = ["-c", "-o", "compression_type=zstd"] if compress else []
    await _convert(chain, out, ["-O", "qcow2", "-W", *options], on_progress)


async def export(chain: Chain, out: Path, driver: str, on_progress: OnProgress | None = None) -> None:
    """Writes the whole disk as one new file other platforms can read.

    `driver` is qcow2 (zlib, which every reader knows), vpc (dynamic VHD), vmdk (stream-optimized) or raw (sparse).
    `out` is gone again if this fails or is cancelled.
    """
    await _convert(chain, out, ["-O", driver, *_EXPORT_OPTIONS[driver]], on_progress)


async def import_disk(
    source: Path,
    foreign_format: ForeignFormat,
    out: Path,
    on_progress: OnProgress | None = None,
    *,
    window: Window | None = None,
) -> None:
    """Writes a file from outside, or a part of it, as a qcow2 disk of ours, compressed.

    It must have passed `inspect_image` with the same window.

    `out` is gone again if this fails or is cancelled.
    """
    options = ["-O", "qcow2", "-W", "-c", "-o", "compression_type=zstd"]
    await _convert_file((source,), foreign_filename(source, foreign_format, window), out, options, on_progress)


async def commit(top: ChainLink, base: ChainLink) -> None:
    """Writes what `top` holds into `base`, which is what `top` was made above; durable on return.

    `top` stays as it is, so that this can be repeated after any interruption: until it is done, `base` is neither the
    old disk nor the new one.
    """
    argv = ["qemu-img", "commit", "-q", "-d", json_filename((top, base), writable_files=2)]
    await _run(argv, ToolPolicy(writable=(top.path, base.path)), timeout_s=LONG_TIMEOUT_S)
    await asyncio.to_thread(_sync, base.path)


async def grow(link: ChainLink, size_bytes: int) -> None:
    """Makes a disk show more, which reads as zeros: what is below it must not be larger than it was. Safe to repeat.

    Raises: ToolFailedError where a machine uses the disk.
    """
    argv = ["qemu-img", "resize", "-q", json_filename((link,), writable_files=1), str(size_bytes)]
    await _run(argv, ToolPolicy(writable=(link.path,)))


async def info(link: ChainLink, *, force_share: bool = False) -> ImageInfo:
    """`force_share` also reads a file whose machine is running; what it says may then be out of date."""
    argv = ["qemu-img", "info", "--output=json", *(["-U"] if force_share else []), _filename_alone(link)]
    answer = _json(await _run(argv, ToolPolicy(readable=(link.path,), address_space_bytes=GIB, cpu_s=30)))
    details = answer.get("format-specific", {}).get("data", {})
    return ImageInfo(
        format=answer["format"],
        virtual_size_bytes=answer["virtual-size"],
        actual_size_bytes=answer["actual-size"],
        backing_file=answer.get("backing-filename"),
        compression=details.get("compression-type"),
        is_dirty=answer.get("dirty-flag", False),
        is_corrupt=details.get("corrupt", False),
        is_encrypted=answer.get("encrypted", False),
        has_snapshots=bool(answer.get("snapshots")),
    )


async def virtual_size(link: ChainLink) -> int:
    return (await info(link)).virtual_size_bytes


async def check(link: ChainLink) -> CheckReport:
    """Reads the metadata of one qcow2 file. A raw file has none, and none is wrong.

    Raises: ToolFailedError where it cannot be read at all.
    """
    if link.format == "raw":
        return CheckReport(corruptions=0, leaks=0, allocated_clusters=0, total_clusters=0)
    argv = ["qemu-img", "check", "--output=json", _filename_alone(link)]
    done = await _run(argv, ToolPolicy(readable=(link.path,)), ok_codes=(0, 2, 3), timeout_s=LONG_TIMEOUT_S)
    answer = _json(done)
    return CheckReport(
        corruptions=answer.get("corruptions", 0) + answer.get("check-errors", 0),
        leaks=answer.get("leaks", 0),
        allocated_clusters=answer.get("allocated-clusters", 0),
        total_clusters=answer.get("total-clusters", 0),
    )


async def compare(one: Chain, other: Chain) -> bool:
    """Whether both show the same bytes to a guest. A longer disk is equal to a shorter one if the rest is zeros."""
    argv = ["qemu-img", "compare", "-q", json_filename(one), json_filename(other)]
    policy = ToolPolicy(readable=tuple(dict.fromkeys(_paths(one) + _paths(other))), niceness=10)
    done = await _run(argv, policy, ok_codes=(0, 1), timeout_s=LONG_TIMEOUT_S)
    return done.returncode == 0


async def measure(chain: Chain, driver: str) -> Measurement:
    """How large the uncompressed conversion to qcow2 or raw would be."""
    argv = ["qemu-img", "measure", "--output=json", "-O", driver, json_filename(chain)]
    answer = _json(await _run(argv, ToolPolicy(readable=_paths(chain))))
    return Measurement(required_bytes=answer["required"], fully_allocated_bytes=answer["fully-allocated"])


async def has_boot_sector(chain: Chain) -> bool:
    """Whether the disk's first sector ends as that of every disk a PC starts from does, under BIOS and UEFI alike."""
    argv = ["qemu-io", "-r", "-c", "read -v 510 2", json_filename(chain)]
    done = await _run(argv, ToolPolicy(readable=_paths(chain)))
    return b":  55 aa" in done.stdout


async def _convert(chain: Chain, out: Path, options: Sequence[str], on_progress: OnProgress | None) -> None:
    await _convert_file(_paths(chain), json_filename(chain), out, options, on_progress)


async def _convert_file(
    files: tuple[Path, ...], source: str, out: Path, options: Sequence[str], on_progress: OnProgress | None
) -> None:
    argv = ["qemu-img", "convert", "-p", "-m", str(_COROUTINES), *options, source, str(out)]
    policy = ToolPolicy(readable=files, writable=(out,), niceness=10)
    reporter = _Reporter(on_progress, await asyncio.to_thread(_stored_bytes, files))
    await asyncio.to_thread(_write_new, out, b"")
    finished = False
    try:
        await _run(argv, policy, on_line=reporter.line, timeout_s=LONG_TIMEOUT_S)
        # convert ignores flushes (its cache mode is `unsafe`), which is quicker for a new file and leaves this to us.
        await asyncio.to_thread(_sync, out)
        finished = True
    finally:
        if not finished:
            _remove(out)


class _Reporter:
    def __init__(self, on_progress: OnProgress | None, total_bytes: int) -> None:
        self._on_progress = on_progress
        self._total_bytes = total_bytes
        self._next_at = 0.0

    def line(self, line: bytes) -> None:
        """A line of `qemu-img -p`: `    (12.34/100%)`."""
        found = _PROGRESS.search(line)
        now = time.monotonic()
        if self._on_progress is None or found is None:
            return
        percent = float(found[1])
        if now < self._next_at and percent < 100:
            return
        self._next_at = now + _PROGRESS_INTERVAL_S
        self._on_progress(int(self._total_bytes * percent / 100), self._total_bytes)


async def _run(
    argv: list[str],
    policy: ToolPolicy,
    *,
    timeout_s: float = QUICK_TIMEOUT_S,
    ok_codes: tuple[int, ...] = (0,),
    on_line: Callable[[bytes], None] | None = None,
) -> Completed:
    return await run_tool(argv, policy=policy, timeout_s=timeout_s, ok_codes=ok_codes, on_line=on_line)


def _json(done: Completed) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ToolFailedError(cause=f"qemu-img did not answer in JSON: {done.stdout[:200]!r}") from None
    if not isinstance(answer, dict):
        raise ToolFailedError(cause=f"qemu-img answered {done.stdout[:200]!r}")
    return answer


def _filename_alone(link: ChainLink) -> str:
    return json_filename((link,))


def _paths(chain: Chain) -> tuple[Path, ...]:
    return tuple(link.path for link in chain)


def _stored_bytes(files: tuple[Path, ...]) -> int:
    return sum(path.stat().st_blocks * 512 for path in files)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if content:
            file.flush()
            os.fsync(descriptor)
    if content:
        _sync_directory(path.parent)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
