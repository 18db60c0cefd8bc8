"""One server's life in which the worker is killed in every job, right after a step has had its effect.

It is the worst moment: the restarted worker finds the effect there and nothing on record, and runs the step again.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from stillframe.blobs.layout import DataLayout
from tests.conftest import running_system
from tests.jobs.test_kills import KILLER, Killable
from tests.system import MICROVERSION, System

pytestmark = pytest.mark.xdist_group("server-kills")
PATIENCE_S = 240.0


class Life:
    """A server, its volumes, and a worker that dies where it is told to."""

    def __init__(self, system: System, killable: Killable) -> None:
        self.system, self.killable = system, killable
        self.servers = f"/v2.1/{system.project_id()}/servers"
        self.volumes = f"/v3/{system.project_id()}"
        self.kills = 0

    def killed_after(self, step: str, request: Callable[[], Any]) -> Any:
        """What the request was answered with; the worker has died once since then."""
        self.killable.kill_at(step, "after")
        answer = request()
        self.killable.wait_for_kill()
        self.kills += 1
        return answer

    def create(self) -> str:
        wanted = {"name": "life", "flavorRef": "s3.tiny", "imageRef": self.system.public_image(), "networks": "auto"}
        server: str = self.ask("compute", "POST", self.servers, {"server": wanted})["server"]["id"]
        return server

    def ask(self, service: str, method: str, path: str, body: Any = None) -> Any:
        with self.system.http(service) as http:
            answer = http.request(method, path, json=body, headers=MICROVERSION if service == "compute" else None)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def new_volume(self, **wanted: Any) -> str:
        volume: str = self.ask("volume", "POST", f"{self.volumes}/volumes", {"volume": wanted})["volume"]["id"]
        return volume

    def wait_for(self, what: str, thing: str, status: str) -> dict[str, Any]:
        """A volume or a snapshot that has come there."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.ask("volume", "GET", f"{self.volumes}/{what}s/{thing}")[what])["status"] != status:
            assert time.monotonic() < deadline, found
            assert not found["status"].startswith("error"), found
            time.sleep(0.1)
        return found

    def wait_for_cards(self, server: str, count: int) -> list[str]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            cards = self.ask("compute", "GET", f"{self.servers}/{server}/os-interface")["interfaceAttachments"]
            unfinished = self.system.sql("SELECT id FROM jobs WHERE state IN ('queued', 'running', 'cancelling')")
            if len(cards) == count and not unfinished:
                return [card["port_id"] for card in cards]
            assert time.monotonic() < deadline, (cards, unfinished)
            time.sleep(0.1)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    extra = {"PYTHONPATH": str(KILLER), "STILLFRAME_TEST_KILL_PLAN": str(plan)}
    with running_system(environment=extra, machine_stop_timeout_s=15) as system:
        killable = Killable.__new__(Killable)
        killable.system, killable.plan = system, plan
        yield Life(system, killable)


@pytest.mark.timeout(1200)
def test_a_server_lives_its_life_while_the_worker_dies_in_every_job(life: Life) -> None:
    system, after = life.system, life.killed_after
    server = after("server_create.disk", life.create)
    system.wait_for_server(server, "ACTIVE")
    volume = after("volume_create.disk", lambda: life.new_volume(size=1))
    life.wait_for("volume", volume, "available")
    clone = after("volume_clone.seal", lambda: life.new_volume(source_volid=volume, size=1))
    life.wait_for("volume", clone, "available")
    system.wait_for_console(server, "stillframe: ready", timeout=PATIENCE_S)

    attachments = f"{life.servers}/{server}/os-volume_attachments"
    body = {"volumeAttachment": {"volumeId": volume}}
    after("volume_attach.plug", lambda: life.ask("compute", "POST", attachments, body))
    life.wait_for("volume", volume, "in-use")
    extend = {"os-extend": {"new_size": 2}}
    after("volume_extend.grow", lambda: life.ask("volume", "POST", f"{life.volumes}/volumes/{volume}/action", extend))
    assert life.wait_for("volume", volume, "in-use")["size"] == 2
    frozen = {"snapshot": {"volume_id": volume, "force": True}}
    snapshot = after("volume_snapshot.seal", lambda: life.ask("volume", "POST", f"{life.volumes}/snapshots", frozen))
    life.wait_for("snapshot", snapshot["snapshot"]["id"], "available")
    after("volume_detach.unplug", lambda: life.ask("compute", "DELETE", f"{attachments}/{volume}"))
    life.wait_for("volume", volume, "available")

    cards = f"{life.servers}/{server}/os-interface"
    after("nic_attach.plug", lambda: life.ask("compute", "POST", cards, {"interfaceAttachment": {}}))
    _, second = life.wait_for_cards(server, 2)
    after("nic_detach.unplug", lambda: life.ask("compute", "DELETE", f"{cards}/{second}"))
    life.wait_for_cards(server, 1)

    one, batch = f"{life.servers}/{server}/action", f"/v1/{system.project_id()}/cloudservers/action"
    for step, path, action, status in (
        ("server_freeze.freeze", one, {"pause": None}, "PAUSED"),
        ("server_thaw.thaw", one, {"unpause": None}, "ACTIVE"),
        ("server_resize.start", one, {"resize": {"flavorRef": "s3.small.1"}}, "VERIFY_RESIZE"),
        ("server_revert_resize.power_off", one, {"revertResize": None}, "ACTIVE"),
        ("server_reboot.spawn", one, {"reboot": {"type": "HARD"}}, "ACTIVE"),
        ("server_stop.power_off", batch, {"os-stop": {"type": "HARD", "servers": [{"id": server}]}}, "SHUTOFF"),
        ("server_start.spawn", one, {"os-start": None}, "ACTIVE"),
        ("server_rebuild.disk", one, {"rebuild": {"imageRef": system.public_image()}}, "ACTIVE"),
    ):
        after(step, partial(life.ask, "compute", "POST", path, action))
        system.wait_for_server(server, status, PATIENCE_S)

    after("server_delete.end_machine", lambda: life.ask("compute", "DELETE", f"{life.servers}/{server}"))
    system.delete_server(server)
    after("volume_delete.remove", lambda: life.ask("volume", "DELETE", f"{life.volumes}/cloudvolumes/{clone}"))
    life.ask("volume", "DELETE", f"{life.volumes}/volumes/{volume}?cascade=True")
    life.killable.check_files()
    assert life.kills == 19
    assert not list(DataLayout(system.data_dir).machines_dir.iterdir())
    assert system.sql("SELECT kind FROM jobs WHERE state != 'succeeded'") == []
