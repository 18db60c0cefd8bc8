"""A running Stillframe, seen from outside: its directory, its endpoints and its accounts."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from stillframe.config import PORTS


@dataclass
class System:
    data_dir: Path
    port_offset: int
    settings: dict[str, object] = field(default_factory=dict)

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
        return kept | {
            "HOME": str(own_home),
            "XDG_CACHE_HOME": str(own_home / "cache"),
            "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml),
            "OS_CLOUD": cloud,
            "STILLFRAME_DATA_DIR": str(self.data_dir),
            "STILLFRAME_PORT_OFFSET": str(self.port_offset),
        }

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
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items() if value != ""]
        (self.data_dir / "stillframe.toml").write_text("".join(lines))
        started = self.run("stillframe", "up", "--detach", timeout=120)
        assert started.returncode == 0, started.stdout + started.stderr + self.logs()

    def down(self) -> None:
        self.run("stillframe", "down", timeout=60)

    def destroy(self) -> None:
        """Ends everything, the machines too."""
        self.run("stillframe", "down", "--machines", timeout=90)

    def logs(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text()[-4000:]}" for path in (self.data_dir / "logs").glob("*"))

    def token(self, cloud: str = "stillframe", **scope: Any) -> str:
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
