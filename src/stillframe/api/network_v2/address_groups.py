"""Address groups: decode, one service call, encode."""

from typing import Any

from litestar import Request, delete, get, post, put

from stillframe.api.compute_v2.bodies import decode_body
from stillframe.api.network_v2 import wire
from stillframe.api.network_v2.bodies import AddressGroupBody, changes_of, decode_one, given
from stillframe.api.network_v2.lists import listed, shown
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.networks import address_groups
from stillframe.networks import service as networks
from stillframe.networks.model import AddressGroup

AnyRequest = Request[Any, Any, Any]
Json = dict[str, Any]

_ONE = "/v2.0/address-groups/{group_id:str}"


def _answer(group: AddressGroup) -> Json:
    return {"address_group": wire.address_group_to_wire(group)}


@get("/v2.0/address-groups")
async def list_address_groups(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    found = await networks.list_things(tx, caller, AddressGroup)
    return listed(request, "address_groups", [wire.address_group_to_wire(group) for group in found])


@get(_ONE)
async def show_address_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> Json:
    group = await networks.get_thing(tx, caller, AddressGroup, group_id)
    return shown(request, "address_group", wire.address_group_to_wire(group))


@post("/v2.0/address-groups")
async def create_address_group(request: AnyRequest, tx: Transaction, caller: Caller) -> Json:
    body = decode_one(await request.body(), "address_group", AddressGroupBody)
    texts = changes_of(body, "name", "description")
    wanted = AddressGroup(id="", project_id="", addresses=tuple(given(body.addresses) or ()), **texts)
    return _answer(await address_groups.create_address_group(tx, caller, wanted))


@put(_ONE)
async def update_address_group(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> Json:
    body = decode_one(await request.body(), "address_group", AddressGroupBody)
    if given(body.addresses) is not None:
        raise InvalidInputError("Addresses come and go by add_addresses and remove_addresses.", field="addresses")
    changes = changes_of(body, "name", "description")
    return _answer(await address_groups.update_address_group(tx, caller, group_id, **changes))


@put([f"{_ONE}/add_addresses", f"{_ONE}/remove_addresses"])
async def change_addresses(request: AnyRequest, group_id: str, tx: Transaction, caller: Caller) -> Json:
    wanted = given(decode_body(await request.body(), AddressGroupBody).addresses)
    if not wanted:
        raise InvalidInputError("Which addresses? Their list is missing.", field="addresses")
    is_addition = request.scope["path"].endswith("/add_addresses")
    change = address_groups.add_addresses if is_addition else address_groups.remove_addresses
    return _answer(await change(tx, caller, group_id, wanted))


@delete(_ONE)
async def delete_address_group(group_id: str, tx: Transaction, caller: Caller) -> None:
    await address_groups.delete_address_group(tx, caller, group_id)


handlers = [
    list_address_groups,
    show_address_group,
    create_address_group,
    update_address_group,
    change_addresses,
    delete_address_group,
]
