"""An ordinary Debian, with systemd and cloud-init as Debian ships them: `make test-debian`.

One server takes its settings from the config drive, a second one, made of the first one's image, from the metadata
service. Each is entered by SSH with its own key, through a floating address.
"""

import base64
import hashlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stillframe.guest import default_cache_dir
from tests.conftest import running_system
from tests.system import System

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif("STILLFRAME_TEST_DEBIAN" not in os.environ, reason="asked for by `make test-debian`"),
    pytest.mark.timeout(7200),
]

BUILD = Path(__file__).with_name("build.sh")
PATIENCE_S = 3000.0
USER_DATA = """#cloud-config
write_files:
- {{path: /etc/told, content: "{word}"}}
runcmd:
- "echo {word} ran >>/var/lib/ran"
"""
LOOK = """
until [ -e /run/cloud-init/result.json ]; do sleep 1; done
echo "host $(hostname)"
echo "instance $(cat /var/lib/cloud/data/instance-id)"
echo "source $(grep -o 'DataSource[A-Za-z]*' /run/cloud-init/status.json | head -n 1)"
echo "told $(cat /etc/told)"
echo "ran $(tr '\\n' ',' </var/lib/ran)"
echo "key $(cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub)"
echo "init $(cat /proc/1/comm)"
echo "root_mib $(($(df --output=size / | tail -n 1) / 1024))"
echo "machine $(cat /etc/machine-id)"
echo "errors $(python3 -c 'import json; print(json.load(open("/run/cloud-init/result.json"))["v1"]["errors"])')"
"""


@pytest.fixture(scope="module")
def debian() -> Path:
    """Built once and kept; the name carries a digest of what it is made by."""
    cache = default_cache_dir()
    image = cache / f"debian-{hashlib.sha256(BUILD.read_bytes()).hexdigest()[:16]}.qcow2"
    if not image.exists():
        cache.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        done = subprocess.run(["bash", BUILD, image], capture_output=True, text=True, timeout=3000, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        told("built from Debian's packages", begun)
    return image


@pytest.fixture(scope="module")
def debian_system() -> Iterator[System]:
    with running_system(machine_stop_timeout_s=PATIENCE_S) as started:
        yield started


def told(what: str, since: float) -> None:
    print(f"{what}: {time.monotonic() - since:.0f} s")  # noqa: T201 - the figures are asked for


class Cloud:
    """What the test does with the API."""

    def __init__(self, system: System, directory: Path) -> None:
        self.system, self.directory = system, directory

    def upload(self, file: Path) -> str:
        about = {"name": "debian", "disk_format": "qcow2", "container_format": "bare", "min_disk": 2, "min_ram": 512}
        with self.system.http("image") as image:
            image_id: str = image.post("/v2/images", json=about).json()["id"]
            with file.open("rb") as content:
                headers = {"Content-Type": "application/octet-stream"}
                uploaded = image.put(f"/v2/images/{image_id}/file", content=content, headers=headers)
            assert uploaded.status_code == 204, uploaded.text
        return image_id

    def new_key(self, name: str) -> Path:
        """A key pair of that name; the private half."""
        with self.system.http("compute") as compute:
            path = f"/v2.1/{self.system.project_id()}/os-keypairs"
            private = compute.post(path, json={"keypair": {"name": name}}).json()["keypair"]["private_key"]
        file = self.directory / name
        file.write_text(private)
        file.chmod(0o600)
        return file

    def open_ssh(self) -> None:
        """A security group `ssh` that lets it in."""
        with self.system.http("network") as network:
            made = network.post("/v2.0/security-groups", json={"security_group": {"name": "ssh"}}).json()
            rule = {
                "security_group_id": made["security_group"]["id"],
                "direction": "ingress",
                "protocol": "tcp",
                "port_range_min": 22,
                "port_range_max": 22,
            }
            assert network.post("/v2.0/security-group-rules", json={"security_group_rule": rule}).status_code == 201

    def boot(self, name: str, image_id: str, key_name: str, word: str, *, config_drive: bool) -> str:
        wanted: dict[str, Any] = {
            "name": name,
            "flavorRef": "s3.medium.1",
            "imageRef": image_id,
            "block_device_mapping_v2": [
                {
                    "boot_index": 0,
                    "uuid": image_id,
                    "source_type": "image",
                    "destination_type": "volume",
                    "volume_size": 4,
                    "delete_on_termination": True,
                }
            ],
            "networks": "auto",
            "key_name": key_name,
            "security_groups": [{"name": "ssh"}],
            "config_drive": config_drive,
            "user_data": base64.b64encode(USER_DATA.format(word=word).encode()).decode(),
        }
        with self.system.http("compute") as compute:
            path = f"/v2.1/{self.system.project_id()}/servers"
            answer = compute.post(path, json={"server": wanted}, headers={"OpenStack-API-Version": "compute 2.60"})
            assert answer.status_code == 202, answer.text
        server_id: str = answer.json()["server"]["id"]
        self.system.wait_for_server(server_id, "ACTIVE")
        return server_id

    def floating_address(self, server_id: str) -> str:
        with self.system.http("network") as network:
            (external,) = network.get("/v2.0/networks?router:external=True").json()["networks"]
            (port,) = network.get(f"/v2.0/ports?device_id={server_id}").json()["ports"]
            wanted = {"floating_network_id": external["id"], "port_id": port["id"]}
            answer = network.post("/v2.0/floatingips", json={"floatingip": wanted})
            address: str = answer.json()["floatingip"]["floating_ip_address"]
        return address

    def look(self, server_id: str, address: str, key: Path) -> dict[str, str]:
        """What the guest says once cloud-init is done."""
        deadline = time.monotonic() + PATIENCE_S
        # A port below 1024 is found 10000 higher where the service may not listen on it.
        for port in (22, 10022) * 10_000:
            done = self.ssh(address, port, key, LOOK)
            if done.returncode == 0:
                return dict(line.split(" ", 1) for line in done.stdout.splitlines())
            assert time.monotonic() < deadline, done.stderr + self.system.console(server_id)[-4000:]
            time.sleep(1)
        raise AssertionError

    @staticmethod
    def ssh(address: str, port: int, key: Path, command: str) -> subprocess.CompletedProcess[str]:
        options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        argv = ["ssh", *shlex.split(options), "-o", "ConnectTimeout=30", "-o", "IdentitiesOnly=yes"]
        argv += ["-i", str(key), "-p", str(port), f"debian@{address}", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_debian_boots_becomes_an_image_and_boots_as_somebody_else(
    debian_system: System, debian: Path, tmp_path: Path
) -> None:
    system = debian_system
    cloud = Cloud(system, tmp_path)
    key, other_key = cloud.new_key("first-key"), cloud.new_key("second-key")
    cloud.open_ssh()
    begun = time.monotonic()
    image_id = cloud.upload(debian)
    told(f"uploaded ({debian.stat().st_size / 1e6:.0f} MB)", begun)

    begun = time.monotonic()
    first = cloud.boot("First_Debian", image_id, "first-key", "swordfish", config_drive=True)
    seen = cloud.look(first, cloud.floating_address(first), key)
    told("booted, set up by the config drive, entered by SSH", begun)
    assert (seen["init"], seen["errors"]) == ("systemd", "[]")
    assert (seen["host"], seen["instance"], seen["source"]) == ("first-debian", first, "DataSourceConfigDrive")
    assert (seen["told"], seen["ran"]) == ("swordfish", "swordfish ran,")
    assert int(seen["root_mib"]) > 3500
    assert len(seen["machine"]) == 32

    begun = time.monotonic()
    system.act(first, {"os-stop": None})
    system.wait_for_server(first, "SHUTOFF", timeout=PATIENCE_S)
    told("powered off when asked", begun)
    begun = time.monotonic()
    golden = system.capture(first, "golden-debian")
    told("captured", begun)

    begun = time.monotonic()
    second = cloud.boot("second-debian", golden, "second-key", "halibut", config_drive=False)
    now = cloud.look(second, cloud.floating_address(second), other_key)
    told("the image booted, set up by the metadata service, entered by SSH", begun)
    assert (now["host"], now["instance"], now["source"]) == ("second-debian", second, "DataSourceOpenStackLocal")
    assert (now["told"], now["errors"]) == ("halibut", "[]")
    assert now["ran"] == "swordfish ran,halibut ran,"  # the disk is the first one's
    assert now["key"] != seen["key"]
    print(json.dumps({"first": seen, "second": now}, indent=1))  # noqa: T201 - as the figures above
