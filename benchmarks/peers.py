"""Keystone and Glance as a deployment runs them: under uWSGI, two processes each, with memcached for tokens.

They are installed once, into an environment of their own in the user's cache; everything else about them is fresh in
every run: databases, keys, accounts.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks import peer_config
from benchmarks.ours import login_body
from benchmarks.processes import running, wait_for_port
from benchmarks.tools import CACHE, free_port

HERE = Path(__file__).parent
USER, PASSWORD, PROJECT = "demo", "demo-password", "demo"


class Peers:
    """Running, with one member of one project."""

    def __init__(self, directory: Path, keystone_port: int, glance_port: int) -> None:
        self.directory = directory
        self.keystone = f"http://127.0.0.1:{keystone_port}"
        self.glance = f"http://127.0.0.1:{glance_port}"
        self.keystone_pid = 0
        self.glance_pid = 0
        self.memcached_pid = 0
        self.startup_s = 0.0
        """From the start of both to the first authenticated answer."""

    @property
    def pids(self) -> list[int]:
        return [self.keystone_pid, self.glance_pid, self.memcached_pid]

    @property
    def glance_database(self) -> Path:
        return self.directory / "glance.db"

    def login(self) -> str:
        return login_body(USER, PASSWORD, PROJECT, "Default")

    def token(self, body: str = "") -> str:
        url = f"{self.keystone}/v3/auth/tokens"
        answer = httpx.post(url, content=body or self.login(), headers={"Content-Type": "application/json"}, timeout=60)
        return answer.raise_for_status().headers["X-Subject-Token"]

    def images(self) -> httpx.Client:
        return httpx.Client(base_url=self.glance, headers={"X-Auth-Token": self.token()}, timeout=300)


def install() -> Path:
    """The environment's directory. Raises: subprocess.CalledProcessError when it cannot be made."""
    lock = HERE / "peers.lock"
    made_of = hashlib.sha256(lock.read_bytes() + b"compiled" + sys.version.encode()).hexdigest()[:12]
    environment = CACHE / f"peers-{made_of}"
    if (environment / "ready").exists():
        return environment
    print(f"installing Keystone and Glance into {environment}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    index = os.environ.get("PIP_INDEX_URL")
    env = dict(os.environ) | ({"UV_DEFAULT_INDEX": index} if index else {})
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(environment)], check=True, env=env)
    python = str(environment / "bin/python")
    argv = [uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", str(lock)]
    subprocess.run(argv, check=True, env=env)
    # As ours is; they load in half of the time then. Some of their files are templates, which cannot be compiled.
    subprocess.run(
        [python, "-m", "compileall", "-q", "-j", "0", str(environment / "lib")], check=False, capture_output=True
    )
    (environment / "ready").touch()
    return environment


def versions(environment: Path) -> dict[str, str]:
    found = environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    names = {"keystone": "Keystone", "glance": "Glance", "pyuwsgi": "uWSGI"}
    return {
        title: next(found.glob(f"{name}-*.dist-info")).name.split("-")[1].removesuffix(".dist")
        for name, title in names.items()
    }


@contextlib.contextmanager
def started(scratch: Path) -> Iterator[Peers]:
    """Raises: CalledProcessError, RuntimeError or httpx.HTTPError when they cannot be installed or do not answer."""
    environment = install()
    directory = scratch / "peers"
    directory.mkdir()
    peers = Peers(directory, free_port(), free_port())
    memcached_port = free_port()
    places = peer_config.Places(
        directory=directory,
        environment=environment,
        keystone=peers.keystone,
        glance=peers.glance,
        memcached=f"127.0.0.1:{memcached_port}",
    )
    peer_config.write(places)
    with contextlib.ExitStack() as stack:
        peers.memcached_pid = stack.enter_context(_memcached(directory, memcached_port))
        _prepare(places)
        began = time.monotonic()
        peers.keystone_pid = stack.enter_context(_uwsgi(places, "keystone"))
        peers.glance_pid = stack.enter_context(_uwsgi(places, "glance"))
        until_ready = time.monotonic() - began
        _make_member(peers)
        began = time.monotonic()
        with peers.images() as images:
            images.get("/v2/images").raise_for_status()
        peers.startup_s = until_ready + time.monotonic() - began
        yield peers


def _prepare(places: peer_config.Places) -> None:
    program, config = str(places.environment / "bin/keystone-manage"), str(places.directory / "keystone.conf")
    me = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    account = ["--bootstrap-password", peer_config.ADMIN_PASSWORD, "--bootstrap-region-id", "RegionOne"]
    urls = [
        part
        for kind in ("admin", "public", "internal")
        for part in (f"--bootstrap-{kind}-url", f"{places.keystone}/v3/")
    ]
    for arguments in (["db_sync"], ["fernet_setup", *me], ["credential_setup", *me], ["bootstrap", *account, *urls]):
        _run([program, "--config-file", config, *arguments], places)
    glance = str(places.environment / "bin/glance-manage")
    _run([glance, "--config-file", str(places.directory / "glance-api.conf"), "db_sync"], places)


def _run(argv: list[str], places: peer_config.Places) -> None:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, start_new_session=True, env=_env(places))
    if ran.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {ran.stderr[-2000:]}")


def _env(places: peer_config.Places) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "OS_KEYSTONE_CONFIG_FILES": str(places.directory / "keystone.conf"),
        "OS_GLANCE_CONFIG_DIR": str(places.directory),
    }


@contextlib.contextmanager
def _memcached(directory: Path, port: int) -> Iterator[int]:
    user = ["-u", "root"] if os.geteuid() == 0 else []
    log = directory / "memcached.log"
    with running(["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "64", *user], log) as process:
        wait_for_port(process, port, log)
        yield process.pid


@contextlib.contextmanager
def _uwsgi(places: peer_config.Places, name: str) -> Iterator[int]:
    """Answers once the application inside does."""
    log = places.directory / f"{name}-uwsgi.log"
    argv = [str(places.environment / "bin/uwsgi"), "--ini", str(places.directory / f"{name}.ini")]
    url = f"{places.keystone}/v3/" if name == "keystone" else f"{places.glance}/healthcheck"
    with running(argv, log, _env(places)) as process:
        wait_for_port(process, urlsplit(url).port or 0, log)
        httpx.get(url, timeout=120).raise_for_status()
        yield process.pid


def _make_member(peers: Peers) -> None:
    """Not the administrator, who is asked other questions."""
    admin = peers.token(login_body("admin", peer_config.ADMIN_PASSWORD, "admin", "Default"))
    with httpx.Client(base_url=f"{peers.keystone}/v3", headers={"X-Auth-Token": admin}, timeout=60) as keystone:

        def make(kind: str, **fields: str) -> str:
            answer = keystone.post(
                f"/{kind}s", content=json.dumps({kind: fields}), headers={"Content-Type": "application/json"}
            )
            return str(answer.raise_for_status().json()[kind]["id"])

        project = make("project", name=PROJECT, domain_id="default")
        user = make("user", name=USER, password=PASSWORD, domain_id="default")
        member = keystone.get("/roles", params={"name": "member"}).raise_for_status().json()["roles"][0]["id"]
        keystone.put(f"/projects/{project}/users/{user}/roles/{member}").raise_for_status()
