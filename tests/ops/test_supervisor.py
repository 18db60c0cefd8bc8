import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stillframe.errors import ConflictError
from stillframe.ops.pidlock import PidLock, running_pid

PROGRAM = """
import sys
from pathlib import Path
from stillframe.ops.supervisor import Part, Supervisor

part = Part(name="part", main=lambda: sys.exit("it has no use"), log=Path(sys.argv[1]), is_ready=lambda: False)
supervisor = Supervisor((part,), on_ready=lambda: None)
"""


def run(tmp_path: Path, program: str) -> str:
    """In a process of its own: a supervisor forks, which one with threads may not."""
    argv = [sys.executable, "-c", PROGRAM + program, str(tmp_path / "log")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_part_that_ends_as_soon_as_it_starts_ends_the_start(tmp_path: Path) -> None:
    said = run(tmp_path, "print(supervisor.run(start_deadline_s=30))")
    assert said.startswith("The part process ends as soon as it starts: it has no use (see ")


def test_a_part_that_has_failed_for_hours_is_still_started_again(tmp_path: Path) -> None:
    program = """
(running,) = supervisor._all.values()
running.start()
running.process.wait(30)
running.failures = 5000
supervisor._tend(running)
print(running.start_after > 0)
"""
    assert run(tmp_path, program) == "True\n"


def test_asking_who_runs_stands_in_nobodys_way(tmp_path: Path) -> None:
    """A part that starts while somebody asks must not be told that it runs already."""
    path = tmp_path / "pid"
    path.write_text("1\n")
    assert running_pid(path) is None
    with PidLock(path, "It runs"):
        pid = running_pid(path)
        assert pid is not None
        with path.open() as file:
            assert int(file.read()) == pid
        with pytest.raises(ConflictError, match=str(pid)), PidLock(path, "It runs"):
            pass
        assert running_pid(path) == pid
    assert running_pid(path) is None


def test_a_lock_on_a_file_that_was_removed_meanwhile_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another opened the file, then its owner removed it and ended: the lock has to be on the file that is there."""
    path, opened = tmp_path / "pid", os.open

    def open_late(*arguments: Any) -> int:
        descriptor = opened(*arguments)
        if removed:
            path.unlink()
            removed.pop()
        return descriptor

    removed = [True]
    monkeypatch.setattr(os, "open", open_late)
    with PidLock(path, "It runs"):
        assert running_pid(path) == os.getpid()
