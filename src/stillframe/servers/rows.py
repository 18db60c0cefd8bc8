"""The servers room's tables and the SQL on single servers, hosts and key pairs; lists of servers are in listing.py."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from stillframe.db import Transaction, UtcTime, metadata
from stillframe.errors import KeypairExistsError
from stillframe.flavors.model import Flavor
from stillframe.servers.model import (
    WITH_MACHINE,
    WITHOUT_MACHINE,
    Fault,
    Keypair,
    Locker,
    ResizedFrom,
    Server,
    TaskState,
    VmState,
)

servers = sa.Table(
    "servers",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project_id", sa.String(32), nullable=False),
    sa.Column("user_id", sa.String(32), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("flavor_id", sa.String(64), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("ram_mib", sa.Integer, nullable=False),
    sa.Column("extra_specs", sa.JSON, nullable=False),
    sa.Column("image_id", sa.String(36), nullable=False),
    sa.Column("cdrom_layer_id", sa.ForeignKey("layers.id"), index=True),
    sa.Column("vm_state", sa.String(32), nullable=False),
    sa.Column("task_state", sa.String(32)),
    sa.Column("job_id", sa.String(36)),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("key_name", sa.String(255)),
    sa.Column("public_key", sa.Text),
    sa.Column("user_data", sa.Text),
    sa.Column("availability_zone", sa.String(64), nullable=False),
    sa.Column("config_drive", sa.Boolean, nullable=False),
    sa.Column("reservation_id", sa.String(16), nullable=False),
    sa.Column("locked_by", sa.String(8)),
    sa.Column("locked_reason", sa.Text),
    sa.Column("resized_from", sa.JSON(none_as_null=True)),
    sa.Column("fault_code", sa.Integer),
    sa.Column("fault_message", sa.Text),
    sa.Column("fault_created_at", UtcTime),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("launched_at", UtcTime),
    sa.Index("ix_servers_project_id_created_at", "project_id", "created_at", "id"),
    sa.Index("ix_servers_vm_state", "vm_state"),
    sa.Index("ix_servers_reservation_id", "reservation_id"),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("memory_mib", sa.BigInteger, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
)

keypairs = sa.Table(
    "keypairs",
    metadata,
    sa.Column("user_id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)


_GETTING_MACHINE = (TaskState.POWERING_ON, TaskState.REBOOTING_HARD, TaskState.UNSHELVING)
_RESIZING = (TaskState.RESIZE_PREP, TaskState.RESIZE_FINISH, TaskState.RESIZE_REVERTING)


def server_from_row(row: sa.Row[Any]) -> Server:
    """Without its tags, volumes and cards."""
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
    flavor = Flavor(
        id=fields.pop("flavor_id"),
        vcpus=fields.pop("vcpus"),
        ram_mib=fields.pop("ram_mib"),
        extra_specs=fields.pop("extra_specs"),
    )
    code, message, created_at = (fields.pop(f"fault_{name}") for name in ("code", "message", "created_at"))
    task_state = fields["task_state"]
    return Server(
        **fields
        | {
            "flavor": flavor,
            "vm_state": VmState(fields["vm_state"]),
            "task_state": TaskState(task_state) if task_state else None,
            "locked_by": Locker(fields["locked_by"]) if fields["locked_by"] else None,
            "resized_from": msgspec.convert(fields["resized_from"], ResizedFrom) if fields["resized_from"] else None,
            "fault": Fault(code=code, message=message, created_at=created_at) if code else None,
        }
    )


def _columns(server: Server) -> dict[str, Any]:
    apart = {"flavor", "fault", "tags", "volumes", "nics"}
    values = {name: getattr(server, name) for name in server.__struct_fields__ if name not in apart}
    return values | {
        "flavor_id": server.flavor.id,
        "vcpus": server.flavor.vcpus,
        "ram_mib": server.flavor.ram_mib,
        "extra_specs": server.flavor.extra_specs,
        "resized_from": msgspec.to_builtins(server.resized_from),
        "fault_code": server.fault.code if server.fault else None,
        "fault_message": server.fault.message if server.fault else None,
        "fault_created_at": server.fault.created_at if server.fault else None,
    }


async def insert_server(tx: Transaction, server: Server) -> None:
    await tx.execute(sa.insert(servers).values(**_columns(server)))


_SERVER = sa.select(servers).where(servers.c.id == sa.bindparam("id"))
_SERVER_LOCKED = _SERVER.with_for_update()


async def get_server(tx: Transaction, server_id: str, *, lock: bool = False) -> Server | None:
    """`lock` keeps it unchanged until the transaction ends."""
    row = await tx.first(_SERVER_LOCKED if lock else _SERVER, {"id": server_id})
    return server_from_row(row) if row else None


async def replace_server(tx: Transaction, server: Server) -> None:
    await tx.execute(sa.update(servers).where(servers.c.id == server.id).values(**_columns(server)))


async def delete_server(tx: Transaction, server_id: str) -> None:
    await tx.execute(sa.delete(servers).where(servers.c.id == server_id))


async def list_with_machine(tx: Transaction) -> list[Server]:
    """Of every project, those that should have one; none that has a task, or waits for the end of a resize."""
    query = sa.select(servers).where(servers.c.vm_state.in_(WITH_MACHINE), servers.c.task_state.is_(None))
    return [server_from_row(row) for row in await tx.all(query)]


async def host_names_of_machines(tx: Transaction) -> dict[str, str]:
    """By id, of every server that has a machine, may have one, or is about to get one."""
    without = sa.and_(servers.c.vm_state.in_(WITHOUT_MACHINE), servers.c.task_state.is_(None))
    query = sa.select(servers).where(sa.not_(without))
    return {server.id: server.host_name for server in map(server_from_row, await tx.all(query))}


async def usage_of_project(tx: Transaction, project_id: str) -> tuple[int, int, int]:
    """How many servers, their processors and their MiB of memory."""
    sums = (sa.func.coalesce(sa.func.sum(column), 0) for column in (servers.c.vcpus, servers.c.ram_mib))
    row = await tx.first(sa.select(sa.func.count(), *sums).where(servers.c.project_id == project_id))
    return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)


async def put_host(tx: Transaction, host_id: str, memory_mib: int, now: datetime) -> None:
    values = {"memory_mib": memory_mib, "seen_at": now}
    changed = await tx.execute(sa.update(hosts).where(hosts.c.id == host_id).values(**values))
    if changed.rowcount == 0:
        await tx.execute(sa.insert(hosts).values(id=host_id, **values))


async def lock_host_memory(tx: Transaction, host_id: str) -> int | None:
    """The host's MiB of memory, and nobody else counts it until the transaction ends; None when no worker was there."""
    row = await tx.first(sa.select(hosts.c.memory_mib).where(hosts.c.id == host_id).with_for_update())
    return int(row[0]) if row else None


async def ram_of_machines(tx: Transaction) -> tuple[int, int]:
    """How many servers have a machine or are about to get one, and the MiB of memory of all of them.

    Of one that is being resized the larger of its two flavors counts: its old machine may still be there.
    """
    before = servers.c.resized_from
    has_machine = sa.or_(
        servers.c.vm_state.in_([VmState.BUILDING, *WITH_MACHINE]),
        servers.c.task_state.in_(_GETTING_MACHINE),
        sa.and_(servers.c.vm_state == VmState.RESIZED, before["vm_state"].as_string().in_(WITH_MACHINE)),
    )
    old_mib = before[("flavor", "ram_mib")].as_integer()
    is_resizing = sa.and_(servers.c.task_state.in_(_RESIZING), old_mib > servers.c.ram_mib)
    counted = sa.case((is_resizing, old_mib), else_=servers.c.ram_mib)
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(counted), 0)).where(has_machine)
    row = await tx.first(query)
    return (int(row[0]), int(row[1])) if row else (0, 0)


async def insert_keypair(tx: Transaction, keypair: Keypair) -> None:
    """Raises: KeypairExistsError, after which the transaction can only be given up."""
    values = {name: getattr(keypair, name) for name in keypair.__struct_fields__}
    try:
        await tx.execute(sa.insert(keypairs).values(**values))
    except sa.exc.IntegrityError:
        raise KeypairExistsError(f"Key pair '{keypair.name}' already exists.") from None


async def get_keypair(tx: Transaction, user_id: str, name: str) -> Keypair | None:
    row = await tx.first(sa.select(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name))
    return Keypair(**row._mapping) if row else None  # noqa: SLF001


async def list_keypairs(tx: Transaction, user_id: str) -> list[Keypair]:
    query = sa.select(keypairs).where(keypairs.c.user_id == user_id).order_by(keypairs.c.name)
    return [Keypair(**row._mapping) for row in await tx.all(query)]  # noqa: SLF001


async def delete_keypair(tx: Transaction, user_id: str, name: str) -> bool:
    deleted = await tx.execute(sa.delete(keypairs).where(keypairs.c.user_id == user_id, keypairs.c.name == name))
    return deleted.rowcount == 1
