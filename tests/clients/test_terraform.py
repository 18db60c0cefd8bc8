"""examples/terraform, applied, planned again and destroyed by OpenTofu (or Terraform) with the provider for OTC.

Both are looked for on this machine and nothing is built: `make test-terraform` runs it. `TF_CLI_CONFIG_FILE` may say
where the provider is; else it comes from the registry.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.belongings import belongings
from tests.conftest import BACKENDS
from tests.system import System

PROGRAM = shutil.which("tofu") or shutil.which("terraform")
EXAMPLE = Path(__file__).parents[2] / "examples" / "terraform"
pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif("STILLFRAME_TEST_TERRAFORM" not in os.environ, reason="asked for by `make test-terraform`"),
    pytest.mark.skipif(PROGRAM is None, reason="neither tofu nor terraform is there"),
    pytest.mark.parametrize("system", BACKENDS[:1], indirect=True),
]

Run = Callable[..., int]


@pytest.fixture
def run(system: System, tmp_path: Path) -> Run:
    """Runs a subcommand in a copy of the example; the exit code."""
    for file in EXAMPLE.glob("*.tf"):
        shutil.copy(file, tmp_path)
    consumer = add_consumer(system)
    environment = account(system) | {f"TF_VAR_consumer_{name}": value for name, value in consumer.items()}

    def run(*arguments: str) -> int:
        command = [str(PROGRAM), arguments[0], "-no-color", *arguments[1:]]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900, check=False
        )
        sys.stdout.write(f"$ {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.returncode

    return run


def add_consumer(system: System) -> dict[str, str]:
    """A project that images can be shared with; its user has a role on the domain, too, as the provider wants it."""
    project_id = asyncio.run(system.add_account("consumer-of-tf")).project_id
    with system.http("identity", "stillframe-admin") as identity:
        (user,) = identity.get("/v3/users", params={"name": "consumer-of-tf"}).json()["users"]
        (role,) = identity.get("/v3/roles", params={"name": "member"}).json()["roles"]
        granted = identity.put(f"/v3/domains/{user['domain_id']}/users/{user['id']}/roles/{role['id']}")
    assert granted.status_code == 204, granted.text
    return {
        "user_name": "consumer-of-tf",
        "password": "consumer-of-tf",
        "project_name": "eu-de_consumer-of-tf",
        "project_id": project_id,
    }


def account(system: System) -> dict[str, str]:
    """The usual account, as `openrc` exports it for the provider."""
    cloud = system.cloud()
    named = {name: value for name, value in system.environment().items() if not name.startswith("OS_")}
    return named | {
        "OS_AUTH_URL": cloud["auth"]["auth_url"],
        "OS_USERNAME": cloud["auth"]["username"],
        "OS_PASSWORD": cloud["auth"]["password"],
        "OS_TENANT_NAME": cloud["auth"]["project_name"],
        "OS_DOMAIN_NAME": cloud["auth"]["user_domain_name"],
        "OS_REGION_NAME": cloud["region_name"],
    }


def test_the_example_applies_changes_nothing_a_second_time_and_leaves_nothing(system: System, run: Run) -> None:
    before = belongings(system)
    assert run("init") == 0
    try:
        assert run("apply", "-auto-approve") == 0
        made = belongings(system)
        assert len(made["images"]) == len(before["images"]) + 2
        assert run("plan", "-detailed-exitcode") == 0, "a second plan changes something"
    finally:
        assert run("destroy", "-auto-approve") == 0
    assert belongings(system) == before
