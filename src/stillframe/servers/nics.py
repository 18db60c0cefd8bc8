"""The network cards of servers: made with them, added and taken away later, and the groups they are in."""

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NetworkNotFoundError, ServerBusyError, ServerStateError
from stillframe.identity.model import Caller
from stillframe.kit.ids import is_uuid
from stillframe.networks import ports
from stillframe.networks.model import Port
from stillframe.networks.ports import WantedNic
from stillframe.servers import rows
from stillframe.servers import service as servers
from stillframe.servers.model import NewServer, Server, VmState

MAX_NICS = 12


async def make_nics(tx: Transaction, caller: Caller, server: Server, new: NewServer) -> None:
    """Raises: NetworkNotFoundError, ConflictError, InvalidInputError: what stands against one of them."""
    wanted = (WantedNic(),) if new.nics is None else new.nics
    if len(wanted) > MAX_NICS:
        raise InvalidInputError(f"A server has at most {MAX_NICS} network cards.", field="networks")
    groups = None if new.security_groups is None else await ports.resolve_groups(tx, caller, new.security_groups)
    for index, nic in enumerate(wanted):
        with_groups = replace(nic, security_group_ids=groups)
        await ports.attach_nic(tx, caller, server.id, server.availability_zone, with_groups, index)


async def attach_nic(tx: Transaction, caller: Caller, server_id: str, wanted: WantedNic) -> Port:
    """A further card. Its machine gets it with its next start, so there must be none now.

    Raises: ServerNotFoundError, ServerBusyError, ServerStateError, and as `make_nics`.
    """
    server = await _changeable_server(tx, caller, server_id)
    if len(server.nics) >= MAX_NICS:
        raise InvalidInputError(f"A server has at most {MAX_NICS} network cards.")
    taken = {nic.port.device_index for nic in server.nics}
    index = next(index for index in range(MAX_NICS) if index not in taken)
    return await ports.attach_nic(tx, caller, server.id, server.availability_zone, wanted, index)


async def detach_nic(tx: Transaction, caller: Caller, server_id: str, port_id: str) -> None:
    """Raises: ServerNotFoundError, NetworkNotFoundError, ServerBusyError, ServerStateError."""
    server = await _changeable_server(tx, caller, server_id)
    for nic in server.nics:
        if nic.port.id == port_id:
            await ports.release_nic(tx, nic.port)
            return
    raise NetworkNotFoundError(f"Port {port_id[:255]} is not attached to server {server.id}.")


async def _changeable_server(tx: Transaction, caller: Caller, server_id: str) -> Server:
    caller.require_writer()
    await rows.get_server(tx, server_id, lock=True) if is_uuid(server_id) else None
    server = await servers.get_server(tx, caller, server_id)
    if server.task_state is not None:
        raise ServerBusyError(f"Cannot change the network cards of server {server.id} in task {server.task_state}.")
    if server.vm_state is VmState.ACTIVE:
        raise ServerStateError(f"Stop server {server.id} first: a running machine keeps the network cards it has.")
    return server


async def change_groups(tx: Transaction, caller: Caller, server_id: str, group: str, *, add: bool) -> None:
    """Puts every card of a server into a security group, or takes it out, at once.

    Raises: ServerNotFoundError, NetworkNotFoundError, ConflictError.
    """
    caller.require_writer()
    server = await servers.get_server(tx, caller, server_id)
    (group_id,) = await ports.resolve_groups(tx, caller, [group])
    if not add and not any(group_id in nic.port.security_group_ids for nic in server.nics):
        raise NetworkNotFoundError(f"Security group {group[:255]} is not associated with server {server.id}.")
    for nic in server.nics:
        rest = [one for one in nic.port.security_group_ids if one != group_id]
        if nic.port.port_security_enabled:
            await ports.set_groups(tx, nic.port, [*rest, group_id] if add else rest)


async def release_nics(tx: Transaction, server_id: str, *, with_addresses: bool = False) -> None:
    """When the server goes, and the floating addresses that lead to it, where that is asked for. Safe to repeat."""
    for nic in (await ports.list_nics(tx, [server_id]))[server_id]:
        if with_addresses:
            await ports.remove_floating_ips(tx, nic.port)
        await ports.release_nic(tx, nic.port)
