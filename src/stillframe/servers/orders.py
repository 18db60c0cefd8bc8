"""Several servers by one request, as the ECS API has it: all of them or none, and one job whose parts are theirs.

Source: Open Telekom Cloud, ECS API reference, "Creating ECSs", "Deleting ECSs", "Batch Operations".
"""

import enum
import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NetworkNotFoundError
from stillframe.identity.model import Caller
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.networks import floating_ips, ports, vpcs
from stillframe.networks import service as networks
from stillframe.networks.model import FloatingIp, Router
from stillframe.networks.ports import WantedNic
from stillframe.servers import creation, nics, service
from stillframe.servers.model import NewServer, Server

MAX_NEW_SERVERS = 100
MAX_SERVERS = 1000
"""Of one request to do something to servers there are."""


class BatchKind(enum.StrEnum):
    CREATE = "servers_create"
    DELETE = "servers_delete"
    START = "servers_start"
    STOP = "servers_stop"
    REBOOT = "servers_reboot"
    ATTACH_NICS = "server_attach_nics"
    DETACH_NICS = "server_detach_nics"


class WantedAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A floating address for the first card: one there is, or a new one of `bandwidth_mbit`."""

    floating_ip_id: str | None = None
    bandwidth_mbit: int = 0


class ServerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`new.name` is that of a single server; several are called `name-0001` and so on."""

    new: NewServer
    vpc_id: str
    count: int = 1
    address: WantedAddress | None = None


async def create_servers(
    tx: Transaction, caller: Caller, settings: Settings, order: ServerOrder
) -> tuple[list[Server], Job]:
    """All of them or none. Raises: as `creation.create_server`, and what stands against the address."""
    if not 1 <= order.count <= MAX_NEW_SERVERS:
        raise InvalidInputError(f"Between 1 and {MAX_NEW_SERVERS} ECSs can be created at once.", field="count")
    if order.count > 1 and order.address and order.address.floating_ip_id:
        raise InvalidInputError("An elastic IP address can be bound to one ECS only.", field="publicip")
    await _require_subnets(tx, caller, order)
    made = []
    for number in range(1, order.count + 1):
        name = order.new.name if order.count == 1 else f"{order.new.name}-{number:04d}"
        server = await creation.create_server(tx, caller, settings, replace(order.new, name=name))
        if order.address is not None:
            await _bind_address(tx, caller, settings, server, order.address)
        made.append(server)
    parts = [server.job_id for server in made if server.job_id]
    return made, await _record(tx, caller, BatchKind.CREATE, parts)


async def rehearse_creation(tx: Transaction, caller: Caller, settings: Settings, order: ServerOrder) -> None:
    """Every check of `create_servers`, and nothing is left of it. Raises: as that does."""
    async with tx.rehearsal():
        await create_servers(tx, caller, settings, order)


async def _require_subnets(tx: Transaction, caller: Caller, order: ServerOrder) -> None:
    """All in the VPC, with the addresses asked for. Raises: InvalidInputError."""
    try:
        await networks.get_thing(tx, caller, Router, order.vpc_id)
    except NetworkNotFoundError as error:
        raise InvalidInputError(f"VPC {order.vpc_id[:64]} does not exist.", field="vpcid", cause=error) from None
    for nic in order.new.nics or ():
        if nic.network_id is None:
            continue
        try:
            found = await vpcs.get_subnet(tx, caller, nic.network_id)
        except NetworkNotFoundError as error:
            message = f"Subnet {nic.network_id[:64]} does not exist."
            raise InvalidInputError(message, field="subnet_id", cause=error) from None
        if found.subnet.router_id != order.vpc_id:
            raise InvalidInputError(f"Subnet {nic.network_id} is not of VPC {order.vpc_id}.", field="nics")
        if nic.fixed_ip is not None and not _is_in(nic.fixed_ip, found.subnet.cidr):
            raise InvalidInputError(f"{nic.fixed_ip[:64]} is not an address of the subnet.", field="ip_address")


def _is_in(address: str, cidr: str) -> bool:
    try:
        return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr)
    except ValueError:
        return False


async def _bind_address(
    tx: Transaction, caller: Caller, settings: Settings, server: Server, wanted: WantedAddress
) -> None:
    try:
        port_id = (await service.get_server(tx, caller, server.id)).nics[0].port.id
        if wanted.floating_ip_id is not None:
            await floating_ips.update_floating_ip(tx, caller, wanted.floating_ip_id, port_id=port_id)
        else:
            new = FloatingIp(id="", project_id="", address="", bandwidth_mbit=wanted.bandwidth_mbit)
            await floating_ips.create_floating_ip(tx, caller, settings, new, port_id=port_id)
    except (NetworkNotFoundError, IndexError) as error:
        raise InvalidInputError(f"The elastic IP address cannot be bound: {error}", field="publicip") from None


async def delete_servers(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_ids: Sequence[str],
    *,
    with_volumes: bool = False,
    with_addresses: bool = False,
) -> Job:
    """With their data disks, and the floating addresses of their cards, where that is asked for.

    Raises: as `service.delete_server`.
    """
    parts = [
        await service.delete_server(
            tx, caller, settings, server_id, with_volumes=with_volumes, with_addresses=with_addresses
        )
        for server_id in _each_once(server_ids)
    ]
    return await _record(tx, caller, BatchKind.DELETE, [job.id for job in parts])


async def act_on_servers(
    tx: Transaction, caller: Caller, settings: Settings, kind: BatchKind, server_ids: Sequence[str], *, hard: bool
) -> Job:
    """Raises: as `service.start_server`, `stop_server` and `reboot_server`."""
    parts = []
    for server_id in _each_once(server_ids):
        if kind is BatchKind.START:
            parts.append(await service.start_server(tx, caller, settings, server_id))
        elif kind is BatchKind.STOP:
            parts.append(await service.stop_server(tx, caller, settings, server_id, hard=hard))
        else:
            parts.append(await service.reboot_server(tx, caller, settings, server_id, hard=hard))
    return await _record(tx, caller, kind, [job.id for job in parts])


def _each_once(server_ids: Sequence[str]) -> list[str]:
    """In an order that two requests for the same servers share, so that neither waits for the other's for ever."""
    if not 1 <= len(server_ids) <= MAX_SERVERS:
        raise InvalidInputError(f"Between 1 and {MAX_SERVERS} ECSs must be given.", field="servers")
    return sorted(set(server_ids))


async def rename_servers(
    tx: Transaction, caller: Caller, server_ids: Sequence[str], name: str, *, only_check: bool = False
) -> list[str]:
    """Their ids. Raises: as `service.update_server`."""
    renamed = _each_once(server_ids)
    for server_id in renamed:
        await service.lock_own_server(tx, caller, server_id)
        if not only_check:
            await service.update_server(tx, caller, server_id, name=name)
    return renamed


async def attach_nics(
    tx: Transaction,
    caller: Caller,
    settings: Settings,
    server_id: str,
    wanted: Sequence[tuple[WantedNic, Sequence[str]]],
) -> Job:
    """Cards, each with its groups. Raises: as `nics.attach_nic`; InvalidInputError for what is not there."""
    begun = []
    with creation.as_invalid_input():
        for nic, groups in wanted:
            group_ids = await ports.resolve_groups(tx, caller, groups) if groups else None
            with_groups = replace(nic, security_group_ids=group_ids)
            port, job = await nics.attach_nic(tx, caller, settings, server_id, with_groups)
            begun.append(job)
    return await _record_cards(tx, caller, BatchKind.ATTACH_NICS, begun, server_id, port.id)


async def detach_nics(
    tx: Transaction, caller: Caller, settings: Settings, server_id: str, port_ids: Sequence[str]
) -> Job:
    """Raises: as `nics.detach_nic`."""
    begun = [await nics.detach_nic(tx, caller, settings, server_id, port_id) for port_id in port_ids]
    return await _record_cards(tx, caller, BatchKind.DETACH_NICS, begun, server_id, port_ids[-1])


async def _record_cards(
    tx: Transaction, caller: Caller, kind: BatchKind, begun: Sequence[Job | None], server_id: str, port_id: str
) -> Job:
    """A server that runs has a job for each card, one that is stopped has its cards already."""
    job_ids = [job.id for job in begun if job]
    if job_ids:
        return await _record(tx, caller, kind, job_ids)
    return await _record(tx, caller, kind, result={"server_id": server_id, "nic_id": port_id})


async def _record(
    tx: Transaction,
    caller: Caller,
    kind: BatchKind,
    job_ids: list[str] | None = None,
    result: dict[str, Any] | None = None,
) -> Job:
    """The job that the request is answered with: its parts, or what the request has done already."""
    new = NewJob(
        kind=kind,
        service=Service.ECS,
        lane=Lane.MACHINE,
        subject_id=None,
        project_id=caller.require_project(),
        user_id=caller.user_id,
        args={} if job_ids is None else {"job_ids": job_ids},
    )
    return await jobs.record_job(tx, new, result or {})


async def get_job(tx: Transaction, caller: Caller, job_id: str) -> tuple[Job, list[Job]]:
    """And its parts, which say how far it is. Raises: NotFoundError."""
    project_id = caller.require_project()
    job = await jobs.get_job(tx, job_id, project_id=project_id, service=Service.ECS)
    return job, await jobs.list_jobs(tx, job.args.get("job_ids", ()))
