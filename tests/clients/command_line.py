"""The `openstack` command inside of this process: starting Python anew for every command line costs seconds."""

import contextlib
import io
import json
import locale
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

from openstack import exceptions
from openstack.connection import Connection
from openstackclient import shell
from osc_lib.clientmanager import ClientCache, ClientManager

from tests.system import System

# otcextensions puts another one in its place, for the whole process, once it is loaded.
_REFUSALS_OF_OPENSTACKSDK = exceptions.raise_from_response


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class _Keyboard(io.StringIO):
    """Nobody types; what is piped into `openstack image create` would be the image's data."""

    def isatty(self) -> bool:
        return True


def run_command(line: str, environment: dict[str, str]) -> Outcome:
    """One command line as from a shell, with no other variables than `environment`."""
    out, err = io.StringIO(), io.StringIO()
    kept = locale.setlocale(locale.LC_ALL)  # the command sets this process' own, by the environment
    _forget_clients()
    with (
        mock.patch.dict("os.environ", environment, clear=True),
        mock.patch("sys.stdin", _Keyboard()),
        mock.patch("openstack.exceptions.raise_from_response", _REFUSALS_OF_OPENSTACKSDK),
        _services_kept(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = shell.OpenStackShell().run(shlex.split(line))
        except SystemExit as ended:  # a usage error
            code = int(ended.code or 0)
        finally:
            locale.setlocale(locale.LC_ALL, kept)
    return Outcome(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _services_kept() -> Iterator[None]:
    """A command of otcextensions puts services on openstacksdk's class, where the next command would find them."""
    kept = dict(vars(Connection))
    try:
        yield
    finally:
        for name, value in dict(vars(Connection)).items():
            if name not in kept:
                delattr(Connection, name)
            elif kept[name] is not value:
                setattr(Connection, name, kept[name])


def _forget_clients() -> None:
    """The class keeps the clients that the first command made, with that one's token and addresses."""
    for cache in vars(ClientManager).values():
        if isinstance(cache, ClientCache):
            cache._handle = None


class CommandLine:
    """Speaks by a token: checking the password every time takes as long as it takes an attacker."""

    def __init__(self, system: System, cloud: str = "stillframe", *, token: str = "", project_id: str = "") -> None:
        self.project_id = project_id or system.project_id(cloud)
        self._environment = {
            "OS_AUTH_TYPE": "v3token",
            "OS_AUTH_URL": f"{system.url('identity')}/v3",
            "OS_TOKEN": token or system.token(cloud),
            "OS_PROJECT_ID": self.project_id,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": system.cloud()["region_name"],
            "HOME": str(system.data_dir),
        }

    def run(self, line: str) -> str:
        """What the command prints; the test fails when the command does."""
        done = run_command(line, self._environment)
        assert done.code == 0, f"{line}: {done.out}{done.err}"
        return done.out

    def read(self, line: str) -> Any:
        return json.loads(self.run(f"{line} -f json"))

    def refused(self, line: str) -> str:
        """What the command complains of."""
        done = run_command(line, self._environment)
        assert done.code != 0, f"{line}: {done.out}"
        return done.err
