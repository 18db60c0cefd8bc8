"""`stillframe up`, `down` and `status`."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import IO, cast

import msgspec

from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS, Settings
from stillframe.errors import ConflictError, UnavailableError
from stillframe.ops.machines import count_machines
from stillframe.ops.pidlock import PidLock, running_pid
from stillframe.ops.preflight import prepare_data_dir, require_ports, require_tools
from stillframe.ops.sockets import is_port_free
from stillframe.ops.supervisor import TERM_GRACE_S, Part, Supervisor

READY_TIMEOUT_S = 120.0
"""Seconds are enough but on a host that is busy with other things; a part that keeps ending is noticed long before."""


def up(settings: Settings, announce: Callable[[], None]) -> None:
    """Runs everything in the foreground until SIGTERM or Ctrl-C; `announce` is called once all parts answer.

    Raises: ConflictError when it already runs; UnavailableError with a sentence for whatever stands against it.
    """
    os.umask(0o077)
    require_tools()
    layout = prepare_data_dir(settings)
    with PidLock(layout.pid_file("up"), f"Stillframe already runs for {layout.root}"):
        try:
            failure = _run(settings, layout, announce)
        finally:
            layout.empty_runtime_dir("up")
    if failure:
        raise UnavailableError(failure)


def _run(settings: Settings, layout: DataLayout, announce: Callable[[], None]) -> str | None:
    require_ports(settings)
    ready = layout.runtime_dir / "ready"
    ready.unlink(missing_ok=True)
    remember_settings(settings, layout)

    def on_ready() -> None:
        ready.write_text(f"{os.getpid()}\n")
        announce()

    return Supervisor(parts(settings, layout), on_ready).run(READY_TIMEOUT_S)


def up_detached(settings: Settings) -> None:
    """Starts everything in a process of its own and returns when it answers.

    Raises: as `up`; whatever the other process said before it gave up.
    """
    os.umask(0o077)
    require_tools()
    layout = prepare_data_dir(settings)
    if pid := running_pid(layout.pid_file("up")):
        raise ConflictError(f"Stillframe already runs for {layout.root} (process {pid}).")
    ready = layout.runtime_dir / "ready"
    ready.unlink(missing_ok=True)
    log = layout.log("up")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "stillframe.ops"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )
    try:
        with cast("IO[bytes]", process.stdin) as answer:
            answer.write(_encode(settings))
        _wait_until_ready(process, ready, log)
    except BaseException:
        # It is gone when this returns, unless somebody is in a hurry.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERM_GRACE_S + 5)
        raise


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S + TERM_GRACE_S + 30
    while not _names(ready, process.pid):
        if process.poll() is not None:
            raise UnavailableError(_why_it_ended(log))
        if time.monotonic() > deadline:
            raise UnavailableError(f"It is not ready after {READY_TIMEOUT_S:.0f} s; see {log}.")
        time.sleep(0.02)


def _names(ready: Path, pid: int) -> bool:
    """Whether it is that process which is ready, and not another that was started at the same time."""
    try:
        return int(ready.read_text()) == pid
    except (FileNotFoundError, ValueError):
        return False


def _why_it_ended(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"It ended without a word; see {log}."


def parts(settings: Settings, layout: DataLayout) -> tuple[Part, ...]:
    """All at once: whoever needs the schema waits for the first API process to make it."""
    own = Part(
        name="worker",
        main=partial(_work, settings),
        log=layout.log("worker"),
        is_ready=lambda: layout.socket("worker").exists() and running_pid(layout.pid_file("worker")) is not None,
    )
    apis = [
        Part(
            name=name,
            main=partial(_serve, settings, number),
            log=layout.log(name),
            is_ready=lambda: all(answers(settings, name) for name in PORTS if name != "obs"),
        )
        for number, name in enumerate(["api", *(f"api-{number}" for number in range(1, settings.api_processes))])
    ]
    if settings.obs_endpoint:
        return (*apis, own)
    store = Part(
        name="obs",
        main=partial(_store, settings, layout),
        log=layout.log("obs"),
        is_ready=lambda: answers(settings, "obs"),
    )
    return (*apis, own, store)


# Each part loads what it needs by itself: all at the same time, and this process, which only watches, stays small.


def _serve(settings: Settings, number: int) -> None:
    with _loading():
        from stillframe.ops import serve  # noqa: PLC0415

    serve.run(settings, number)


def _work(settings: Settings) -> None:
    with _loading():
        from stillframe.ops import worker  # noqa: PLC0415

    worker.run(settings)


def _store(settings: Settings, layout: DataLayout) -> None:
    from stillframe.ops import obs  # noqa: PLC0415

    obs.become_rclone(obs.ObsSettings.from_settings(settings, layout))


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Loading modules makes very many objects that all stay; looking through them takes a fifth of the time."""
    gc.disable()
    try:
        _load_structlog()
        yield
    finally:
        gc.enable()


def _load_structlog() -> None:
    """Without rich, which it would load to colour tracebacks: these processes log JSON."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = cast("ModuleType", None)  # makes an import of it fail
    try:
        import structlog  # noqa: F401, PLC0415
    finally:
        del sys.modules["rich"]


def _encode(settings: Settings) -> bytes:
    return msgspec.json.encode(settings, enc_hook=str)


def decode_settings(text: str | bytes) -> Settings:
    return msgspec.json.decode(text, type=Settings, dec_hook=lambda kind, value: kind(value))


def remember_settings(settings: Settings, layout: DataLayout) -> None:
    """So that `status` looks at the ports this run was given, whatever its own command line says."""
    path = layout.runtime_dir / "settings.json"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_encode(settings))


def _settings_of_run(settings: Settings, layout: DataLayout) -> Settings:
    try:
        return decode_settings((layout.runtime_dir / "settings.json").read_bytes())
    except (OSError, msgspec.MsgspecError):
        return settings


def answers(settings: Settings, service: str) -> bool:
    """Whether the service's port takes connections."""
    return not is_port_free(settings.host, settings.port(service))


def down(settings: Settings, timeout_s: float = 60.0) -> int | None:
    """Ends a running service and waits until it is gone; None when none runs. Servers keep running.

    Raises: UnavailableError when it does not end in time.
    """
    layout = DataLayout(settings.data_dir)
    pid = running_pid(layout.pid_file("up"))
    if pid is None:
        return None
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return None
    except PermissionError:
        raise UnavailableError(f"Process {pid} belongs to another user, who alone can end it.") from None
    deadline = time.monotonic() + timeout_s
    while running_pid(layout.pid_file("up")) is not None:
        if time.monotonic() > deadline:
            raise UnavailableError(f"Process {pid} does not end; see {layout.log('up')}.")
        time.sleep(0.05)
    return pid


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `stillframe status` tells."""

    data_dir: str
    running: bool
    pid: int | None
    services: dict[str, str]
    """Service name to URL, of those that answer."""
    silent: list[str]
    """Services that should answer and do not."""
    machines: int


def status(settings: Settings) -> Status:
    layout = DataLayout(settings.data_dir)
    pid = running_pid(layout.pid_file("up"))
    settings = _settings_of_run(settings, layout) if pid else settings
    answering = {name: settings.url(name) for name in PORTS if pid and answers(settings, name)}
    return Status(
        data_dir=str(layout.root),
        running=pid is not None,
        pid=pid,
        services=answering,
        silent=[name for name in PORTS if pid and name not in answering],
        machines=count_machines(layout),
    )
