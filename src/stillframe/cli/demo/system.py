"""A Stillframe of the demo's own: started on free ports and a fresh directory, taken down without a trace."""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from stillframe.cli.cloud import LOCAL_CLOUD, Cloud, load_cloud_file
from stillframe.cli.errors import CliError

START_TIMEOUT_S = 900.0
"""The first start on a machine also builds the public image."""
STOP_TIMEOUT_S = 180.0
_TERMINATE_S = 20.0
_OFFSETS = range(10_000, 22_000, 50)
"""Keeps every port below those the kernel hands out for outgoing connections."""
_NOT_INHERITED = ("DATA_DIR", "DATABASE_URL", "PORT_OFFSET", "HOST", "PUBLIC_HOST", "OBS_ENDPOINT")
"""Settings of the caller's own system that would make this one share something with it."""


class PrivateSystem:
    """`data_dir` is kept when the caller named it; a directory of our own goes with the system."""

    def __init__(self, data_dir: Path | None, tell: Callable[[str], None]) -> None:
        self._own_dir = Path(tempfile.mkdtemp(prefix="stillframe-demo-"))
        # The machines may run as another user: passing through the directory has to be allowed, listing it need not.
        self._own_dir.chmod(0o711)
        self.data_dir = data_dir.expanduser().absolute() if data_dir else self._own_dir / "data"
        self.token_dir = self._own_dir / "tokens"
        self._tell = tell
        self._starting: subprocess.Popen[bytes] | None = None
        self._was_started = False

    def start(self) -> Cloud:
        """Raises: CliError with what `stillframe up` said."""
        offset = find_port_offset()
        arguments = ("up", "--detach", "--data-dir", str(self.data_dir), "--port-offset", str(offset))
        self._tell(f"$ stillframe {' '.join(arguments)}")
        self._was_started = True
        code, said = self._run(arguments, START_TIMEOUT_S, self._tell)
        if code != 0:
            raise CliError(f"the private system did not start: {_reason(said)}", hint="stillframe doctor")
        return load_cloud_file(self.data_dir / "clouds.yaml", LOCAL_CLOUD)

    def stop(self) -> None:
        """Raises: CliError when it may still run; its directory is left then."""
        if self._starting and self._starting.poll() is None:
            _end(self._starting)
        if self._was_started:
            arguments = ("down", "--machines", "--data-dir", str(self.data_dir))
            code, said = self._run(arguments, STOP_TIMEOUT_S, lambda _: None)
            if code != 0:
                raise CliError(
                    f"the private system in {self.data_dir} could not be stopped: {_reason(said)}",
                    hint=f"stillframe {' '.join(arguments)}",
                )
        shutil.rmtree(self._own_dir, ignore_errors=True)

    def log_tails(self, lines: int = 12) -> str:
        """The last words of its processes, before they are deleted with it."""
        tails = []
        for path in sorted((self.data_dir / "logs").glob("*.log")):
            text = path.read_text(errors="replace").splitlines()[-lines:]
            tails.append("\n".join((f"-- {path.name}", *text)))
        return "\n".join(tails)

    def _run(self, arguments: tuple[str, ...], timeout_s: float, tell: Callable[[str], None]) -> tuple[int, str]:
        """Exit code and output. The output goes through a file: what it leaves running would keep a pipe open."""
        environ = {
            name: value
            for name, value in os.environ.items()
            if name not in {f"STILLFRAME_{setting}" for setting in _NOT_INHERITED}
        }
        with tempfile.TemporaryFile(dir=self._own_dir) as output:
            # A session of its own: Ctrl-C reaches only us, and we end things in order.
            self._starting = subprocess.Popen(
                (sys.executable, "-m", "stillframe.cli", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )
            return _follow(self._starting, output.fileno(), timeout_s, tell)


def _follow(
    process: subprocess.Popen[bytes], output: int, timeout_s: float, tell: Callable[[str], None]
) -> tuple[int, str]:
    """Tells each line as it comes: the first start takes a while and says what it does."""
    deadline = time.monotonic() + timeout_s
    told = 0
    while True:
        ended = process.poll() is not None
        text = os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace")
        lines = text.splitlines() if ended else text.splitlines()[: text.count("\n")]
        for line in lines[told:]:
            tell(line)
        told = len(lines)
        if ended:
            return process.returncode, text
        if time.monotonic() > deadline:
            _end(process)
            return process.returncode or 1, f"{text}\nended after {timeout_s:.0f} s"
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_TERMINATE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(text: str) -> str:
    """The last error it told, else its last words."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["it said nothing"])[-1]


def find_port_offset() -> int:
    """An offset at which no service's port is in use."""
    from stillframe.config import PORTS  # noqa: PLC0415 - the server's list of ports; nothing else is needed of it

    for offset in random.sample(_OFFSETS, len(_OFFSETS)):
        if all(_is_free(port + offset) for port in PORTS.values()):
            return offset
    raise CliError("no range of free ports found on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
