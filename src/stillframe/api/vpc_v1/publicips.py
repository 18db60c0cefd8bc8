"""Elastic addresses and their bandwidths: decode, one service call, encode.

A bandwidth belongs to one address, and is told back as it was given; nothing is slowed down to it.

Source: Open Telekom Cloud, VPC API reference, "EIP", "Bandwidth".
"""

from typing import Annotated, Any, Literal

from litestar import Request, delete, get, post, put
from msgspec import Meta, Struct

from stillframe.api import enterprise_projects
from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.compute_v2.queries import query_pairs
from stillframe.api.network_v2.bodies import Text
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NetworkNotFoundError, NotOfferedError
from stillframe.identity.model import Caller
from stillframe.kit.ids import derived_uuid
from stillframe.networks import floating_ips
from stillframe.networks import service as networks
from stillframe.networks.errors import NetworkThingInUseError
from stillframe.networks.model import FloatingIp

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_TYPE = "5_bgp"
Megabits = Annotated[int, Meta(ge=1, le=2000)]


class AddressFields(Struct):
    type: Text | None = None
    ip_address: Text | None = None
    ip_version: int | str | None = None
    alias: Annotated[str, Meta(max_length=64)] | None = None
    port_id: Text | None = None


class BandwidthFields(Struct):
    name: Annotated[str, Meta(max_length=64)] | None = None
    size: Megabits | None = None
    id: Text | None = None
    share_type: Literal["PER", "WHOLE"] | None = None
    charge_mode: Text | None = None


class AddressBody(Struct):
    publicip: AddressFields
    bandwidth: BandwidthFields | None = None


class BandwidthBody(Struct):
    bandwidth: BandwidthFields


def bandwidth_id(floating: FloatingIp) -> str:
    return derived_uuid("bandwidth", floating.id)


def address_to_wire(floating: FloatingIp) -> Json:
    shown: Json = {
        "id": floating.id,
        "alias": floating.name,
        "status": "ACTIVE" if floating.port_id else "DOWN",
        "type": _TYPE,
        "public_ip_address": floating.address,
        "tenant_id": floating.project_id,
        "create_time": floating.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        "bandwidth_id": bandwidth_id(floating),
        "bandwidth_name": floating.bandwidth_name,
        "bandwidth_size": floating.bandwidth_mbit,
        "bandwidth_share_type": "PER",
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "ip_version": 4,
    }
    if floating.port_id:
        shown |= {"port_id": floating.port_id, "private_ip_address": floating.fixed_ip}
    return shown


def bandwidth_to_wire(floating: FloatingIp) -> Json:
    return {
        "id": bandwidth_id(floating),
        "name": floating.bandwidth_name,
        "size": floating.bandwidth_mbit,
        "share_type": "PER",
        "charge_mode": "traffic",
        "bandwidth_type": "bgp",
        "billing_info": "",
        "tenant_id": floating.project_id,
        "enterprise_project_id": enterprise_projects.DEFAULT,
        "status": "NORMAL",
        "publicip_info": [
            {
                "publicip_id": floating.id,
                "publicip_address": floating.address,
                "publicip_type": _TYPE,
                "ip_version": 4,
            }
        ],
    }


@get("/v1/{project_id:str}/publicips")
async def list_addresses(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    wanted = dict(query_pairs(request))
    found = [address_to_wire(one) for one in await networks.list_things(tx, caller, FloatingIp)]
    names = ("id", "port_id", "public_ip_address", "private_ip_address")
    fits = [one for one in found if all(wanted.get(name) in {None, "", one.get(name)} for name in names)]
    if wanted.get("marker"):
        ids = [one["id"] for one in fits]
        fits = fits[ids.index(wanted["marker"]) + 1 :] if wanted["marker"] in ids else []
    return {"publicips": fits}


@post("/v1/{project_id:str}/publicips", status_code=200)
async def assign_address(request: AnyRequest, tx: Transaction, caller: Caller, settings: Settings) -> Json:
    body = decode_body(await request.body(), AddressBody)
    bandwidth = body.bandwidth or BandwidthFields()
    if bandwidth.id or bandwidth.share_type == "WHOLE":
        raise NotOfferedError("Addresses have a bandwidth of their own (share_type PER).")
    if not bandwidth.size:
        raise InvalidInputError("The size of the bandwidth is not specified.", field="size")
    if str(body.publicip.ip_version or 4) != "4":
        raise NotOfferedError("Networks carry IPv4 only.")
    made = await floating_ips.create_floating_ip(
        tx,
        caller,
        settings,
        FloatingIp(
            id="",
            project_id="",
            name=body.publicip.alias or "",
            address=body.publicip.ip_address or "",
            bandwidth_name=bandwidth.name or "",
            bandwidth_mbit=bandwidth.size,
        ),
        port_id=body.publicip.port_id or None,
    )
    return {"publicip": address_to_wire(made)}


@get("/v1/{project_id:str}/publicips/{address_id:str}")
async def show_address(address_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"publicip": address_to_wire(await networks.get_thing(tx, caller, FloatingIp, address_id))}


@put("/v1/{project_id:str}/publicips/{address_id:str}")
async def bind_address(request: AnyRequest, address_id: str, tx: Transaction, caller: Caller) -> Json:
    """Without `port_id`, or with an empty one, it is unbound; with a new `alias` alone only that changes."""
    fields = decode_body(await request.body(), AddressBody).publicip
    changes: Json = {} if fields.alias is None else {"name": fields.alias}
    port_id = "" if changes and fields.port_id is None else fields.port_id or None
    changed = await floating_ips.update_floating_ip(tx, caller, address_id, port_id=port_id, **changes)
    return {"publicip": address_to_wire(changed)}


@delete("/v1/{project_id:str}/publicips/{address_id:str}")
async def release_address(address_id: str, tx: Transaction, caller: Caller) -> None:
    floating = await networks.get_thing(tx, caller, FloatingIp, address_id)
    if floating.port_id:
        raise NetworkThingInUseError("EIP is bound to a port. Unbind it first.")
    await floating_ips.delete_floating_ip(tx, caller, address_id)


@get("/v1/{project_id:str}/bandwidths")
async def list_bandwidths(tx: Transaction, caller: Caller) -> Json:
    return {"bandwidths": [bandwidth_to_wire(one) for one in await networks.list_things(tx, caller, FloatingIp)]}


@get("/v1/{project_id:str}/bandwidths/{wanted_id:str}")
async def show_bandwidth(wanted_id: str, tx: Transaction, caller: Caller) -> Json:
    return {"bandwidth": bandwidth_to_wire(await _of_bandwidth(tx, caller, wanted_id))}


@put("/v1/{project_id:str}/bandwidths/{wanted_id:str}")
async def update_bandwidth(request: AnyRequest, wanted_id: str, tx: Transaction, caller: Caller) -> Json:
    fields = decode_body(await request.body(), BandwidthBody).bandwidth
    floating = await _of_bandwidth(tx, caller, wanted_id)
    changed = await floating_ips.update_floating_ip(
        tx,
        caller,
        floating.id,
        bandwidth_name=floating.bandwidth_name if fields.name is None else fields.name,
        bandwidth_mbit=fields.size or floating.bandwidth_mbit,
    )
    return {"bandwidth": bandwidth_to_wire(changed)}


async def _of_bandwidth(tx: Transaction, caller: Caller, wanted_id: str) -> FloatingIp:
    for one in await networks.list_things(tx, caller, FloatingIp):
        if bandwidth_id(one) == wanted_id:
            return one
    raise NetworkNotFoundError(f"EIP bandwidth with the ID {wanted_id[:64]} not found.")


handlers = [
    list_addresses,
    assign_address,
    show_address,
    bind_address,
    release_address,
    list_bandwidths,
    show_bandwidth,
    update_bandwidth,
]
