"""Address groups: ranges under one name, which rules of security groups may refer to."""

import ipaddress
from collections.abc import Sequence

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_uuid
from stillframe.networks import rows
from stillframe.networks.access import begin_change, get_thing
from stillframe.networks.errors import NetworkQuotaExceededError, NetworkThingInUseError
from stillframe.networks.model import AddressGroup, SecurityGroupRule

MAX_ADDRESS_GROUPS = 100
"""Of a project."""
MAX_ADDRESSES = 500
"""In a group."""


async def create_address_group(tx: Transaction, caller: Caller, wanted: AddressGroup) -> AddressGroup:
    """Its id, owner and times are set here. Raises: ForbiddenError, InvalidInputError, NetworkQuotaExceededError."""
    project_id = await begin_change(tx, caller)
    if await rows.count(tx, AddressGroup, project_id) >= MAX_ADDRESS_GROUPS:
        raise NetworkQuotaExceededError(f"Quota exceeded for address groups: at most {MAX_ADDRESS_GROUPS}.")
    now, addresses = utcnow(), _checked(wanted.addresses)
    group = replace(wanted, id=new_uuid(), project_id=project_id, addresses=addresses, created_at=now, updated_at=now)
    await rows.insert(tx, group)
    return group


async def update_address_group(tx: Transaction, caller: Caller, group_id: str, **changes: object) -> AddressGroup:
    """Raises: NetworkNotFoundError."""
    await begin_change(tx, caller)
    return await _keep(tx, replace(await get_thing(tx, caller, AddressGroup, group_id), **changes))


async def add_addresses(tx: Transaction, caller: Caller, group_id: str, wanted: Sequence[str]) -> AddressGroup:
    """Raises: NetworkNotFoundError; InvalidInputError, also for what is in the group already."""
    await begin_change(tx, caller)
    group, new = await get_thing(tx, caller, AddressGroup, group_id), _checked(wanted)
    known = sorted(set(new) & set(group.addresses))
    if known:
        raise InvalidInputError(f"Addresses {', '.join(known)} already exist in the address group {group.id}.")
    return await _keep(tx, replace(group, addresses=_checked((*group.addresses, *new))))


async def remove_addresses(tx: Transaction, caller: Caller, group_id: str, wanted: Sequence[str]) -> AddressGroup:
    """Raises: NetworkNotFoundError; NotFoundError for what is not in the group; InvalidInputError."""
    await begin_change(tx, caller)
    group, gone = await get_thing(tx, caller, AddressGroup, group_id), _checked(wanted)
    unknown = sorted(set(gone) - set(group.addresses))
    if unknown:
        raise NotFoundError(f"Addresses {', '.join(unknown)} not found in the address group {group.id}.")
    return await _keep(tx, replace(group, addresses=tuple(one for one in group.addresses if one not in gone)))


async def _keep(tx: Transaction, group: AddressGroup) -> AddressGroup:
    changed = replace(group, updated_at=utcnow())
    await rows.update(tx, changed)
    return changed


async def delete_address_group(tx: Transaction, caller: Caller, group_id: str) -> None:
    """Raises: NetworkNotFoundError; NetworkThingInUseError while a rule refers to it."""
    await begin_change(tx, caller)
    group = await get_thing(tx, caller, AddressGroup, group_id)
    if await rows.find(tx, SecurityGroupRule, remote_address_group_id=group.id):
        raise NetworkThingInUseError(f"Address group {group.id} is in use on one or more security group rules.")
    await rows.delete(tx, group)


def _checked(wanted: Sequence[str]) -> tuple[str, ...]:
    """As ranges, each once. Raises: InvalidInputError."""
    if len(wanted) > MAX_ADDRESSES:
        raise InvalidInputError(f"An address group has at most {MAX_ADDRESSES} addresses.", field="addresses")
    try:
        return tuple(dict.fromkeys(str(ipaddress.ip_network(one.strip(), strict=False)) for one in wanted))
    except ValueError as error:
        raise InvalidInputError(f"Invalid input for addresses: {error}", field="addresses") from None
