"""What a server is told about itself at 169.254.169.254: OpenStack's documents and EC2's tree.

The switch knows by the card which server asks, so no server can ask for another.

Source: OpenStack Compute user guide, "Metadata"; Amazon EC2 user guide, "Instance metadata categories".
"""

import base64
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.networks import ports
from stillframe.servers import rows
from stillframe.servers.documents import meta_data, network_data
from stillframe.servers.model import Server
from stillframe.switch.plan import Answer, Question

_OPENSTACK_VERSIONS = (
    *("2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22"),
    *("2018-08-27", "2020-10-14", "latest"),
)
_EC2_VERSIONS = (
    *("1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01"),
    *("2009-04-04", "latest"),
)
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"

Tree = dict[str, Any]
"""A part of EC2's tree: texts and further trees by their names."""


async def answer_question(tx: Transaction, question: Question) -> Answer:
    """Never raises for what a guest can ask: what is not there is 404."""
    server = await rows.get_server(tx, question.server_id)
    if server is None:
        return _answer(question, 404, _TEXT, b"404 Not Found\n")
    if question.method not in {"GET", "HEAD"}:
        return _answer(question, 405, _TEXT, b"405 Method Not Allowed\n")
    server = replace(server, nics=(await ports.list_nics(tx, [server.id]))[server.id])
    found = document(server, question.path)
    if found is None:
        return _answer(question, 404, _TEXT, b"404 Not Found\n")
    return _answer(question, 200, *found)


def _answer(question: Question, status: int, content_type: str, body: bytes) -> Answer:
    return Answer(number=question.number, status=status, content_type=content_type, body=body)


def document(server: Server, path: str) -> tuple[str, bytes] | None:
    """Its type and its bytes; None when there is no such document."""
    words = [word for word in path.split("/") if word]
    if not words:
        return _TEXT, "\n".join((*_EC2_VERSIONS, "openstack")).encode()
    if words[0] == "openstack":
        return _openstack(server, words[1:])
    if words[0] in _EC2_VERSIONS:
        return _ec2(server, words[1:])
    return None


def _openstack(server: Server, words: list[str]) -> tuple[str, bytes] | None:
    if not words:
        return _TEXT, "\n".join(_OPENSTACK_VERSIONS).encode()
    if words[0] not in _OPENSTACK_VERSIONS or len(words) > 2:
        return None
    user_data = _user_data(server)
    known: dict[str, tuple[str, bytes]] = {
        "meta_data.json": (_JSON, msgspec.json.encode(meta_data(server))),
        "network_data.json": (_JSON, msgspec.json.encode(network_data(server))),
        "vendor_data.json": (_JSON, b"{}"),
        "vendor_data2.json": (_JSON, b"{}"),
    }
    if user_data is not None:
        known["user_data"] = ("application/octet-stream", user_data)
    if len(words) == 1:
        return _TEXT, "\n".join(sorted(known)).encode()
    return known.get(words[1])


def _user_data(server: Server) -> bytes | None:
    return base64.b64decode(server.user_data) if server.user_data else None


def _ec2(server: Server, words: list[str]) -> tuple[str, bytes] | None:
    user_data = _user_data(server)
    if not words:
        return _TEXT, b"meta-data/" + (b"\nuser-data" if user_data is not None else b"")
    if words == ["user-data"] and user_data is not None:
        return "application/octet-stream", user_data
    if words[0] != "meta-data":
        return None
    found: Any = _ec2_tree(server)
    for word in words[1:]:
        found = found.get(word) if isinstance(found, dict) else None
    if found is None:
        return None
    return _TEXT, (_listing(found, words) if isinstance(found, dict) else found).encode()


def _listing(tree: Tree, words: list[str]) -> str:
    """Names that lead on end with a slash; keys are listed by number and name."""
    if words[-1] == "public-keys":
        return "\n".join(f"{number}={tree[number]['_name']}" for number in tree)
    shown = {name: value for name, value in tree.items() if not name.startswith("_")}
    return "\n".join(f"{name}/" if isinstance(value, dict) else name for name, value in shown.items())


def _ec2_tree(server: Server) -> Tree:
    first = next((ip.ip_address for nic in server.nics for ip in nic.port.fixed_ips), "")
    tree: Tree = {
        "ami-id": f"ami-{server.image_id[:8]}",
        "ami-launch-index": "0",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": server.host_name,
        "instance-action": "none",
        "instance-id": f"i-{server.id[:8]}",
        "instance-type": server.flavor.id,
        "local-hostname": server.host_name,
        "local-ipv4": first,
        "placement": {"availability-zone": server.availability_zone},
        "public-hostname": server.host_name,
        "public-ipv4": "",
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(dict.fromkeys(name for nic in server.nics for _, name in nic.security_groups)),
    }
    if server.public_key:
        tree["public-keys"] = {"0": {"_name": str(server.key_name), "openssh-key": server.public_key}}
    if server.nics:
        tree["mac"] = server.nics[0].port.mac_address
    return tree
