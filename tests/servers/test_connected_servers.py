"""Real guests on real networks: who reaches whom, and what they are told about themselves."""

import base64
import os
import signal
import time
from typing import Any

import httpx
import pytest

from tests.system import System

pytestmark = [
    pytest.mark.boot,
    pytest.mark.parametrize("system", [pytest.param("sqlite", marks=pytest.mark.xdist_group("sqlite"))], indirect=True),
]

SERVED, PROBING, ELSEWHERE = "192.168.0.50", "192.168.0.60", "192.168.0.70"
NOBODY_S, PEERED = "192.168.0.99", "10.77.0.9"

SERVE = """#!/bin/sh
mkdir /www; echo hello >/www/hello; httpd -p 8080 -h /www
"""
PROBE = """#!/bin/sh
(
wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json | grep -o '"uuid":"[^"]*"'
echo "probe: ec2 $(wget -q -O - --header 'X-Forwarded-For: SERVED' http://169.254.169.254/latest/meta-data/local-ipv4)"
as_another() {
    mac=$(cat /sys/class/net/eth0/address)
    ip addr add NOBODY_S/24 dev eth0
    ping -c 2 -W 1 -I NOBODY_S SERVED >/dev/null 2>&1 && echo "probe: another address is believed"
    ip addr del NOBODY_S/24 dev eth0
    ip link set eth0 address fa:16:3e:99:99:99
    ping -c 2 -W 1 SERVED >/dev/null 2>&1 && echo "probe: another card is believed"
    ip link set eth0 address "$mac"
    echo "probe: tried as another"
}
while :; do
    ping -c 1 -W 1 SERVED >/dev/null 2>&1 && ping=answers || ping=silent
    timeout 2 wget -q -O - http://SERVED:8080/hello 2>/dev/null | grep -q hello && port=open || port=closed
    [ "$ping $port" = "$last" ] || echo "probe: ping $ping, port $port"
    last="$ping $port"
    [ "$ping $tried" = "answers " ] && as_another && tried=yes && last=
    sleep 0.2
done
) &
"""
TRY_FROM_ELSEWHERE = """#!/bin/sh
ping -c 1 -W 5 192.168.0.1 >/dev/null && echo "probe: reached the gateway"
ping -c 2 -W 1 SERVED >/dev/null && echo "probe: reached the other project" || echo "probe: alone"
ip link set eth1 up
ip addr add PEERED/24 dev eth1
ip route add SERVED/32 via 10.77.0.1 dev eth1
until ping -c 1 -W 1 SERVED >/dev/null; do sleep 0.2; done
echo "probe: reached over the peering"
"""
ADDRESSES = {"SERVED": SERVED, "NOBODY_S": NOBODY_S, "PEERED": PEERED}


class Project:
    """What a test does in one project."""

    def __init__(self, system: System, project_id: str, token: str) -> None:
        self.system, self.id = system, project_id
        headers = {"X-Auth-Token": token}
        self.network = httpx.Client(base_url=system.url("network"), headers=headers, timeout=60)
        self.compute = httpx.Client(base_url=system.url("compute"), headers=headers, timeout=60)
        self.servers: list[str] = []

    def post(self, path: str, **body: Any) -> Any:
        answer = self.network.post(f"/v2.0/{path}", json=body)
        assert answer.status_code == 201, answer.text
        return next(iter(answer.json().values()))

    def boot(
        self,
        name: str,
        address: str,
        script: str,
        groups: list[str] | None = None,
        more: tuple[dict[str, str], ...] = (),
    ) -> str:
        for word, meant in ADDRESSES.items():
            script = script.replace(word, meant)
        networks = self.network.get("/v2.0/networks?name=default&fields=id").json()["networks"]
        wanted = {
            "name": name,
            "flavorRef": "s3.tiny",
            "imageRef": self.system.public_image(),
            "networks": [{"uuid": networks[0]["id"], "fixed_ip": address}, *more],
            "user_data": base64.b64encode(script.encode()).decode(),
        }
        if groups:
            wanted["security_groups"] = [{"name": group} for group in groups]
        answer = self.compute.post(f"/v2.1/{self.id}/servers", json={"server": wanted})
        assert answer.status_code == 202, answer.text
        self.servers.append(answer.json()["server"]["id"])
        return self.servers[-1]

    def wait_for_console(self, server_id: str, text: str, *, again: bool = False, timeout: float = 120.0) -> str:
        """`again`: the last word of the guest's, and not an earlier one."""
        deadline = time.monotonic() + timeout
        while True:
            answer = self.compute.post(f"/v2.1/{self.id}/servers/{server_id}/action", json={"os-getConsoleOutput": {}})
            output: str = answer.json().get("output", "")
            probes = [line for line in output.splitlines() if "probe:" in line]
            if (probes and text in probes[-1]) if again else text in output:
                return output
            assert time.monotonic() < deadline, output[-3000:]
            time.sleep(0.2)

    def close(self) -> None:
        for server_id in self.servers:
            self.compute.delete(f"/v2.1/{self.id}/servers/{server_id}")
        self.network.close()
        self.compute.close()


def fetch(url: str, timeout: float = 60.0) -> str:
    """From the host, as soon as somebody answers."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return httpx.get(url, timeout=5).text
        except httpx.TransportError:
            assert time.monotonic() < deadline, url
            time.sleep(0.2)


def a_vpc(of: Project) -> tuple[str, str]:
    """The ids of a VPC, and of the network of its only subnet."""
    answer = of.network.post(f"/v1/{of.id}/vpcs", json={"vpc": {"name": "far", "cidr": "10.77.0.0/16"}})
    vpc_id = answer.json()["vpc"]["id"]
    subnet = {"name": "far", "cidr": "10.77.0.0/24", "gateway_ip": "10.77.0.1", "vpc_id": vpc_id}
    answer = of.network.post(f"/v1/{of.id}/subnets", json={"subnet": subnet})
    assert answer.status_code == 200, answer.text
    return vpc_id, answer.json()["subnet"]["id"]


def peer(ours: Project, theirs: Project, their_vpc: str) -> str:
    """The id of a peering of our first VPC and one of theirs, accepted, and routed on both sides."""
    (vpc,) = ours.network.get(f"/v1/{ours.id}/vpcs?limit=1").json()["vpcs"]
    accepter = {"vpc_id": their_vpc, "tenant_id": theirs.id}
    body = {"name": "p", "request_vpc_info": {"vpc_id": vpc["id"]}, "accept_vpc_info": accepter}
    peering = ours.post("vpc/peerings", peering=body)
    assert theirs.network.put(f"/v2.0/vpc/peerings/{peering['id']}/accept").json()["status"] == "ACTIVE"
    over = {"type": "peering", "nexthop": peering["id"]}
    ours.post("vpc/routes", route={**over, "destination": "10.77.0.0/16", "vpc_id": vpc["id"]})
    theirs.post("vpc/routes", route={**over, "destination": "192.168.0.0/16", "vpc_id": their_vpc})
    peering_id: str = peering["id"]
    return peering_id


async def test_rules_open_and_close_ports_and_projects_are_apart(system: System) -> None:
    account = await system.add_account("elsewhere")
    ours = Project(system, system.project_id(), system.token())
    theirs = Project(system, account.project_id, account.token)
    try:
        group = ours.post("security-groups", security_group={"name": "served"})
        rule = {"security_group_id": group["id"], "direction": "ingress", "remote_ip_prefix": "0.0.0.0/0"}
        ours.post("security-group-rules", security_group_rule={**rule, "protocol": "icmp"})
        served = ours.boot("served", SERVED, SERVE, [group["id"]])
        probing = ours.boot("probing", PROBING, PROBE)
        vpc_id, network_id = a_vpc(theirs)
        second_card = {"uuid": network_id, "fixed_ip": PEERED}
        elsewhere = theirs.boot("elsewhere", ELSEWHERE, TRY_FROM_ELSEWHERE, more=(second_card,))

        console = ours.wait_for_console(probing, "probe: ping answers, port closed")
        assert f'"uuid":"{probing}"' in console
        assert f"probe: ec2 {PROBING}" in console
        ours.wait_for_console(served, "stillframe: ready")
        assert "port open" not in console
        console = ours.wait_for_console(probing, "probe: tried as another")
        assert "is believed" not in console

        console = theirs.wait_for_console(elsewhere, "probe: alone")
        assert "probe: reached the gateway" in console
        assert "reached the other project" not in console
        assert "reached over the peering" not in console
        peering = peer(ours, theirs, vpc_id)
        theirs.wait_for_console(elsewhere, "probe: reached over the peering")
        assert ours.network.delete(f"/v2.0/vpc/peerings/{peering}").status_code == 204

        web = {**rule, "protocol": "tcp", "port_range_min": 8080, "port_range_max": 8080}
        opened = ours.post("security-group-rules", security_group_rule=web)
        ours.wait_for_console(probing, "port open", again=True)
        (external,) = ours.network.get("/v2.0/networks?router:external=True").json()["networks"]
        (port,) = ours.network.get(f"/v2.0/ports?device_id={served}").json()["ports"]
        floating = ours.post("floatingips", floatingip={"floating_network_id": external["id"], "port_id": port["id"]})
        assert fetch(f"http://{floating['floating_ip_address']}:8080/hello") == "hello\n"

        # Machines go on while the worker and its switch are away, and are found again by the next.
        os.kill(system.worker_pid(), signal.SIGKILL)
        assert ours.network.delete(f"/v2.0/security-group-rules/{opened['id']}").status_code == 204
        ours.wait_for_console(probing, "probe: ping answers, port closed", again=True)

        path = f"/v2.1/{ours.id}/servers/{served}/action"
        assert ours.compute.post(path, json={"removeSecurityGroup": {"name": group["id"]}}).status_code == 202
        ours.wait_for_console(probing, "probe: ping silent, port closed", again=True)
        assert ours.compute.post(path, json={"addSecurityGroup": {"name": "default"}}).status_code == 202
        ours.wait_for_console(probing, "probe: ping answers, port open", again=True)
    finally:
        ours.close()
        theirs.close()
