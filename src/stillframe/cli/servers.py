"""Servers, flavors, networks and key pairs, through Nova's and Neutron's calls."""

from __future__ import annotations  # Api, for types only: loading it loads an HTTP library

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.lookup import looks_like_id, pick_one, quoted
from stillframe.cli.polling import T, poll
from stillframe.cli.progress import Display, Status

if TYPE_CHECKING:
    from stillframe.cli.api import Api

USER_DATA_LIMIT = 32 * 1024
Server = dict[str, Any]


def list_servers(api: Api, **filters: str) -> Iterator[Server]:
    params = dict(filters)
    while True:
        answer = api.get("compute", "/servers/detail", params=params)
        page = answer.get("servers") or []
        yield from page
        if not page or not any(link.get("rel") == "next" for link in answer.get("servers_links") or []):
            return
        params["marker"] = page[-1]["id"]


def get_server(api: Api, server_id: str) -> Server | None:
    answer = api.get_or_none("compute", f"/servers/{quoted(server_id)}")
    return answer["server"] if answer else None


def find_server(api: Api, wanted: str) -> Server:
    """Raises: CliError when no server, or more than one, has this name or id."""
    if looks_like_id(wanted) and (found := get_server(api, wanted)):
        return found
    # The service takes the filter as a regular expression, found anywhere: it may only narrow the search.
    filters = {"name": wanted} if re.fullmatch(r"[\w .-]+", wanted) else {}
    named = [server for server in list_servers(api, **filters) if server["name"] == wanted]
    return pick_one("server", wanted, named)


def act_on_server(api: Api, server_id: str, action: dict[str, Any]) -> dict[str, Any]:
    return api.post("compute", f"/servers/{quoted(server_id)}/action", action, about={"server": server_id})


def delete_server(api: Api, server_id: str) -> None:
    api.delete("compute", f"/servers/{quoted(server_id)}", about={"server": server_id})


def get_console(api: Api, server_id: str, lines: int | None = None) -> str:
    options = {} if lines is None else {"length": lines}
    return str(act_on_server(api, server_id, {"os-getConsoleOutput": options}).get("output") or "")


def wait_for_status(api: Api, server_id: str, wanted: str, display: Display, timeout_s: float) -> Server:
    """Raises: CliError when the server ends in ERROR, disappears, or does not get there in time."""

    def ask() -> Server:
        server = get_server(api, server_id)
        if server is None:
            raise CliError(f"server {server_id} is gone", exit_code=ExitCode.NOT_FOUND)
        display.update(_server_progress(server))
        return server

    def is_done(server: Server) -> bool:
        return server["status"] in (wanted, "ERROR") and not server.get("OS-EXT-STS:task_state")

    server = _poll_in_time(ask, is_done, f"server {server_id} is not {wanted}", timeout_s)
    if server["status"] != wanted:
        fault = (server.get("fault") or {}).get("message") or "the service gives no reason"
        raise CliError(f"server {server_id} is in ERROR: {fault}", hint=f"stillframe server show {server_id}")
    return server


def wait_until_gone(api: Api, server_id: str, display: Display, timeout_s: float) -> None:
    def ask() -> Server | None:
        server = get_server(api, server_id)
        display.update(_server_progress(server) if server else Status(phase="deleted"))
        return server

    _poll_in_time(ask, lambda server: server is None, f"server {server_id} is still there", timeout_s)


def _poll_in_time(ask: Callable[[], T], is_done: Callable[[T], bool], otherwise: str, timeout_s: float) -> T:
    try:
        return poll(ask, is_done, timeout_s=timeout_s)
    except TimeoutError:
        raise CliError(f"{otherwise} after {timeout_s:.0f} s") from None


def _server_progress(server: Server) -> Status:
    task = server.get("OS-EXT-STS:task_state")
    return Status(phase=f"{server['status']} ({task})" if task else server["status"])


def find_flavor(api: Api, wanted: str) -> dict[str, Any]:
    if found := api.get_or_none("compute", f"/flavors/{quoted(wanted)}"):
        return dict(found["flavor"])
    return pick_one("flavor", wanted, [flavor for flavor in list_flavors(api) if flavor["name"] == wanted])


def list_flavors(api: Api) -> list[dict[str, Any]]:
    flavors = api.get("compute", "/flavors/detail")["flavors"]
    return sorted(flavors, key=lambda flavor: (flavor["vcpus"], flavor["ram"], flavor["name"]))


def find_network_id(api: Api, wanted: str) -> str:
    key = "id" if looks_like_id(wanted) else "name"
    networks = api.get("network", "/v2.0/networks", params={key: wanted}).get("networks") or []
    return str(pick_one("network", wanted, [network for network in networks if network[key] == wanted])["id"])


def create_server(api: Api, request: Server) -> Server:
    """What Nova answers to a create: the id and the password it set."""
    return dict(api.post("compute", "/servers", {"server": request})["server"])


def encode_user_data(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CliError(f"--user-data {file}: {error.strerror}", exit_code=ExitCode.USAGE) from None
    if len(content) > USER_DATA_LIMIT:
        raise CliError(f"--user-data {file} is larger than {USER_DATA_LIMIT} bytes", exit_code=ExitCode.USAGE)
    return base64.b64encode(content).decode()
