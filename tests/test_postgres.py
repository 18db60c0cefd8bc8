import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.postgres import private_postgres


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="sf-pg-"))
    yield path
    shutil.rmtree(path)


def test_a_private_server_answers_on_its_own_socket_only_and_is_gone_afterwards(directory: Path) -> None:
    with private_postgres(directory) as url:
        parts = make_url(url)
        host = str(parts.query["host"])
        with psycopg.connect(host=host, user=parts.username, dbname=parts.database) as connection:
            settings: dict[str, str] = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        pid = int((directory / "data" / "postmaster.pid").read_text().split()[0])

    assert Path(host).is_relative_to(directory)
    assert settings["listen_addresses"] == ""
    assert settings["unix_socket_directories"] == host
    assert settings["data_directory"] == str(directory / "data")
    assert settings["fsync"] == "off"
    assert settings["server_encoding"] == "UTF8"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=host, user=parts.username, dbname=parts.database)


def test_two_private_servers_know_nothing_of_each_other(directory: Path) -> None:
    one, other = directory / "one", directory / "other"
    directory.chmod(0o711)
    one.mkdir()
    other.mkdir()
    with private_postgres(one) as first, private_postgres(other) as second:
        for url, name in ((first, "port_side"), (second, "starboard")):
            with psycopg.connect(host=str(make_url(url).query["host"]), user="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
                names = {row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall()}
                assert {"port_side", "starboard"} & names == {name}


def test_a_private_server_ends_with_tests_that_are_killed(directory: Path) -> None:
    lines = [
        "import sys, pathlib, time, tests.postgres",
        "with tests.postgres.private_postgres(pathlib.Path(sys.argv[1])):",
        "    print('ready', flush=True)",
        "    time.sleep(60)",
    ]
    tests = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines), str(directory)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tests.stdout is not None
    assert tests.stdout.readline() == "ready\n"
    pid = int((directory / "data" / "postmaster.pid").read_text().split()[0])
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    tests.stdout.close()

    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cwd").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/cwd").exists()
