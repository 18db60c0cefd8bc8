"""Processes that this one becomes: forks, which load what they need by themselves.

A fork can be handed anything this process has, needs no command line, and ends with this process however it ends.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from setproctitle import setproctitle

from stillframe.errors import StillframeError

_PR_SET_PDEATHSIG = 1
_MOST_DESCRIPTORS = 65536


class Fork:
    """Runs `main` in a fork of this process, which must have no threads; has the methods of Popen that are needed."""

    def __init__(self, name: str, main: Callable[[], None], output: int) -> None:
        """`output` is the descriptor that takes what the process says."""
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(name, main, output, parent)
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def wait(self, timeout: float) -> int:
        """Raises: subprocess.TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fork", timeout)
            time.sleep(0.01)
        return status

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, signum: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)


def _become(name: str, main: Callable[[], None], output: int, parent: int) -> NoReturn:
    """Never returns into the supervisor's code, whose locks and files are not this process's."""
    status = 1
    try:
        os.setsid()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, signal.SIG_DFL)
        _end_with(parent)
        _take_over_descriptors(output)
        setproctitle(f"stillframe: {name}")
        main()
        status = 0
    except StillframeError as error:
        sys.stderr.write(f"{error.message}\n")
    except SystemExit as error:
        if isinstance(error.code, int):
            status = error.code
        elif error.code:
            sys.stderr.write(f"{error.code}\n")
    except BaseException:  # noqa: BLE001 - the end of the process, whatever it is
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _take_over_descriptors(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # The supervisor's lock would be held for as long as any fork has it open.
    os.closerange(3, _MOST_DESCRIPTORS)


def _end_with(parent: int) -> None:
    """Have the kernel send this process SIGTERM when its parent dies, however that dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")
