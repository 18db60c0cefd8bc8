"""Servers, key pairs and quotas by the `openstack` command and openstacksdk, unmodified, against the running system.

On SQLite only: what differs between the databases is tested through the door.
"""

from collections.abc import Iterator
from typing import Any

import openstack
import pytest

from tests.clients.command_line import CommandLine
from tests.conftest import BACKENDS
from tests.system import System

pytestmark = [pytest.mark.client, pytest.mark.parametrize("system", BACKENDS[:1], indirect=True)]
PATIENCE_S = 240.0


@pytest.fixture
def ours(system: System) -> CommandLine:
    return CommandLine(system)


@pytest.fixture
def admin(system: System) -> CommandLine:
    return CommandLine(system, "stillframe-admin")


@pytest.fixture
def server(system: System, ours: CommandLine) -> Iterator[str]:
    """Its id; it is called osc-life, and on its way up."""
    ours.run("keypair create osc-life-key")
    ours.run("security group create osc-life-group")
    wanted = "--image stillframe-tiny --flavor s3.tiny --network default --key-name osc-life-key"
    about = "--security-group osc-life-group --property a=b --property c=d --description first --tag blue"
    made = ours.read(f"server create {wanted} {about} --boot-from-volume 1 --wait osc-life")
    yield made["id"]
    for line in (
        "server delete --wait osc-life",
        "keypair delete osc-life-key",
        "security group delete osc-life-group",
    ):
        ours.run(line)
    assert ours.read("server list --name osc-life") == []


def shown(ours: CommandLine, server: str) -> dict[str, Any]:
    found: dict[str, Any] = ours.read(f"server show {server}")
    return found


def test_a_server_by_the_command_from_its_creation_to_its_deletion(
    system: System, ours: CommandLine, server: str
) -> None:
    made = shown(ours, "osc-life")
    assert (made["status"], made["key_name"], made["description"]) == ("ACTIVE", "osc-life-key", "first")
    assert (made["properties"], made["tags"]) == ({"a": "b", "c": "d"}, ["blue"])
    assert made["security_groups"] == [{"name": "osc-life-group"}]
    ours.run("server set --description second --property e=f --tag green osc-life")
    ours.run("server unset --property a --tag blue osc-life")
    changed = shown(ours, server)
    assert (changed["description"], changed["properties"], changed["tags"]) == (
        "second",
        {"c": "d", "e": "f"},
        ["green"],
    )
    assert [one["ID"] for one in ours.read("server list --name osc-life --status ACTIVE --tags green")] == [server]
    assert ours.read("server list --name osc-life --not-tags green") == []

    ours.run("server lock --reason because osc-life")
    assert "is locked" in ours.refused("server stop osc-life")
    ours.run("server unlock osc-life")
    for action, status in (("pause", "PAUSED"), ("unpause", "ACTIVE"), ("suspend", "SUSPENDED"), ("resume", "ACTIVE")):
        ours.run(f"server {action} osc-life")
        system.wait_for_server(server, status, PATIENCE_S)
    for kind in ("novnc", "serial"):
        assert ours.read(f"console url show --{kind} osc-life")["url"].startswith("ws")

    ours.run("server add security group osc-life default")
    ours.run("server remove security group osc-life osc-life-group")
    assert shown(ours, server)["security_groups"] == [{"name": "default"}]
    ours.run("server add security group osc-life osc-life-group")
    address = ours.read("floating ip create admin_external_net")["floating_ip_address"]
    ours.run(f"server add floating ip osc-life {address}")
    assert address in shown(ours, server)["addresses"]["default"]
    ours.run(f"server remove floating ip osc-life {address}")
    ours.run(f"floating ip delete {address}")

    system.wait_for_console(server, "stillframe: ready", timeout=PATIENCE_S)
    assert "stillframe: ready" in ours.run("console log show --lines 5 osc-life")
    ours.run("server stop osc-life")
    system.wait_for_server(server, "SHUTOFF", PATIENCE_S)
    ours.run("port create --network default osc-life-port")
    for line in (
        "add port osc-life osc-life-port",
        "remove port osc-life osc-life-port",
        "add network osc-life default",
    ):
        ours.run(f"server {line}")
    assert len(shown(ours, server)["addresses"]["default"]) == 2
    ours.run("port delete osc-life-port")

    ours.run("server resize --flavor s3.small.1 --wait osc-life")
    ours.run("server resize revert osc-life")
    system.wait_for_server(server, "SHUTOFF", PATIENCE_S)
    ours.run("server resize --flavor s3.small.1 --wait osc-life")
    ours.run("server resize confirm osc-life")
    assert shown(ours, server)["flavor"]["original_name"] == "s3.small.1"
    ours.run("server rebuild --image stillframe-tiny --description third osc-life")
    system.wait_for_server(server, "SHUTOFF", PATIENCE_S)
    ours.run("server shelve --offload --wait osc-life")
    ours.run("server unshelve --wait osc-life")
    actions = [one["Action"] for one in ours.read("server event list osc-life")]
    done = ["unshelve", "shelve", "rebuild", "resize", "revertResize", "resize", "stop", "resume", "suspend", "unpause"]
    assert actions == [*done, "pause", "create"]
    first = ours.read("server event list osc-life")[-1]["Request ID"]
    assert ours.read(f"server event show osc-life {first}")["action"] == "create"


def test_key_pairs_by_the_command(ours: CommandLine) -> None:
    assert "PRIVATE KEY" in ours.run("keypair create osc-made")
    public = ours.run("keypair show --public-key osc-made")
    assert public.startswith("ssh-")
    assert "already exists" in ours.refused("keypair create osc-made")
    assert "osc-made" in {one["Name"] for one in ours.read("keypair list")}
    ours.run("keypair delete osc-made")
    assert "No Keypair found" in ours.refused("keypair show osc-made")


def test_quotas_of_a_project_by_the_command(ours: CommandLine, admin: CommandLine) -> None:
    project = ours.project_id
    before = {one["Resource"]: one["Limit"] for one in ours.read("quota show")}
    assert "403" in ours.refused(f"quota set --cores 7 {project}")
    admin.run(f"quota set --instances 5 --cores 7 --ram 4096 --volumes 9 --gigabytes 55 --snapshots 3 {project}")
    now = {one["Resource"]: one["Limit"] for one in ours.read("quota show")}
    wanted = {"instances": 5, "cores": 7, "ram": 4096, "volumes": 9, "gigabytes": 55, "snapshots": 3}
    assert now == {**before, **wanted}
    limits = {one["Name"]: one["Value"] for one in ours.read("limits show --absolute")}
    assert (limits["total_cores"], limits["max_total_volumes"]) == (7, 9)
    for kind in ("compute", "volume"):
        admin.run(f"quota delete --{kind} {project}")
    assert {one["Resource"]: one["Limit"] for one in ours.read("quota show")} == before


def test_what_a_server_was_through_by_openstacksdk(system: System, marked_server: str) -> None:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    compute = openstack.connection.Connection(config=config.get_one("stillframe")).compute
    server = compute.get_server(marked_server)
    actions = list(compute.server_actions(server))
    assert {"create", "stop"} <= {action.action for action in actions}
    (event,) = compute.get_server_action(actions[-1].request_id, server).events
    assert (event.event, event.result) == ("server_create", "Success")
    assert [group["name"] for group in compute.fetch_server_security_groups(server).security_groups] == ["default"]
    (address,) = [one["addr"] for one in server.addresses["default"]]
    assert [(one.network_label, one.address) for one in compute.server_ips(server)] == [("default", address)]
