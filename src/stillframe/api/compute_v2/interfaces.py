"""os-interface: the network cards of a server, as Nova shows them.

Source: OpenStack Compute API reference, "Port interfaces".
"""

from typing import Annotated, Any

from litestar import Request, delete, get, post
from msgspec import Meta, Struct

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.server_requests import Text
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.networks.model import Port
from stillframe.networks.ports import WantedNic
from stillframe.servers import nics
from stillframe.servers import service as servers

Json = dict[str, Any]


class FixedIp(Struct):
    ip_address: Text


class Interface(Struct):
    port_id: Text | None = None
    net_id: Text | None = None
    fixed_ips: Annotated[list[FixedIp], Meta(max_length=1)] | None = None


class InterfaceBody(Struct, rename="camel"):
    interface_attachment: Interface | None = None


def interface_to_wire(port: Port) -> Json:
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "port_state": "ACTIVE",
        "fixed_ips": [{"ip_address": ip.ip_address, "subnet_id": ip.subnet_id} for ip in port.fixed_ips],
    }


@get("/servers/{server_id:str}/os-interface")
async def list_interfaces(server_id: str, tx: Transaction, caller: Caller) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    return {"interfaceAttachments": [interface_to_wire(nic.port) for nic in server.nics]}


@get("/servers/{server_id:str}/os-interface/{port_id:str}")
async def show_interface(server_id: str, port_id: str, tx: Transaction, caller: Caller) -> Json:
    server = await servers.get_server(tx, caller, server_id)
    for nic in server.nics:
        if nic.port.id == port_id:
            return {"interfaceAttachment": interface_to_wire(nic.port)}
    raise NotFoundError(f"No interface was found with port {port_id[:255]}.")


@post("/servers/{server_id:str}/os-interface", status_code=200)
async def attach_interface(
    request: Request[Any, Any, Any], server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode_body(await request.body(), InterfaceBody).interface_attachment or Interface()
    if wanted.port_id and (wanted.net_id or wanted.fixed_ips):
        raise InvalidInputError("Must not input both network_id and port_id", field="port_id")
    if wanted.fixed_ips and not wanted.net_id:
        raise InvalidInputError("Must input network_id when request IP address", field="net_id")
    nic = WantedNic(
        port_id=wanted.port_id or None,
        network_id=wanted.net_id or None,
        fixed_ip=wanted.fixed_ips[0].ip_address if wanted.fixed_ips else None,
    )
    port, _job = await nics.attach_nic(tx, caller, settings, server_id, nic)
    return {"interfaceAttachment": interface_to_wire(port)}


@delete("/servers/{server_id:str}/os-interface/{port_id:str}", status_code=202)
async def detach_interface(server_id: str, port_id: str, tx: Transaction, caller: Caller, settings: Settings) -> None:
    """The card is gone once showing it answers 404."""
    await nics.detach_nic(tx, caller, settings, server_id, port_id)


handlers = [list_interfaces, show_interface, attach_interface, detach_interface]
