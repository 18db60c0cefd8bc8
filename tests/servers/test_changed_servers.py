"""One real guest that is paused, resized, captured while it is paused, shelved and made anew."""

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from stillframe.blobs.layout import DataLayout
from stillframe.qemu import qmp
from tests.system import System

pytestmark = [
    pytest.mark.boot,
    pytest.mark.parametrize("system", [pytest.param("sqlite", marks=pytest.mark.xdist_group("sqlite"))], indirect=True),
]

USER_DATA = """#!/bin/sh
echo "probe: $(hostname) finds $(cat /root/kept 2>/dev/null || echo nothing)"
echo something >/root/kept
sync
(
while :; do
    cards=$(ls /sys/class/net | grep -vx lo | tr '\n' ' ')
    if [ "$cards" != "$seen" ]; then
        seen=$cards
        echo "probe: cards $cards."
        [ "$cards" = "eth0 " ] || { ip link set eth1 up; udhcpc -f -n -q -t 20 -i eth1 -s /bin/true 2>&1; }
    fi
    sleep 0.2
done
) &
"""


def act(system: System, server_id: str, action: str, argument: Any = None, status: int = 202) -> Any:
    answer = system.act(server_id, {action: argument})
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def machine_dir(system: System, server_id: str) -> Path:
    return DataLayout(system.data_dir).machine_dir(server_id)


def argv(system: System, server_id: str) -> list[str]:
    pid = json.loads((machine_dir(system, server_id) / "machine.json").read_text())["pid"]
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


async def run_state(system: System, server_id: str) -> str:
    async with qmp.connected(machine_dir(system, server_id)) as client:
        return await client.query_status()


def console_url(system: System, server_id: str, protocol: str, a_type: str) -> str:
    body = {"remote_console": {"protocol": protocol, "type": a_type}}
    with system.http("compute") as compute:
        answer = compute.post(f"/v2.1/{system.project_id()}/servers/{server_id}/remote-consoles", json=body)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["remote_console"]["url"]
    return url


def see_the_screen(system: System, server_id: str) -> None:
    """The client's first words of RFB 3.8, and the size of the screen."""
    url = console_url(system, server_id, "vnc", "novnc")
    with connect(url, subprotocols=[Subprotocol("binary")], open_timeout=60) as screen:
        assert screen.subprotocol == "binary"
        received = b""
        for sent, awaited in ((b"RFB 003.008\n", 12), (b"\x01", 14), (b"\x01", 18), (b"", 42)):
            while len(received) < awaited:
                received += bytes(screen.recv(timeout=60))
            screen.send(sent)
        assert received.startswith(b"RFB 003.008\n\x01\x01\0\0\0\0")
        assert min(struct.unpack(">HH", received[18:22])) > 300
    for refused in (url, url[:-1], url.partition("?")[0]):
        with pytest.raises(InvalidStatus) as refusal:
            connect(refused, open_timeout=60)
        assert refusal.value.response.status_code == 403


def speak_by_serial_port(system: System, server_id: str) -> None:
    with connect(console_url(system, server_id, "serial", "serial"), open_timeout=60) as port:
        port.send("\necho serial-$((40 + 2))\n")
        heard = b""
        while b"serial-42" not in heard:
            heard += bytes(port.recv(timeout=60))


def plug_a_card_in_and_out(system: System, server_id: str) -> None:
    """The guest finds it and gets its address there; its machine's next start would find it, too."""
    path = f"/v2.1/{system.project_id()}/servers/{server_id}/os-interface"
    with system.http("compute") as compute:
        answer = compute.post(path, json={})
        assert answer.status_code == 200, answer.text
        card = answer.json()["interfaceAttachment"]
        system.wait_for_console(server_id, f"lease of {card['fixed_ips'][0]['ip_address']} obtained")
        assert compute.delete(f"{path}/{card['port_id']}").status_code == 202
        deadline = time.monotonic() + 90
        while compute.get(f"{path}/{card['port_id']}").status_code != 404:
            assert time.monotonic() < deadline, system.console(server_id)[-2000:]
            time.sleep(0.1)
        assert len(compute.get(path).json()["interfaceAttachments"]) == 1


async def test_a_server_is_paused_resized_and_made_anew(system: System) -> None:
    server_id = system.create_server("before", user_data=USER_DATA)
    try:
        system.wait_for_console(server_id, "probe: before finds nothing")
        see_the_screen(system, server_id)
        speak_by_serial_port(system, server_id)

        act(system, server_id, "pause")
        assert system.wait_for_server(server_id, "PAUSED")["OS-EXT-STS:power_state"] == 3
        assert await run_state(system, server_id) == "paused"
        act(system, server_id, "unpause")
        system.wait_for_server(server_id, "ACTIVE")
        assert await run_state(system, server_id) == "running"

        plug_a_card_in_and_out(system, server_id)

        act(system, server_id, "resize", {"flavorRef": "s3.medium.1"})
        system.wait_for_server(server_id, "VERIFY_RESIZE")
        assert "1024M" in argv(system, server_id)
        system.wait_for_console(server_id, "stillframe: ready")
        act(system, server_id, "revertResize")
        system.wait_for_server(server_id, "ACTIVE")
        assert "512M" in argv(system, server_id)

        act(system, server_id, "shelve")
        system.wait_for_server(server_id, "SHELVED_OFFLOADED")
        before = system.show_server(server_id)
        act(system, server_id, "unshelve")
        system.wait_for_server(server_id, "ACTIVE")

        rebuilt = act(system, server_id, "rebuild", {"imageRef": system.public_image(), "name": "after"})["server"]
        assert rebuilt["status"] == "REBUILD"
        after = system.wait_for_server(server_id, "ACTIVE", timeout=180)
        system.wait_for_console(server_id, "probe: after finds nothing")
        kept = ("id", "addresses", "os-extended-volumes:volumes_attached")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    finally:
        system.delete_server(server_id)
