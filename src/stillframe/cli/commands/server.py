# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe server`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from cyclopts import App

from stillframe.cli import servers
from stillframe.cli.context import Context, Ctx
from stillframe.cli.errors import CliError, ExitCode
from stillframe.cli.images import find_image
from stillframe.cli.output import pick, print_fields, print_json, print_table, printable, say

app = App(name="server", help="Servers: create, start, stop, look at their console, delete.")

WAIT_S = 600.0
FOLLOW_S = 1.0

_FIELDS = (
    "id",
    "name",
    "status",
    "created",
    "key_name",
    "adminPass",
)


@app.command(name="create")
def create_server(
    *,
    name: str,
    image: str,
    flavor: str,
    network: str = "",
    key_name: str = "",
    user_data: Path | None = None,
    disk_gib: int | None = None,
    wait: bool = False,
    ctx: Ctx,
) -> None:
    """Create a server from an image.

    Parameters
    ----------
    image
        Name or id of the image to boot.
    flavor
        Name or id of the flavor: see `stillframe flavor list`.
    network
        Name or id of the network; left out, the service chooses the project's own.
    key_name
        Key pair whose public key is put into the server.
    user_data
        Script or cloud-config file the server runs at its first boot.
    disk_gib
        Size of the root disk, when it shall be larger than the image asks for.
    wait
        Return when the server is ACTIVE.
    """
    api = ctx.api
    request = build_request(
        name=name,
        image_id=str(find_image(api, image)["id"]),
        flavor_id=str(servers.find_flavor(api, flavor)["id"]),
        network_id=servers.find_network_id(api, network) if network else "",
        key_name=key_name,
        user_data=servers.encode_user_data(user_data) if user_data else "",
        disk_gib=disk_gib,
    )
    created = servers.create_server(api, request)
    server = _wait(ctx, created["id"], name, "ACTIVE") if wait else servers.get_server(api, created["id"]) or {}
    _show(ctx, {**created, **server})


def build_request(
    *, name: str, image_id: str, flavor_id: str, network_id: str, key_name: str, user_data: str, disk_gib: int | None
) -> dict[str, Any]:
    """The body of a create. A size for the root disk needs the block device form; it is deleted with the server."""
    request: dict[str, Any] = {"name": name, "imageRef": image_id, "flavorRef": flavor_id}
    if network_id:
        request["networks"] = [{"uuid": network_id}]
    if key_name:
        request["key_name"] = key_name
    if user_data:
        request["user_data"] = user_data
    if disk_gib:
        root = {"boot_index": 0, "uuid": image_id, "source_type": "image", "destination_type": "volume"}
        request["block_device_mapping_v2"] = [root | {"volume_size": disk_gib, "delete_on_termination": True}]
    return request


@app.command(name="list")
def list_servers(*, name: str = "", status: str = "", ctx: Ctx) -> None:
    """List the servers of the project.

    Parameters
    ----------
    name
        Only servers whose name matches this regular expression.
    status
        Only servers in this status, for example ACTIVE or SHUTOFF.
    """
    filters = {key: value for key, value in {"name": name, "status": status}.items() if value}
    found = list(servers.list_servers(ctx.api, **filters))
    if ctx.is_json:
        print_json(found)
        return
    rows = (
        (
            server["id"],
            server["name"],
            server["status"],
            server.get("OS-EXT-STS:task_state"),
            _flavor_name(server),
            _addresses(server),
        )
        for server in found
    )
    print_table(("id", "name", "status", "task", "flavor", "addresses"), rows)


@app.command(name="show")
def show_server(server: str, *, ctx: Ctx) -> None:
    """Show one server, by name or id."""
    _show(ctx, servers.find_server(ctx.api, server))


@app.command(name="start")
def start_servers(*server: str, wait: bool = False, ctx: Ctx) -> None:
    """Start stopped servers.

    Parameters
    ----------
    wait
        Return when they are ACTIVE.
    """
    _act(ctx, server, {"os-start": None}, "ACTIVE" if wait else "")


@app.command(name="stop")
def stop_servers(*server: str, wait: bool = False, ctx: Ctx) -> None:
    """Stop servers: the guest is asked to power off first.

    Parameters
    ----------
    wait
        Return when they are SHUTOFF.
    """
    _act(ctx, server, {"os-stop": None}, "SHUTOFF" if wait else "")


@app.command(name="reboot")
def reboot_servers(*server: str, hard: bool = False, wait: bool = False, ctx: Ctx) -> None:
    """Reboot servers.

    Parameters
    ----------
    hard
        Like pulling the plug, instead of asking the guest.
    wait
        Return when they are ACTIVE again.
    """
    _act(ctx, server, {"reboot": {"type": "HARD" if hard else "SOFT"}}, "ACTIVE" if wait else "")


@app.command(name="delete")
def delete_servers(*server: str, wait: bool = False, ctx: Ctx) -> None:
    """Delete servers and their disks.

    Parameters
    ----------
    wait
        Return when they are gone.
    """
    found = [servers.find_server(ctx.api, wanted) for wanted in _required(server)]
    for one in found:
        servers.delete_server(ctx.api, one["id"])
    if wait:
        for one in found:
            with ctx.display(f"server {one['name']}") as display:
                servers.wait_until_gone(ctx.api, one["id"], display, WAIT_S)
    if ctx.is_json:
        print_json([{"id": one["id"], "name": one["name"]} for one in found])
    else:
        for one in found:
            say(f"server {one['name']} ({one['id']}) {'is deleted' if wait else 'is being deleted'}")


@app.command(name="console")
def show_console(server: str, *, lines: int | None = None, follow: bool = False, ctx: Ctx) -> None:
    """Print what a server has written to its serial console.

    Parameters
    ----------
    lines
        Only the last so many lines.
    follow
        Go on printing new output until Ctrl-C. As JSON: one object per piece of output.
    """
    server_id = servers.find_server(ctx.api, server)["id"]
    shown = servers.get_console(ctx.api, server_id, lines)
    if not follow:
        _print_console(ctx, shown, whole=True)
        return
    _print_console(ctx, shown, whole=False)
    while True:
        time.sleep(FOLLOW_S)
        now = servers.get_console(ctx.api, server_id)
        _print_console(ctx, new_output(shown, now), whole=False)
        shown = now


def new_output(before: str, now: str) -> str:
    """What `now` has behind the end of `before`; all of it when that end is no longer there (a reboot, a full log)."""
    tail = before[-2000:]
    start = now.rfind(tail) if tail else -1
    return now if start < 0 else now[start + len(tail) :]


def _print_console(ctx: Context, text: str, *, whole: bool) -> None:
    if ctx.is_json and whole:
        print_json({"output": text})
    elif ctx.is_json and text:
        sys.stdout.write(json.dumps({"output": text}) + "\n")
    elif text:
        text = printable(text.replace("\r\n", "\n"), keep="\n\t") if sys.stdout.isatty() else text
        sys.stdout.write(text if not whole or text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def _act(ctx: Context, wanted: tuple[str, ...], action: dict[str, Any], awaited: str) -> None:
    found = [servers.find_server(ctx.api, name) for name in _required(wanted)]
    for server in found:
        servers.act_on_server(ctx.api, server["id"], action)
    if awaited:
        found = [_wait(ctx, server["id"], server["name"], awaited) for server in found]
    if ctx.is_json:
        print_json(found)
        return
    for server in found:
        say(f"server {server['name']} is {awaited}" if awaited else f"server {server['name']}: accepted")


def _required(given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        raise CliError("which server? give at least one name or id", exit_code=ExitCode.USAGE)
    return given


def _wait(ctx: Context, server_id: str, name: str, status: str) -> dict[str, Any]:
    with ctx.display(f"server {name}") as display:
        return servers.wait_for_status(ctx.api, server_id, status, display, WAIT_S)


def _show(ctx: Context, server: dict[str, Any]) -> None:
    if ctx.is_json:
        print_json(server)
        return
    fields = pick(server, _FIELDS)
    fields["task"] = server.get("OS-EXT-STS:task_state")
    fields["flavor"] = _flavor_name(server)
    fields["image"] = (server.get("image") or {}).get("id")
    fields["addresses"] = _addresses(server)
    fields["volumes"] = [volume["id"] for volume in server.get("os-extended-volumes:volumes_attached") or []]
    fields["fault"] = (server.get("fault") or {}).get("message")
    print_fields(fields)


def _flavor_name(server: dict[str, Any]) -> str:
    flavor = server.get("flavor") or {}
    return str(flavor.get("original_name") or flavor.get("id") or "")


def _addresses(server: dict[str, Any]) -> str:
    networks = server.get("addresses") or {}
    return ", ".join(address["addr"] for addresses in networks.values() for address in addresses)
