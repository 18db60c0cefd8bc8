"""A PostgreSQL server of our own for tests: in one directory, on a unix socket, gone afterwards."""

import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0

# A crash may lose everything, since the directory does not outlive the tests; that makes a commit cheap.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",  # statistics of a moment would change the plans that tests look at
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
}


@contextmanager
def private_postgres(directory: Path) -> Iterator[str]:
    """Runs a fresh cluster in an empty `directory` and yields its SQLAlchemy URL.

    Call it from the main thread: the server stops by itself when the thread that started it ends. As root the server
    runs as another user, who must be able to reach `directory`: pytest's own tmp_path is closed to others.
    """
    if os.geteuid() == 0:
        directory.chmod(0o711)
    data = directory / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(data, _server_account().pw_uid, _server_account().pw_gid)
    subprocess.run(_initdb(data), cwd=directory, check=True, capture_output=True, text=True)
    log = directory / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(_server(data), cwd=directory, stdout=output, stderr=output)
    try:
        _wait_until_ready(server, data, log)
        yield f"postgresql+psycopg://postgres@/postgres?host={data}"
    finally:
        _stop(server)


def server_programs() -> Path:
    """The directory of the newest server Debian's packages have installed; it is on nobody's PATH."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if not found:
        raise FileNotFoundError("no PostgreSQL server below /usr/lib/postgresql: install the package postgresql")
    return max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.parent.name)])


def _initdb(data: Path) -> list[str]:
    choices = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    return [*_as_server(), str(server_programs() / "initdb"), "-D", str(data), *choices]


def _server(data: Path) -> list[str]:
    settings = {**_SETTINGS, "unix_socket_directories": str(data)}
    chosen = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [*_as_server(), str(server_programs() / "postgres"), "-D", str(data), *chosen]


def _as_server() -> list[str]:
    """The server ends when the tests do, even by SIGKILL; and it refuses to run as root."""
    argv = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        account = _server_account()
        argv += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return argv


def _server_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(host=str(data), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # "fast": open connections are closed, nothing is waited for
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(_STOP_TIMEOUT_S)
