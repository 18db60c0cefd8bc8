"""Who may open a console, and how often; a real one is opened in test_changed_servers."""

from typing import Any

import pytest

from stillframe.api import compute_v2
from stillframe.errors import UnauthenticatedError
from stillframe.servers import remote_consoles
from stillframe.servers.model import VmState
from stillframe.servers.remote_consoles import ConsoleKind
from tests.servers.test_actions import a_server
from tests.servers.world import OURS, THEIRS, World, caller


async def a_token(world: World, server_id: str, kind: ConsoleKind = ConsoleKind.VNC) -> str:
    async with world.database.writing() as tx:
        return await remote_consoles.create_token(tx, caller(), world.settings, server_id, kind)


async def use(world: World, token: str) -> tuple[str, ConsoleKind]:
    async with world.database.writing() as tx:
        return await remote_consoles.use_token(tx, token)


async def test_a_token_opens_one_console_once(world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    token, other = await a_token(world, server.id), await a_token(world, server.id, ConsoleKind.SERIAL)
    assert await use(world, token) == (server.id, ConsoleKind.VNC)
    assert await use(world, other) == (server.id, ConsoleKind.SERIAL)
    for refused in (token, other, "", "guess", "\udcff"):
        with pytest.raises(UnauthenticatedError):
            await use(world, refused)


async def test_a_token_that_is_too_old_opens_nothing(world: World) -> None:
    server = await a_server(world, VmState.ACTIVE)
    world.choose(console_token_lifetime_s=0.0)
    token = await a_token(world, server.id)
    with pytest.raises(UnauthenticatedError):
        await use(world, token)


@pytest.mark.parametrize(
    ("path", "body", "answered"),
    [
        ("remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}, 200),
        ("remote-consoles", {"remote_console": {"protocol": "serial", "type": "serial"}}, 200),
        ("remote-consoles", {"remote_console": {"protocol": "spice", "type": "spice-html5"}}, 400),
        ("remote-consoles", {"remote_console": {"protocol": "vnc", "type": "serial"}}, 400),
        ("remote-consoles", {"remote_console": {"protocol": 1, "type": None}}, 400),
        ("remote-consoles", {}, 400),
        ("action", {"os-getVNCConsole": {"type": "novnc"}}, 200),
        ("action", {"os-getSerialConsole": {"type": "serial"}}, 200),
        ("action", {"os-getVNCConsole": {"type": "xvpvnc"}}, 400),
        ("action", {"os-getSPICEConsole": {"type": "spice-html5"}}, 400),
        ("action", {"os-getVNCConsole": None}, 400),
    ],
    ids=str,
)
async def test_the_address_of_a_console_is_told_to_who_may_use_it(
    world: World, path: str, body: dict[str, Any], answered: int
) -> None:
    server = await a_server(world, VmState.ACTIVE)
    async with world.door(compute_v2) as door:
        answer = await door.post(f"/v2.1/{OURS}/servers/{server.id}/{path}", json=body)
        assert answer.status_code == answered, answer.text
        if answered == 200:
            (shown,) = answer.json().values()
            assert shown["url"].startswith("ws://127.0.0.1:8780/?token=")
            await world.set_server(server.id, vm_state=VmState.STOPPED)
            answer = await door.post(f"/v2.1/{OURS}/servers/{server.id}/{path}", json=body)
            assert (answer.status_code, list(answer.json())) == (409, ["conflictingRequest"])
            door.speak_as(OURS, "readonly")
            assert (await door.post(f"/v2.1/{OURS}/servers/{server.id}/{path}", json=body)).status_code == 403
            door.speak_as(THEIRS)
            assert (await door.post(f"/v2.1/{THEIRS}/servers/{server.id}/{path}", json=body)).status_code == 404
