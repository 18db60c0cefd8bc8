"""Runs one tool: to its end, to its deadline, or until who waits for it is cancelled. Nothing of it is left running.

Every run logs a line which can be pasted into a shell; it shows the tool alone, the sandbox around it is left out.
"""

import asyncio
import contextlib
import errno
import logging
import os
import shlex
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path

import msgspec

from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.qemu.host import host_sandbox
from stillframe.qemu.sandbox import GIB, MINIMAL_ENVIRONMENT, Access, Limits, Sandbox, wrap_tool

log = logging.getLogger("stillframe.qemu")

MAX_OUTPUT_BYTES = 4 * 1024**2
STDERR_TAIL_BYTES = 16 * 1024
_REAP_TIMEOUT_S = 10.0
_NO_SPACE = os.strerror(errno.ENOSPC)

OnLine = Callable[[bytes], None]


class ToolPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What one run may see and use. A writable file is there already: the tool fills it, and cannot make others."""

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    groups: tuple[int, ...] = ()
    scratch_bytes: int = 0
    address_space_bytes: int | None = 4 * GIB
    cpu_s: int | None = None
    file_size_bytes: int | None = None
    niceness: int = 0


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """`stdout` is empty when the lines went to a callback; `stderr` is the last part of it."""

    returncode: int
    stdout: bytes
    stderr: str
    seconds: float


async def run_tool(
    argv: Sequence[str],
    *,
    policy: ToolPolicy,
    timeout_s: float,
    on_line: OnLine | None = None,
    ok_codes: tuple[int, ...] = (0,),
    sandbox: Sandbox | None = None,
) -> Completed:
    """Waits for the tool. `on_line` gets each line of its output as it comes, ended by a newline or a carriage return.

    Cancelled or overdue, the tool and everything it started is killed and gone before this returns.

    Raises:
        UnavailableError: the disk is full.
        ToolFailedError: it could not be started, ended with a code not in `ok_codes`, said too much, or overran
            `timeout_s`. `cause` is the end of its stderr.
    """
    sandbox = sandbox or await host_sandbox()
    access = Access(
        readable=policy.readable,
        writable=policy.writable,
        devices=policy.devices,
        groups=policy.groups,
        scratch_bytes=policy.scratch_bytes,
    )
    limits = Limits(
        address_space_bytes=policy.address_space_bytes,
        cpu_s=policy.cpu_s,
        file_size_bytes=policy.file_size_bytes,
        open_files=256,
    )
    wrapped = wrap_tool(sandbox, list(argv), access, limits, niceness=policy.niceness)
    with lent_files(sandbox, access):
        done = await _run(wrapped, argv, timeout_s, on_line)
    if done.returncode in ok_codes:
        log.info("%s  # exit %d after %.3f s", shlex.join(argv), done.returncode, done.seconds)
    else:
        log.warning("%s  # exit %d: %s", shlex.join(argv), done.returncode, done.stderr.strip())
        if _NO_SPACE in done.stderr:
            raise UnavailableError("The disk of the image service is full.", cause=done.stderr.strip())
        raise ToolFailedError(cause=f"{argv[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done


async def _run(wrapped: list[str], argv: Sequence[str], timeout_s: float, on_line: OnLine | None) -> Completed:
    started = time.monotonic()
    output, errors = bytearray(), bytearray()
    try:
        async with _started(wrapped) as process, asyncio.timeout(timeout_s):
            if process.stdout is None or process.stderr is None:
                raise RuntimeError("both were asked for as pipes")
            take = _collect_lines(process.stdout, on_line) if on_line else _collect(process.stdout, output)
            await _all_or_none(take, _collect_tail(process.stderr, errors))
            returncode = await process.wait()
    except TimeoutError:
        log.warning("%s  # killed after %.0f s", shlex.join(argv), timeout_s)
        raise ToolFailedError(cause=f"{argv[0]} was killed after {timeout_s:.0f} s: {_text(errors)}") from None
    return Completed(
        returncode=returncode, stdout=bytes(output), stderr=_text(errors), seconds=time.monotonic() - started
    )


@contextlib.asynccontextmanager
async def _started(argv: list[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, in a session of its own; dead and reaped when the block is left, however it is left."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=MINIMAL_ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolFailedError(cause=f"{argv[0]} cannot be started: {error}") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await _reap(process)


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Waits even where the waiter is cancelled again: a process which still writes is worse than a late cancel."""
    waiting = asyncio.ensure_future(_drain(process))
    cancelled = False
    deadline = time.monotonic() + _REAP_TIMEOUT_S
    while not waiting.done() and time.monotonic() < deadline:
        try:
            await asyncio.wait({waiting}, timeout=_REAP_TIMEOUT_S)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Asyncio holds the end of a process back until what it has written is read."""
    for stream in (process.stdout, process.stderr):
        while stream and await stream.read(1024**2):
            pass
    await process.wait()


async def _all_or_none(*coroutines: Coroutine[None, None, None]) -> None:
    """Like gather, but no other runs on when one has failed."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _collect(stream: asyncio.StreamReader, into: bytearray) -> None:
    while chunk := await stream.read(65536):
        if len(into) + len(chunk) > MAX_OUTPUT_BYTES:
            raise ToolFailedError(cause=f"it wrote more than {MAX_OUTPUT_BYTES} bytes")
        into += chunk


async def _collect_tail(stream: asyncio.StreamReader, into: bytearray) -> None:
    while chunk := await stream.read(65536):
        into += chunk
        del into[:-STDERR_TAIL_BYTES]


async def _collect_lines(stream: asyncio.StreamReader, on_line: OnLine) -> None:
    rest = b""
    while chunk := await stream.read(65536):
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in filter(None, lines):
            on_line(line)
        rest = rest[-4096:]
    if rest:
        on_line(rest)


def _text(data: bytearray) -> str:
    return data.decode(errors="replace")


@contextlib.contextmanager
def lent_files(sandbox: Sandbox, access: Access) -> Iterator[None]:
    """Lets the other user write the writable files for the time of a run, and read the readable ones.

    Only the bits of the files change. Who else could use them is kept out by their directory, which is ours alone.
    """
    if not sandbox.changes_user_of_tools:
        yield
        return
    for path in access.readable:
        mode = path.stat().st_mode
        if not mode & 0o004:
            path.chmod(mode & 0o7777 | 0o004)
    for path in access.writable:
        os.chown(path, sandbox.uid, sandbox.gid)
    try:
        yield
    finally:
        for path in access.writable:
            with contextlib.suppress(FileNotFoundError):
                os.chown(path, os.geteuid(), os.getegid())
