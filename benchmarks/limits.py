"""What the machine allows: the same bytes from a bare ASGI application, files from nginx, the bare password hash."""

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import argon2

from benchmarks.processes import running, wait_for_port
from benchmarks.report import Sample
from benchmarks.tools import free_port

HERE = Path(__file__).parent


class RawServer:
    """The bare application under the same uvicorn and event loop as ours."""

    def __init__(self, directory: Path, port: int, pid: int) -> None:
        self._directory = directory
        self._port = port
        self.pid = pid

    def url_of(self, body: bytes) -> str:
        """Where these bytes are answered from now on."""
        name = hashlib.md5(body, usedforsecurity=False).hexdigest()
        (self._directory / name).write_bytes(body)
        return f"http://127.0.0.1:{self._port}/{name}"


@contextlib.contextmanager
def raw_server(directory: Path) -> Iterator[RawServer]:
    bodies = directory / "raw"
    bodies.mkdir()
    port, log = free_port(), directory / "raw.log"
    options = ["--port", str(port), "--no-access-log", "--no-server-header", "--lifespan", "off"]
    argv = [sys.executable, "-m", "uvicorn", "benchmarks.raw_app:app", "--app-dir", str(HERE.parent), *options]
    with running(argv, log, {**os.environ, "RAW_DIRECTORY": str(bodies)}) as process:
        wait_for_port(process, port, log)
        yield RawServer(bodies, port, process.pid)


class Nginx:
    """Static files over sendfile."""

    def __init__(self, directory: Path, port: int, pid: int) -> None:
        self.directory = directory
        self.port = port
        self.pid = pid

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


_NGINX = """
daemon off; worker_processes 2; pid {home}/nginx.pid; error_log {home}/nginx.log;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[Nginx | None]:
    """None where the program is not to be had."""
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    home, root = directory / "nginx", directory / "static"
    home.mkdir()
    root.mkdir()
    port, log = free_port(), directory / "nginx.log"
    user = "user root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(_NGINX.format(home=home, port=port, root=root, user=user))
    with running([program, "-e", str(log), "-p", str(home), "-c", str(home / "nginx.conf")], log) as process:
        wait_for_port(process, port, log)
        yield Nginx(root, port, process.pid)


def password_hashes(password_hash: str, password: str, seconds: float) -> Sample:
    """Checks of a password a second, on as many threads as there are processors, and nothing else."""
    hasher = argon2.PasswordHasher()
    deadline = time.monotonic() + seconds

    def check_until_over() -> int:
        count = 0
        while time.monotonic() < deadline:
            hasher.verify(password_hash, password)
            count += 1
        return count

    threads = os.cpu_count() or 1
    started, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        count = sum(pool.map(lambda _: check_until_over(), range(threads)))
    return Sample(value=count / (time.monotonic() - started), cpu_s=(time.process_time() - cpu) / count)
