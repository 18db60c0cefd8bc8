"""What every test can ask for.

`system` is the whole service, started the way a user starts it, once per test process and database; tests that drive it
run on SQLite and on PostgreSQL. `database` is an empty schema of its own on each of the two.
"""

import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import argon2
import pytest
import sqlalchemy as sa

from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS
from stillframe.db import Database, metadata, open_database
from stillframe.db.engine import prepare_sqlite
from stillframe.identity import passwords
from tests.postgres import private_postgres
from tests.system import WEB_PORT, System


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> None:
    """Works here and in what is started, also when a shell runs the tests in its background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[argon2.PasswordHasher]:
    """Thousands of hashes are made in the tests' own processes: each takes a millisecond and not a fifth of a second.

    A hash says what it costs, so what checks it is as ever. Systems that are started are other processes. Yields what
    makes the real ones.
    """
    real = passwords._HASHER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield real


@pytest.fixture(scope="session", autouse=True)
def no_places_of_sockets_stay() -> Iterator[None]:
    """Below pytest's directories a socket's path would be too long, so they are in /tmp, where pytest removes none."""
    places: set[Path] = set()
    create = DataLayout.create

    def create_and_note(layout: DataLayout) -> None:
        create(layout)
        places.add(layout.runtime_dir)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataLayout, "create", create_and_note)
        yield
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


BACKENDS = [
    pytest.param("sqlite", marks=pytest.mark.xdist_group("sqlite")),
    pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql")),
]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="sf-pg-"))
    try:
        with private_postgres(directory) as url:
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session", params=BACKENDS)
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    """A running Stillframe with nothing in it but what the first start makes."""
    with running_system(database_url=database_url_for(request)) as started:
        yield started


def database_url_for(request: pytest.FixtureRequest) -> str:
    """Of the backend a fixture is parametrized with: a database of its own on PostgreSQL, "" for SQLite."""
    return new_database(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else ""


def new_database(server_url: str) -> str:
    """An empty database of a private PostgreSQL server."""
    name = f"sf_{secrets.token_hex(6)}"
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def running_system(*, environment: dict[str, str] | None = None, **settings: object) -> Iterator[System]:
    """Starts `stillframe up --detach` on a data directory of its own; stops it and its machines afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="sf-"))
    offset = free_port_offset()
    from_here = {"web_download_hosts": ["127.0.0.1"], "web_download_ports": [80, 443, WEB_PORT + offset]}
    system = System(data_dir=data_dir, port_offset=offset, settings=from_here | settings)
    system.extra_environment = environment or {}
    try:
        while (refusal := system.try_up()) and "is taken" in refusal:  # another test was quicker
            system.port_offset = free_port_offset()
        assert not refusal, refusal
        yield system
    finally:
        system.destroy()
        shutil.rmtree(data_dir, ignore_errors=True)


def free_port_offset() -> int:
    """An offset at which every port of the service is free."""
    while True:
        # The highest stays below the ports that this machine gives to outgoing connections.
        offset = random.randrange(2000, 22000)
        if all(_is_free(port + offset) for port in (*PORTS.values(), WEB_PORT)):
            return offset


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with every table, empty: copying it is quicker than making them for each test."""
    path = tmp_path_factory.mktemp("tables") / "test.db"
    _create_every_table(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_tables(postgres_url: str) -> str:
    """The server's own database with every table; each test empties them, which is quicker than making them."""
    _create_every_table(postgres_url)
    return postgres_url


def _create_every_table(url: str) -> None:
    import_every_table()
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", prepare_sqlite)
    metadata.create_all(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Every table, empty."""
    if request.param == "postgresql":
        opened = open_database(request.getfixturevalue("postgres_tables"))
        async with opened.engine.begin() as connection:
            await connection.exec_driver_sql(_empty_all())
    else:
        shutil.copy(request.getfixturevalue("sqlite_tables"), tmp_path / "test.db")
        opened = open_database(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}")
    yield opened
    await opened.close()


def _empty_all() -> str:
    """One text: the order does not matter while the server looks at no reference."""
    deletes = [f'DELETE FROM "{table.name}"' for table in metadata.tables.values()]  # noqa: S608 - names of ours
    return "; ".join(["SET LOCAL session_replication_role = replica", *deletes])


def import_every_table() -> None:
    import stillframe.app  # noqa: F401, PLC0415 - the wiring imports every room


def stillframe(*arguments: str, timeout: float = 120.0, check: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would."""
    program = Path(sys.executable).with_name("stillframe")
    return subprocess.run(
        [str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
        stdin=subprocess.DEVNULL,
    )
