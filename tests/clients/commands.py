"""The `openstack` command as an account of a running system."""

import json
from typing import Any

from tests.clients.command_line import Outcome, run_command
from tests.system import System


class OpenStackCommand:
    """As the account of `cloud`, by a token: checking the password for every line takes too long."""

    def __init__(self, system: System, cloud: str = "stillframe") -> None:
        self.environment = {
            **system.environment(cloud),
            "OS_AUTH_TYPE": "v3token",
            "OS_AUTH_URL": f"{system.url('identity')}/v3",
            "OS_TOKEN": system.token(cloud),
            "OS_PROJECT_ID": system.project_id(cloud),
            "OS_REGION_NAME": "eu-de",
            "OS_IDENTITY_API_VERSION": "3",
        }
        for name in ("OS_CLOUD", "OS_CLIENT_CONFIG_FILE"):
            del self.environment[name]

    def __call__(self, line: str) -> str:
        """What it prints; the test fails when the command does."""
        code, out, err = self.attempt(line)
        assert code == 0, f"{line}: {out}{err}"
        return out

    def read(self, line: str) -> Any:
        return json.loads(self(f"{line} -f json"))

    def refused(self, line: str) -> str:
        """What it complains of."""
        code, out, err = self.attempt(line)
        assert code != 0, f"{line}: {out}"
        return err

    def attempt(self, line: str) -> Outcome:
        return run_command(line, self.environment)
