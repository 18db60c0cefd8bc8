"""PostgreSQL goes away under a running system, and comes back."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.conftest import new_database, running_system
from tests.system import System

PATHS = {
    "identity": ("/v3/auth/projects",),
    "image": ("/v2/images", "/v2/cloudimages"),
    "compute": ("/v2.1/{project}/servers", "/v1/{project}/cloudservers/detail"),
    "volume": ("/v3/{project}/volumes", "/v2/{project}/cloudvolumes/detail"),
    "network": ("/v2.0/networks", "/v1/{project}/vpcs"),
}


class Outage:
    """Nobody may connect to the database, as if its server were stopped."""

    def __init__(self, url: str) -> None:
        parsed = sa.make_url(url)
        self._name = parsed.database
        self._engine = sa.create_engine(parsed.set(database="postgres"), isolation_level="AUTOCOMMIT")

    def begin(self) -> None:
        self._execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")

    def end(self) -> None:
        self._execute(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    def _execute(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement), {"name": self._name} if ":name" in statement else {})


@pytest.fixture
def own(postgres_url: str) -> Iterator[tuple[System, Outage]]:
    url = new_database(postgres_url)
    outage = Outage(url)
    with running_system(database_url=url) as system:
        yield system, outage
        outage.end()


def ask_all(system: System) -> dict[str, httpx.Response]:
    project = system.project_id()
    answers = {}
    for service, paths in PATHS.items():
        with system.http(service) as client:
            answers |= {path: client.get(path.format(project=project)) for path in paths}
    return answers


def statuses(answers: dict[str, httpx.Response]) -> set[int]:
    return {answer.status_code for answer in answers.values()}


@pytest.mark.xdist_group("postgresql")
def test_while_the_database_is_away_every_door_says_503_and_afterwards_work_goes_on(own: tuple[System, Outage]) -> None:
    system, outage = own
    assert statuses(ask_all(system)) == {200}
    volume: dict[str, Any] = {"volume": {"size": 1, "name": "v"}}
    outage.begin()
    try:
        answers = ask_all(system)
        assert statuses(answers) == {503}, {path: answer.text for path, answer in answers.items()}
        assert all(answer.json() for answer in answers.values())
        assert httpx.get(f"{system.url('identity')}/v3").status_code == 200
        assert {httpx.get(f"{system.url(service)}/healthcheck").status_code for service in PATHS} == {503}
        time.sleep(3)  # the worker looks for jobs, machines and layers meanwhile
    finally:
        outage.end()
    assert statuses(ask_all(system)) == {200}
    with system.http("volume") as client:
        made = client.post(f"/v3/{system.project_id()}/volumes", json=volume).json()["volume"]["id"]
        deadline = time.monotonic() + 60
        while client.get(f"/v3/{system.project_id()}/volumes/{made}").json()["volume"]["status"] != "available":
            assert time.monotonic() < deadline, system.logs()
            time.sleep(0.2)
    assert "Traceback" not in (system.data_dir / "logs" / "worker.log").read_text()
