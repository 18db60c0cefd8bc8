"""A running Stillframe, seen from outside: its directory, its endpoints and its accounts."""

import base64
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import httpx
import sqlalchemy as sa
import yaml

from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS, load_settings
from stillframe.db import open_database
from stillframe.identity import service as identity
from stillframe.identity.model import ProjectFilter, Scope
from stillframe.identity.tokens import TokenKeys

WEB_PORT = 9400
"""Above the system's own offset: from here imports may download from this machine."""
MICROVERSION = {"OpenStack-API-Version": "compute 2.60"}


class Account(NamedTuple):
    project_id: str
    token: str
    access_key: str
    secret_key: str


@dataclass
class System:
    data_dir: Path
    port_offset: int
    settings: dict[str, object] = field(default_factory=dict, repr=False)
    extra_environment: dict[str, str] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)
    tokens: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    @property
    def clouds_yaml(self) -> Path:
        return self.data_dir / "clouds.yaml"

    def cloud(self, name: str = "stillframe") -> dict[str, Any]:
        return yaml.safe_load(self.clouds_yaml.read_text())["clouds"][name]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{PORTS[service] + self.port_offset}"

    def environment(self, cloud: str = "stillframe") -> dict[str, str]:
        """For a client's process: it finds the accounts in clouds.yaml and nothing else of this machine's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "STILLFRAME_"))}
        own_home = self.data_dir / "client-home"
        own_home.mkdir(exist_ok=True)
        return (
            kept
            | self.extra_environment
            | {
                "HOME": str(own_home),
                "XDG_CACHE_HOME": str(own_home / "cache"),
                "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml),
                "OS_CLOUD": cloud,
                "STILLFRAME_DATA_DIR": str(self.data_dir),
                "STILLFRAME_PORT_OFFSET": str(self.port_offset),
            }
        )

    def run(self, *argv: str, timeout: float = 120.0, cloud: str = "stillframe") -> subprocess.CompletedProcess[str]:
        """A program of the virtual environment, by its name."""
        program = Path(sys.executable).with_name(argv[0])
        return subprocess.run(
            [str(program), *argv[1:]],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(cloud),
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def up(self) -> None:
        assert not (refusal := self.try_up()), refusal

    def try_up(self) -> str:
        """ "" once everything answers, else what went wrong."""
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items() if value != ""]
        (self.data_dir / "stillframe.toml").write_text("".join(lines))
        program = Path(sys.executable).with_name("stillframe")
        # With this user's own cache, where the public image is: building one for every system takes too long.
        cache = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}
        environment = {name: value for name, value in self.environment().items() if name != "XDG_CACHE_HOME"} | cache
        started = subprocess.run(
            [str(program), "up", "--detach"],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return started.stdout + started.stderr + self.logs() if started.returncode else ""

    def down(self) -> None:
        self.run("stillframe", "down", timeout=60)

    def destroy(self) -> None:
        """Ends everything, the machines too."""
        self.run("stillframe", "down", "--machines", timeout=90)

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in (self.data_dir / "logs").glob("*"))

    def token(self, cloud: str = "stillframe", **scope: Any) -> str:
        """A token of the account; kept, since checking a password costs what it costs an attacker."""
        kept = (cloud, json.dumps(scope))
        if kept not in self.tokens:
            self.tokens[kept] = self.new_token(cloud, **scope)
        return self.tokens[kept]

    def new_token(self, cloud: str = "stillframe", **scope: Any) -> str:
        auth = self.cloud(cloud)["auth"]
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"name": auth["user_domain_name"]},
        }
        project = {"project": {"name": auth["project_name"], "domain": {"name": auth["project_domain_name"]}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope or project}}
        answer = httpx.post(f"{self.url('identity')}/v3/auth/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def project_id(self, cloud: str = "stillframe") -> str:
        if cloud not in self.projects:
            self.projects[cloud] = self._find_project_id(cloud)
        return self.projects[cloud]

    def _find_project_id(self, cloud: str) -> str:
        token = self.token(cloud)
        answer = httpx.get(f"{self.url('identity')}/v3/auth/projects", headers={"X-Auth-Token": token})
        name = self.cloud(cloud)["auth"]["project_name"]
        return next(project["id"] for project in answer.json()["projects"] if project["name"] == name)

    def http(self, service: str, cloud: str = "stillframe") -> httpx.Client:
        """A client with a token of the account, for one service."""
        return httpx.Client(base_url=self.url(service), headers={"X-Auth-Token": self.token(cloud)}, timeout=60)

    def wait_for_job(self, job_id: str, timeout: float = 120.0) -> dict[str, Any]:
        """The finished job, as IMS shows it."""
        deadline = time.monotonic() + timeout
        with self.http("image") as image:
            while True:
                job = image.get(f"/v1/{self.project_id()}/jobs/{job_id}").json()
                if job["status"] in ("SUCCESS", "FAIL"):
                    return job
                assert time.monotonic() < deadline, job
                time.sleep(0.05)

    async def add_account(self, name: str) -> Account:
        """A user of that name, member of a project of its own, who can sign requests and log in."""
        settings = load_settings(
            data_dir=self.data_dir, database_url=str(self.settings.get("database_url") or "") or None
        )
        keys = TokenKeys.open(DataLayout(self.data_dir))
        database = open_database(settings.db_url)
        async with database.writing() as tx:
            domain_id = (await identity.list_projects(tx, ProjectFilter()))[0].domain_id
            project = await identity.create_project(tx, domain_id, f"eu-de_{name}")
            user = await identity.create_user(tx, domain_id, name, name, default_project_id=project.id)
            scope = Scope(project_id=project.id)
            await identity.grant_role(tx, user.id, "member", scope)
            key = await identity.create_access_key(tx, keys, user.id)
            issued = await identity.issue_token(tx, keys, user, scope, methods=("password",))
        await database.close()
        return Account(project.id, issued.text, key.key.access, key.secret)

    def public_image(self) -> str:
        with self.http("image") as image:
            return image.get("/v2/cloudimages", params={"__imagetype": "gold"}).json()["images"][0]["id"]

    def create_server(
        self,
        name: str,
        *,
        image_id: str = "",
        disk_gib: int = 1,
        user_data: str = "",
        block_devices: list[dict[str, Any]] | None = None,
    ) -> str:
        """A server that is ACTIVE; its guest may still be starting."""
        image_id = image_id or self.public_image()
        disk = {
            "boot_index": 0,
            "uuid": image_id,
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": disk_gib,
            "delete_on_termination": True,
        }
        wanted: dict[str, Any] = {
            "name": name,
            "flavorRef": "s3.small.1",
            "imageRef": image_id,
            "block_device_mapping_v2": block_devices or [disk],
            "networks": "auto",
        }
        if user_data:
            wanted["user_data"] = base64.b64encode(user_data.encode()).decode()
        with self.http("compute") as compute:
            answer = compute.post(f"/v2.1/{self.project_id()}/servers", json={"server": wanted}, headers=MICROVERSION)
            assert answer.status_code == 202, answer.text
            server_id = answer.json()["server"]["id"]
        self.wait_for_server(server_id, "ACTIVE")
        return server_id

    def stopped_server(self, name: str, *, disk_gib: int = 1, user_data: str = "") -> str:
        """A server that has booted once and powered itself off on request."""
        server_id = self.create_server(name, disk_gib=disk_gib, user_data=user_data)
        self.wait_for_console(server_id, "stillframe: ready")
        self.act(server_id, {"os-stop": None})
        self.wait_for_server(server_id, "SHUTOFF")
        return server_id

    def halted_server(self, name: str, *, disk_gib: int = 1) -> str:
        """A server whose power was cut as soon as it had any: for tests to which its guest does not matter."""
        server_id = self.create_server(name, disk_gib=disk_gib)
        hard = {"os-stop": {"type": "HARD", "servers": [{"id": server_id}]}}
        with self.http("compute") as compute:
            answer = compute.post(f"/v1/{self.project_id()}/cloudservers/action", json=hard)
            assert answer.status_code == 200, answer.text
        self.wait_for_server(server_id, "SHUTOFF")
        return server_id

    def act(self, server_id: str, action: dict[str, Any]) -> httpx.Response:
        with self.http("compute") as compute:
            return compute.post(f"/v2.1/{self.project_id()}/servers/{server_id}/action", json=action)

    def show_server(self, server_id: str) -> dict[str, Any]:
        with self.http("compute") as compute:
            return compute.get(f"/v2.1/{self.project_id()}/servers/{server_id}").json()["server"]

    def wait_for_server(self, server_id: str, status: str, timeout: float = 90.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while (server := self.show_server(server_id))["status"] != status or server["OS-EXT-STS:task_state"]:
            assert time.monotonic() < deadline, server
            assert server["status"] != "ERROR" or status == "ERROR", server
            time.sleep(0.1)
        return server

    def console(self, server_id: str) -> str:
        return self.act(server_id, {"os-getConsoleOutput": {}}).json()["output"]

    def wait_for_console(self, server_id: str, text: str, timeout: float = 90.0) -> str:
        deadline = time.monotonic() + timeout
        while text not in (output := self.console(server_id)):
            assert time.monotonic() < deadline, output[-2000:]
            time.sleep(0.2)
        return output

    def delete_server(self, server_id: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        with self.http("compute") as compute:
            compute.delete(f"/v2.1/{self.project_id()}/servers/{server_id}")
            while compute.get(f"/v2.1/{self.project_id()}/servers/{server_id}").status_code != 404:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def capture(self, server_id: str, name: str) -> str:
        """The id of a finished image of the server."""
        with self.http("image") as image:
            answer = image.post("/v2/cloudimages/action", json={"name": name, "instance_id": server_id})
            assert answer.status_code == 200, answer.text
        job = self.wait_for_job(answer.json()["job_id"])
        assert job["status"] == "SUCCESS", job
        return job["entities"]["image_id"]

    def s3(self, cloud: str = "stillframe") -> Any:
        """boto3's client for the object store, with the account's key."""
        account = self.cloud(cloud)
        return boto3.client(
            "s3",
            endpoint_url=self.url("obs"),
            aws_access_key_id=account["ak"],
            aws_secret_access_key=account["sk"],
            region_name=account["region_name"],
        )

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """For states that no request leads to."""
        url = str(self.settings.get("database_url") or f"sqlite:///{self.data_dir}/stillframe.db")
        engine = sa.create_engine(url)
        try:
            with engine.begin() as connection:
                result = connection.execute(sa.text(statement), parameters)
                return list(result) if result.returns_rows else []
        finally:
            engine.dispose()

    @staticmethod
    def compare_disks(one: tuple[str, Path], other: tuple[str, Path]) -> subprocess.CompletedProcess[str]:
        """qemu-img's own answer whether two disks, each (driver, file), read the same."""
        formats = ["-f", one[0], "-F", other[0], str(one[1]), str(other[1])]
        return subprocess.run(["qemu-img", "compare", *formats], capture_output=True, text=True, check=False)

    def worker_pid(self) -> int:
        return int((DataLayout(self.data_dir).pid_file("worker")).read_text())

    def pause_worker(self, timeout: float = 30.0) -> int:
        """Freezes the worker, at a moment when it holds no lock of the database: jobs are taken in and not started,
        until it is resumed.
        """
        pid = self.worker_pid()
        deadline = time.monotonic() + timeout
        while True:
            os.kill(pid, signal.SIGSTOP)
            if self._nobody_writes():
                return pid
            os.kill(pid, signal.SIGCONT)
            assert time.monotonic() < deadline, "the worker never leaves the database alone"
            time.sleep(0.02)

    def _nobody_writes(self) -> bool:
        """Whether no transaction holds a lock that a request could wait for."""
        url = str(self.settings.get("database_url", ""))
        if not url:
            database = sqlite3.connect(self.data_dir / "stillframe.db", timeout=1, isolation_level=None)
            with contextlib.closing(database):
                try:
                    database.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    return False
                return True
        others = (
            "SELECT count(*) AS open FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'transactionid' "
            "AND granted AND pid <> pg_backend_pid() AND datname = current_database()"
        )
        return bool(self.sql(others)[0].open == 0)

    def resume_worker(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)
