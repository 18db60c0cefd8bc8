"""The demo where no system runs: it brings its own."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import own_environment
from tests.cli.test_with_system import SystemCli, run_demo


@pytest.mark.boot
def test_the_demo_starts_and_removes_a_system_of_its_own(tmp_path: Path) -> None:
    environ = own_environment(tmp_path) | {
        "TMPDIR": str(tmp_path),
        "XDG_CACHE_HOME": str(Path("~/.cache").expanduser()),
    }
    user = SystemCli(tmp_path, environ)
    done = run_demo(user, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["passed"] is True
    assert list(tmp_path.glob("stillframe-demo-*")) == []
