"""POST /servers/{id}/action: the one key of the body names what to do.

Source: OpenStack Compute API reference, "Servers - run an action".
"""

from typing import Annotated, Any, Literal

from litestar import Request, Response, post
from msgspec import Meta, Struct

from stillframe.api.compute_v2.acting import Acting, Action, Answer, accepted
from stillframe.api.compute_v2.addresses import ACTIONS as ADDRESS_ACTIONS
from stillframe.api.compute_v2.bodies import convert, decode_object, int_of
from stillframe.api.compute_v2.changes import CHANGES
from stillframe.api.compute_v2.consoles import CONSOLES
from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.microversions import IMAGE_ID_IN_BODY, Microversion
from stillframe.api.compute_v2.server_requests import Key, Text
from stillframe.api.image_v2.attributes import with_attribute
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.images import capture
from stillframe.images import service as images
from stillframe.images.capture import CaptureRequest
from stillframe.jobs.resources import Resources
from stillframe.servers import console, nics
from stillframe.servers import service as servers

NOT_OFFERED = frozenset(
    {
        *("rescue", "unrescue", "migrate", "os-migrateLive", "evacuate"),
        *("shelveOffload", "createBackup", "forceDelete", "restore", "trigger_crash_dump"),
        *("addFixedIp", "removeFixedIp"),
        *("os-resetState", "resetNetwork", "injectNetworkInfo"),
    }
)


class Reboot(Struct):
    type: Literal["SOFT", "HARD"]


class CreateImage(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    metadata: dict[Key, Text] | None = None


class GroupRef(Struct):
    name: Key


class ConsoleOutput(Struct):
    length: int | str | None = None


@post("/servers/{server_id:str}/action", status_code=202)
async def run_action(
    request: Request[Any, Any, Any],
    server_id: str,
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    resources: Resources,
    version: Microversion,
) -> Answer:
    body = decode_object(await request.body())
    if len(body) != 1:
        raise InvalidInputError("There must be exactly one action in the request body.")
    name, argument = next(iter(body.items()))
    if name in NOT_OFFERED:
        raise NotOfferedError(f"The action {name} is not offered by this deployment.")
    if name not in _ACTIONS:
        raise InvalidInputError(f"There is no such action: {name[:255]}")
    acting = Acting(tx, caller, settings, resources, version, server_id, base_url(request))
    return await _ACTIONS[name](acting, argument)


async def _start(acting: Acting, _argument: Any) -> Answer:
    await servers.start_server(acting.tx, acting.caller, acting.settings, acting.server_id)
    return accepted()


async def _stop(acting: Acting, _argument: Any) -> Answer:
    await servers.stop_server(acting.tx, acting.caller, acting.settings, acting.server_id)
    return accepted()


async def _reboot(acting: Acting, argument: Any) -> Answer:
    if isinstance(argument, dict) and isinstance(argument.get("type"), str):
        argument = {"type": argument["type"].upper()}
    hard = convert(argument, Reboot).type == "HARD"
    await servers.reboot_server(acting.tx, acting.caller, acting.settings, acting.server_id, hard=hard)
    return accepted()


async def _create_image(acting: Acting, argument: Any) -> Answer:
    """The image has its id at once, and becomes active when the job behind it has sealed the disk."""
    wanted = convert(argument, CreateImage)
    if not wanted.name.strip():
        raise InvalidInputError("Invalid input for field/attribute name: it is blank", field="name")
    acting.caller.require_writer()
    await servers.get_server(acting.tx, acting.caller, acting.server_id)
    blank = images.new_image(acting.caller)
    for name, value in (wanted.metadata or {}).items():
        blank = with_attribute(blank, name, value)
    job = await capture.capture_server(
        acting.tx,
        acting.caller,
        acting.settings,
        CaptureRequest(server_id=acting.server_id, name=wanted.name, properties=blank.properties),
    )
    image_id = job.args["image_id"]
    if acting.version >= IMAGE_ID_IN_BODY:
        return Response({"image_id": image_id}, status_code=202)
    location = f"{acting.settings.url('image')}/v2/images/{image_id}"
    return Response(b"", status_code=202, headers={"Location": location})


async def _get_console_output(acting: Acting, argument: Any) -> Answer:
    length = int_of(convert(argument or {}, ConsoleOutput).length, "length")
    server = await servers.get_server(acting.tx, acting.caller, acting.server_id)
    lines = None if length is None or length < 0 else length
    output = await console.read_console(acting.resources.layout, server.id, lines)
    return Response({"output": output}, status_code=200)


async def _add_group(acting: Acting, argument: Any) -> Answer:
    name = convert(argument, GroupRef).name
    await nics.change_groups(acting.tx, acting.caller, acting.server_id, name, add=True)
    return accepted()


async def _remove_group(acting: Acting, argument: Any) -> Answer:
    name = convert(argument, GroupRef).name
    await nics.change_groups(acting.tx, acting.caller, acting.server_id, name, add=False)
    return accepted()


_ACTIONS: dict[str, Action] = {
    **CHANGES,
    **CONSOLES,
    **ADDRESS_ACTIONS,
    "os-start": _start,
    "os-stop": _stop,
    "reboot": _reboot,
    "createImage": _create_image,
    "os-getConsoleOutput": _get_console_output,
    "addSecurityGroup": _add_group,
    "removeSecurityGroup": _remove_group,
}
