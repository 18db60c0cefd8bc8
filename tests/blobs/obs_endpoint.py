"""The real S3 endpoint on a data directory of its own, asking a dict instead of the identity service."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from stillframe.blobs.layout import DataLayout
from stillframe.blobs.object_store import ObjectStore, ObjectStoreSettings
from stillframe.ops.obs import ObsSettings
from stillframe.ops.obs_auth_server import ObsAccount, ObsAuthServer

ALICE = "a11ce000000000000000000000000000"
BOB = "b0b00000000000000000000000000000"


_BECOME = """
import sys
from pathlib import Path
from stillframe.blobs.layout import DataLayout
from stillframe.ops.obs import ObsSettings, become_rclone

become_rclone(ObsSettings(DataLayout(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])))
"""


@dataclass
class ObsEndpoint:
    obs: ObsSettings
    accounts: dict[str, ObsAccount]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.obs.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def begin(self) -> None:
        """As the supervisor does it, in a program of its own: test processes have threads, which no fork may."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BECOME, str(self.obs.layout.root), self.obs.host, str(self.obs.port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def start(self) -> None:
        """Until it is rclone that listens."""
        self.begin()
        assert self.process is not None
        deadline = time.monotonic() + 20
        while not listens(self.obs.port):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self, access_key: str, secret: str | None = None) -> Any:
        """A boto3 client with its defaults."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="eu-de",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret or self.accounts[access_key].secret,
            config=Config(retries={"max_attempts": 0}),
        )

    def store(self, access_key: str = "AKALICE", secret: str | None = None) -> ObjectStore:
        account = self.accounts[access_key]
        return ObjectStore(ObjectStoreSettings(self.url, "eu-de", access_key, secret or account.secret))

    def files(self, project_id: str, bucket: str) -> set[str]:
        root = self.obs.layout.obs_root(project_id) / bucket
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@contextlib.asynccontextmanager
async def running_endpoint() -> AsyncIterator[ObsEndpoint]:
    """The directory's name has a space and a quote, as a user's may."""
    root = Path(tempfile.mkdtemp(prefix="sf obs' "))
    accounts = {
        "AKALICE": ObsAccount(secret="alice-secret", project_id=ALICE),
        "AKALICE2": ObsAccount(secret="alice-second-secret", project_id=ALICE),
        "AKBOB": ObsAccount(secret="bob-secret", project_id=BOB),
    }

    async def look_up(access_key: str) -> ObsAccount | None:
        return accounts.get(access_key)

    layout = DataLayout(root)
    layout.create()
    endpoint = ObsEndpoint(ObsSettings(layout, "127.0.0.1", free_port()), accounts, layout.log("obs"))
    server = ObsAuthServer(layout.obs_auth_socket, look_up)
    await server.start()
    try:
        endpoint.start()
        yield endpoint
    finally:
        if endpoint.process is not None:
            endpoint.kill()
        await server.stop()
        shutil.rmtree(root)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
