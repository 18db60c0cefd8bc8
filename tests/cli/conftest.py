import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.standin import StandIn, running_stand_in


@dataclass
class Cli:
    """Runs the command in a process of its own, as a user of an otherwise empty machine."""

    home: Path
    environ: dict[str, str]

    def run(self, *argv: str, check: int | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*argv),
            env=self.environ | environ,
            cwd=self.home,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*argv),
            env=self.environ,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    @staticmethod
    def argv(*argv: str) -> list[str]:
        return [sys.executable, "-m", "stillframe.cli", *argv]

    @property
    def cached_tokens(self) -> list[Path]:
        return sorted(self.home.glob("cache/stillframe/tokens/*.json"))


BYTECODE = Path(tempfile.gettempdir()) / f"stillframe-test-bytecode-{os.getuid()}"


def own_environment(home: Path) -> dict[str, str]:
    """Byte-compiled as an installed program is, which halves the time of these tests."""
    ignored = ("OS_", "STILLFRAME_", "XDG_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ignored)}
    return kept | {
        "PYTHONPYCACHEPREFIX": str(BYTECODE),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
    }


@pytest.fixture
def cloud() -> Iterator[StandIn]:
    with running_stand_in() as started:
        yield started


@pytest.fixture
def cli(tmp_path: Path, cloud: StandIn) -> Cli:
    """Its only cloud is `cloud`."""
    home = tmp_path / "home"
    home.mkdir()
    cloud.write_clouds_yaml(home)
    return Cli(home, own_environment(home))
