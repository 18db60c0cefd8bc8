"""Several processes that answer requests behind the same ports."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import running_system
from tests.system import System


@pytest.fixture(scope="module")
def several() -> Iterator[System]:
    with running_system(api_processes=2) as started:
        yield started


def _processes(system: System) -> dict[int, str]:
    parent = int((system.data_dir / "run" / "up.pid").read_text())
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().decode().strip("\0 ") for pid in children}


def _api_processes(system: System) -> list[int]:
    return [pid for pid, name in _processes(system).items() if name.startswith("stillframe: api")]


def test_they_have_names_that_tell_them_apart(several: System) -> None:
    names = sorted(name for name in _processes(several).values() if name.startswith("stillframe: "))
    assert names == ["stillframe: api", "stillframe: api-1", "stillframe: obs", "stillframe: worker"]


def test_all_of_them_know_at_once_what_one_of_them_changed(several: System) -> None:
    """Connections are spread over the processes by the kernel, so that many of them reach both."""
    token = several.new_token()
    headers = {"X-Auth-Token": token}

    def statuses() -> list[int]:
        return [httpx.get(f"{several.url('image')}/v2/images", headers=headers).status_code for _ in range(24)]

    assert set(statuses()) == {200}
    both = headers | {"X-Subject-Token": token}
    assert httpx.delete(f"{several.url('identity')}/v3/auth/tokens", headers=both).status_code == 204
    assert set(statuses()) == {401}


def test_one_that_is_killed_comes_back_while_the_others_answer(several: System) -> None:
    before = _api_processes(several)
    os.kill(before[1], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while len(now := _api_processes(several)) < 2 or before[1] in now:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert before[0] in now
    while True:
        try:
            answers = {httpx.get(several.url("identity")).status_code for _ in range(24)}
            break
        except httpx.TransportError:  # a connection that the killed one had taken
            assert time.monotonic() < deadline
    assert answers == {300}
