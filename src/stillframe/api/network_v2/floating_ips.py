"""Floating addresses: decode, one service call, encode."""

from typing import Any

from litestar import Request, get

from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.lists import listed, shown
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.networks import service as networks
from stillframe.networks.model import FloatingIp

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]


@get("/v2.0/floatingips")
async def list_floating_ips(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, FloatingIp)
    return listed(request, "floatingips", [wire.floating_ip_to_wire(one) for one in found])


@get("/v2.0/floatingips/{floating_ip_id:str}")
async def show_floating_ip(request: AnyRequest, floating_ip_id: str, tx: Transaction, caller: Caller) -> Json:
    found = await networks.get_thing(tx, caller, FloatingIp, floating_ip_id)
    return shown(request, "floatingip", wire.floating_ip_to_wire(found))


handlers = [list_floating_ips, show_floating_ip]
