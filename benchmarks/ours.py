"""Systems of ours, started as a user starts them."""

import contextlib
import json
from collections.abc import Iterator

from tests.conftest import running_system
from tests.system import System

from stillframe.blobs.layout import DataLayout


@contextlib.contextmanager
def started(*, machine_stop_timeout_s: float = 60.0) -> Iterator[System]:
    """Fresh, with quotas out of the way."""
    with running_system(
        image_quota=10_000_000, image_jobs_limit=1000, machine_stop_timeout_s=machine_stop_timeout_s
    ) as system:
        yield system


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
