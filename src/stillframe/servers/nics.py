"""The network cards of servers: made with them, added and taken away later, and the groups they are in."""

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import (
    ConflictError,
    InvalidInputError,
    NetworkNotFoundError,
    ServerBusyError,
    ServerStateError,
)
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.kit.ids import is_uuid, new_hex_id
from stillframe.networks import access, floating_ips, ports
from stillframe.networks.model import FloatingIp, Port
from stillframe.networks.ports import WantedNic
from stillframe.servers import rows
from stillframe.servers import service as servers
from stillframe.servers.model import NewServer, Server, VmState, require_unlocked

MAX_NICS = 12
PLUG_KIND = "nic_attach"
UNPLUG_KIND = "nic_detach"
_CHANGEABLE = frozenset({VmState.ACTIVE, VmState.STOPPED})


async def make_nics(tx: Transaction, caller: Caller, server: Server, new: NewServer) -> None:
    """Raises: NetworkNotFoundError, ConflictError, InvalidInputError: what stands against one of them."""
    wanted = (WantedNic(),) if new.nics is None else new.nics
    if len(wanted) > MAX_NICS:
        raise InvalidInputError(f"A server has at most {MAX_NICS} network cards.", field="networks")
    groups = None if new.security_groups is None else await ports.resolve_groups(tx, caller, new.security_groups)
    for index, nic in enumerate(wanted):
        with_groups = replace(nic, security_group_ids=groups)
        await ports.attach_nic(tx, caller, server.id, server.availability_zone, with_groups, index)


async def attach_nic(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, wanted: WantedNic
) -> tuple[Port, Job | None]:
    """A further card. A server that runs gets it by a job, which takes the port away again if it cannot.

    Raises: ServerNotFoundError, ServerLockedError, ServerBusyError, ServerStateError, and as `make_nics`.
    """
    server = await _changeable_server(tx, caller, server_id)
    if len(server.nics) >= MAX_NICS:
        raise InvalidInputError(f"A server has at most {MAX_NICS} network cards.")
    taken = {nic.port.device_index for nic in server.nics}
    index = next(index for index in range(MAX_NICS) if index not in taken)
    port = await ports.attach_nic(tx, caller, server.id, server.availability_zone, wanted, index)
    runs = server.vm_state is VmState.ACTIVE
    return port, await _submit(tx, caller, settings, PLUG_KIND, server, port) if runs else None


async def detach_nic(tx: Transaction, caller: Caller, settings: Settings, server_id: str, port_id: str) -> Job | None:
    """A server that runs keeps the card until its guest has let go of it.

    Raises: ServerNotFoundError, ServerLockedError, NetworkNotFoundError, ServerBusyError, ServerStateError.
    """
    server = await _changeable_server(tx, caller, server_id)
    for nic in server.nics:
        if nic.port.id == port_id:
            if await jobs.has_live_job(tx, port_id, PLUG_KIND, UNPLUG_KIND):
                raise ServerBusyError(f"Port {port_id} is being attached or detached.")
            if server.vm_state is VmState.ACTIVE:
                return await _submit(tx, caller, settings, UNPLUG_KIND, server, nic.port)
            await ports.release_nic(tx, nic.port)
            return None
    raise NetworkNotFoundError(f"Port {port_id[:255]} is not attached to server {server.id}.")


async def _changeable_server(tx: Transaction, caller: Caller, server_id: str) -> Server:
    caller.require_writer()
    await rows.get_server(tx, server_id, lock=True) if is_uuid(server_id) else None
    server = await servers.get_server(tx, caller, server_id)
    if server.task_state is not None:
        raise ServerBusyError(f"Cannot change the network cards of server {server.id} in task {server.task_state}.")
    require_unlocked(server, caller)
    if server.vm_state not in _CHANGEABLE:
        raise ServerStateError(
            f"Cannot change the network cards of server {server.id} while it is in vm_state {server.vm_state}"
        )
    return server


async def _submit(tx: Transaction, caller: Caller, settings: Settings, kind: str, server: Server, port: Port) -> Job:
    return await jobs.submit_job(
        tx,
        NewJob(
            id=new_hex_id(),
            kind=kind,
            service=Service.ECS,
            lane=Lane.MACHINE,
            subject_id=port.id,
            project_id=server.project_id,
            user_id=caller.user_id,
            args={"server_id": server.id, "port_id": port.id},
            timeout_s=settings.job_timeout_s,
        ),
    )


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


async def bind_floating_ip(
    tx: Transaction, caller: Caller, server_id: str, address: str, *, fixed_ip: str | None = None
) -> None:
    """Leads a floating address of the project's to the card with that address, or to the first one.

    Raises: ServerNotFoundError, NetworkNotFoundError, InvalidInputError, ConflictError.
    """
    caller.require_writer()
    server = await servers.get_server(tx, caller, server_id)
    found = [nic for nic in server.nics if fixed_ip in {None, *(ip.ip_address for ip in nic.port.fixed_ips)}]
    if not found:
        raise InvalidInputError(f"The server has no card with the address {fixed_ip}.", field="fixed_address")
    floating = await _floating_ip(tx, caller, address)
    await floating_ips.update_floating_ip(tx, caller, floating.id, port_id=found[0].port.id, fixed_ip=fixed_ip)


async def unbind_floating_ip(tx: Transaction, caller: Caller, server_id: str, address: str) -> None:
    """Raises: ServerNotFoundError, NetworkNotFoundError, ConflictError when it leads elsewhere."""
    caller.require_writer()
    server = await servers.get_server(tx, caller, server_id)
    floating = await _floating_ip(tx, caller, address)
    if floating.port_id not in {nic.port.id for nic in server.nics}:
        raise ConflictError(f"Floating IP {floating.address} is not associated with instance {server.id}.")
    await floating_ips.update_floating_ip(tx, caller, floating.id, port_id=None)


async def _floating_ip(tx: Transaction, caller: Caller, address: str) -> FloatingIp:
    for floating in await access.list_things(tx, caller, FloatingIp):
        if floating.address == address:
            return floating
    raise NetworkNotFoundError(f"Floating IP {address[:64]} could not be found.")
