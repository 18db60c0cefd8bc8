"""Systems of ours, started as a user starts them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import free_port_offset
from tests.system import System

from benchmarks.processes import tree_of
from stillframe.blobs.layout import DataLayout

_ATTEMPTS = 3
"""On a machine so busy that a first start takes longer than `up` waits; the next one goes on where it was."""


@contextlib.contextmanager
def started(**settings: object) -> Iterator[System]:
    """On a data directory of its own, with quotas out of the way; its machines end with it.

    Raises: RuntimeError with what `up` says when it does not start.
    """
    directory = Path(tempfile.mkdtemp(prefix="sf-bench-"))
    quotas: dict[str, object] = {"image_quota": 10_000_000, "image_jobs_limit": 1000}
    system = System(data_dir=directory, port_offset=free_port_offset(), settings=quotas | settings)
    try:
        for attempt in range(1, _ATTEMPTS + 1):
            if not (refusal := _refusal(system)):
                break
            if attempt == _ATTEMPTS:
                raise RuntimeError(refusal)
            system.down()
            system.port_offset = free_port_offset()
        yield system
    finally:
        _destroy(system)
        shutil.rmtree(directory, ignore_errors=True)


def _refusal(system: System) -> str:
    """What `up` says when it does not start, else nothing."""
    try:
        return system.try_up()
    except subprocess.TimeoutExpired as error:
        return str(error)


def _destroy(system: System) -> None:
    """By force where it does not end in time, as on a machine that is busy with other things."""
    try:
        system.destroy()
    except subprocess.TimeoutExpired:
        for pid in tree_of(main_pid(system)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        system.destroy()


def main_pid(system: System) -> int:
    """The process all others descend from, but machines."""
    return int(DataLayout(system.data_dir).pid_file("up").read_text())


def login(system: System) -> str:
    """The body of POST /v3/auth/tokens of the first account."""
    auth = system.cloud()["auth"]
    return login_body(auth["username"], auth["password"], auth["project_name"], auth["user_domain_name"])


def login_body(user: str, password: str, project: str, domain: str) -> str:
    who = {"name": user, "domain": {"name": domain}, "password": password}
    scope = {"project": {"name": project, "domain": {"name": domain}}}
    identity = {"methods": ["password"], "password": {"user": who}}
    return json.dumps({"auth": {"identity": identity, "scope": scope}})
