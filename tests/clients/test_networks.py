"""Networks by the `openstack` command, openstacksdk and otcextensions, none of them ours."""

import json
from typing import Any

import openstack
import pytest

from tests.clients.otc import OtcConnection
from tests.system import System

pytestmark = [
    pytest.mark.client,
    pytest.mark.parametrize("system", [pytest.param("sqlite", marks=pytest.mark.xdist_group("sqlite"))], indirect=True),
]

RUN_ALL = """
import json, sys
from openstackclient.shell import OpenStackShell
for command in json.loads(sys.argv[1]):
    print("$ openstack", *command, flush=True)
    if OpenStackShell().run(command):
        sys.exit("failed: openstack " + " ".join(command))
"""


def run_all(system: System, *commands: str, cloud: str = "stillframe") -> str:
    """The commands one after the other, in one process: starting Python for each takes longer than what it does."""
    done = system.run(
        "python", "-c", RUN_ALL, json.dumps([command.split() for command in commands]), timeout=240, cloud=cloud
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_kind_of_thing_by_the_openstack_command(system: System) -> None:
    said = run_all(
        system,
        "network create --description d osc-net",
        "subnet create --network osc-net --subnet-range 10.44.0.0/24 --dns-nameserver 9.9.9.9 osc-subnet",
        "subnet set --name osc-subnet-2 --no-dns-nameservers osc-subnet",
        "router create osc-router",
        "router add subnet osc-router osc-subnet-2",
        "router set --external-gateway admin_external_net osc-router",
        "router show osc-router",
        "security group create osc-group",
        "security group rule create --protocol tcp --dst-port 22:23 --remote-ip 10.0.0.0/8 osc-group",
        "security group rule create --protocol icmp --ingress osc-group",
        "security group rule list osc-group",
        "port create --network osc-net --fixed-ip ip-address=10.44.0.9 --security-group osc-group osc-port",
        "port set --allowed-address ip-address=10.44.0.99 --description d osc-port",
        "port show osc-port",
        "router add route --route destination=172.20.0.0/16,gateway=10.44.0.9 osc-router",
        "router show osc-router -f value -c routes",
        "router remove route --route destination=172.20.0.0/16,gateway=10.44.0.9 osc-router",
        "router set --route destination=172.21.0.0/16,gateway=10.44.0.9 osc-router",
        "router unset --route destination=172.21.0.0/16,gateway=10.44.0.9 osc-router",
        "address group create --address 10.0.0.0/8 osc-addresses",
        "address group set --address 172.16.0.1 --name osc-offices osc-addresses",
        "address group unset --address 10.0.0.0/8 osc-offices",
        "security group rule create --protocol udp --dst-port 53 --remote-address-group osc-offices osc-group",
        "address group show osc-offices",
        "floating ip create --port osc-port admin_external_net",
        "floating ip list",
        "network set --tag blue osc-net",
        "network list --tags blue -f value -c Name",
        "network show osc-net",
        "network agent list",
        "availability zone list --network",
        "extension list --network",
    )
    assert "10.44.0.9" in said
    assert "172.20.0.0/16" in said
    assert "172.16.0.1/32" in said
    project_id = system.project_id()
    quotas = (f"quota {what} {project_id}" for what in ("set --routers 33", "show --network", "delete --network"))
    assert " 33 " in run_all(system, *quotas, cloud="stillframe-admin")
    assert "127.77." in said
    assert "\nosc-net\n" in said
    floating = json.loads(system.run("openstack", "floating", "ip", "list", "-f", "json").stdout)
    run_all(
        system,
        *(f"floating ip delete {one['ID']}" for one in floating if one["Fixed IP Address"] == "10.44.0.9"),
        "port delete osc-port",
        "security group delete osc-group",
        "address group delete osc-offices",
        "router unset --external-gateway osc-router",
        "router remove subnet osc-router osc-subnet-2",
        "router delete osc-router",
        "network delete osc-net",
    )


@pytest.fixture
def connection(system: System) -> Any:
    config = openstack.config.OpenStackConfig(config_files=[str(system.clouds_yaml)])
    return OtcConnection(config=config.get_one("stillframe"))


def test_a_server_with_two_cards_by_openstacksdk(connection: Any) -> None:
    network = connection.network.create_network(name="sdk-net")
    subnet = connection.network.create_subnet(network_id=network.id, cidr="10.45.0.0/24", ip_version=4)
    group = connection.network.create_security_group(name="sdk-group")
    connection.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=80, port_range_max=80
    )
    port = connection.network.create_port(network_id=network.id, security_groups=[group.id])
    default = connection.network.find_network("default")
    server = connection.create_server(
        "sdk-server",
        image="stillframe-tiny",
        flavor="s3.tiny",
        nics=[{"net-id": default.id}, {"port-id": port.id}],
        auto_ip=False,
        wait=True,
    )
    addresses = {name: [one["addr"] for one in found] for name, found in server.addresses.items()}
    assert addresses["sdk-net"] == [port.fixed_ips[0]["ip_address"]] == ["10.45.0.2"]
    assert len(addresses["default"]) == 1
    assert {one["name"] for one in server.security_groups} == {"default", "sdk-group"}
    attached = [one.port_id for one in connection.compute.server_interfaces(server)]
    assert (len(attached), attached[1]) == (2, port.id)
    external = connection.network.find_network("admin_external_net")
    floating = connection.network.create_ip(floating_network_id=external.id, port_id=attached[0]).floating_ip_address
    shown = connection.get_server("sdk-server")
    assert (shown.public_v4, shown.private_v4) == (floating, addresses["default"][0])
    assert connection.delete_server("sdk-server", wait=True, delete_ips=True)
    assert connection.network.get_port(port.id).device_id == ""
    connection.network.delete_port(port)
    connection.network.delete_security_group(group)
    connection.network.delete_subnet(subnet)
    connection.network.delete_network(network)
    assert connection.network.find_network("sdk-net") is None


def test_vpcs_by_otcextensions(connection: Any) -> None:
    vpc = connection.vpc.create_vpc(name="otc-vpc", cidr="10.46.0.0/16")
    subnet = connection.vpc.create_subnet(name="otc-subnet", cidr="10.46.1.0/24", gateway_ip="10.46.1.1", vpc_id=vpc.id)
    assert connection.vpc.find_vpc("otc-vpc").id == vpc.id
    assert [one.name for one in connection.vpc.subnets(vpc_id=vpc.id)] == ["otc-subnet"]
    assert connection.network.get_network(subnet.id).name == "otc-subnet"
    other = connection.vpc.create_vpc(name="otc-other", cidr="10.47.0.0/16")
    ends = {"request_vpc_info": {"vpc_id": vpc.id}, "accept_vpc_info": {"vpc_id": other.id}}
    peering = connection.vpc.create_peering(name="otc-peering", **ends)
    assert connection.vpc.find_peering("otc-peering").status == "ACTIVE"
    assert connection.vpc.update_peering(peering, name="otc-renamed").name == "otc-renamed"
    about = {"type": "peering", "nexthop": peering.id, "vpc_id": vpc.id}
    route = connection.vpc.add_route(destination=other.cidr, **about)
    assert connection.vpc.get_route(route).destination == "10.47.0.0/16"
    assert [one.id for one in connection.vpc.routes(router_id=vpc.id)] == [route.id]
    connection.vpc.delete_route(route)
    connection.vpc.delete_peering(peering)
    connection.vpc.delete_vpc(other)
    connection.vpc.delete_subnet(subnet)
    connection.vpc.delete_vpc(vpc)
    assert connection.vpc.find_vpc("otc-vpc", ignore_missing=True) is None
