"""gophertelekomcloud, the Go SDK under OTC's Terraform provider, by the tests in tests/go.

Building it takes a Go toolchain and the module proxy, so it runs when it is asked for: `make test-go`.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.belongings import belongings
from tests.conftest import BACKENDS
from tests.system import System

GO = shutil.which("go")
pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif("STILLFRAME_TEST_GO" not in os.environ, reason="asked for by `make test-go`"),
    pytest.mark.skipif(GO is None, reason="no Go toolchain"),
    pytest.mark.parametrize("system", BACKENDS[:1], indirect=True),
]


def test_gophertelekomcloud_drives_the_image_pipeline(system: System) -> None:
    asyncio.run(system.add_account("other-of-go"))
    system.s3().create_bucket(Bucket="go-exports")
    before = belongings(system)
    done = subprocess.run(
        [str(GO), "test", "-v", "-count=1", "./..."],
        cwd=Path(__file__).parents[1] / "go",
        env=environment(system) | {"OTHER_USERNAME": "other-of-go", "OTHER_PASSWORD": "other-of-go"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert system.s3().head_object(Bucket="go-exports", Key="golden.qcow2")["ContentLength"] > 1_000_000
    assert belongings(system) == before


def environment(system: System) -> dict[str, str]:
    """The account as `openrc` exports it, and the toolchain's own directories."""
    assert GO
    caches = ("GOCACHE", "GOMODCACHE", "GOPATH")
    values = subprocess.run([GO, "env", *caches], capture_output=True, text=True, check=True).stdout.splitlines()
    account = system.cloud()
    return system.environment() | {
        **dict(zip(caches, values, strict=True)),
        "OS_AUTH_URL": account["auth"]["auth_url"],
        "OS_USERNAME": account["auth"]["username"],
        "OS_PASSWORD": account["auth"]["password"],
        "OS_PROJECT_NAME": account["auth"]["project_name"],
        "OS_USER_DOMAIN_NAME": account["auth"]["user_domain_name"],
        "OS_REGION_NAME": account["region_name"],
        "OS_ACCESS_KEY": account["ak"],
        "OS_SECRET_KEY": account["sk"],
        "OTHER_PROJECT_NAME": "eu-de_other-of-go",
        "EXPORT_BUCKET": "go-exports",
    }
