"""Making a server: the checks in their order, the rows, the job that does the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, ServerQuotaExceededError, SnapshotStateError
from stillframe.flavors import service as flavors
from stillframe.flavors.model import Flavor
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.images.errors import ImageNotBootableError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Lane, NewJob, Service
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid, normalized_uuid
from stillframe.quotas import service as project_quotas
from stillframe.quotas.model import QuotaOf, fits
from stillframe.servers import keypairs, nics, rows, tag_rows
from stillframe.servers.birth_disks import check_disks, plan_disks
from stillframe.servers.hosts import require_host_memory
from stillframe.servers.model import DiskSource, NewServer, Server, ServerUsage, TaskState, VmState

CREATE_KIND = "server_create"
MAX_NAME_LENGTH = 255


async def create_servers(
    tx: Transaction, caller: Caller, settings: Settings, new: NewServer, least: int, most: int
) -> list[Server]:
    """As many alike as the project's quota permits, numbered by their names; all of them or none.

    Raises: as `create_server`; InvalidInputError for what only one server can have.
    """
    if most == 1:
        return [await create_server(tx, caller, settings, new)]
    _require_shareable(new)
    caller.require_writer()
    with as_invalid_input():
        flavor = await flavors.get_flavor(tx, new.flavor_id)
    count = await _count_that_fits(tx, settings, caller.require_project(), flavor, least, most)
    reservation_id = _new_reservation_id()
    names = (f"{new.name[: MAX_NAME_LENGTH - 1 - len(str(number))]}-{number}" for number in range(1, count + 1))
    return [
        await create_server(tx, caller, settings, replace(new, name=name), reservation_id=reservation_id)
        for name in names
    ]


def _require_shareable(new: NewServer) -> None:
    if any(nic.port_id or nic.fixed_ip for nic in new.nics or ()):
        raise InvalidInputError(
            "A port or an address can be given to one server only: max_count must be 1.", field="networks"
        )
    if DiskSource.VOLUME in {new.root_disk.source, *(disk.source for disk in new.data_disks)}:
        raise InvalidInputError(
            "A volume can be given to one server only: max_count must be 1.", field="block_device_mapping_v2"
        )


async def _count_that_fits(
    tx: Transaction, settings: Settings, project_id: str, flavor: Flavor, least: int, most: int
) -> int:
    """Raises: ServerQuotaExceededError when fewer than `least` do."""
    await identity.lock_project(tx, project_id)
    used = await get_usage(tx, settings, project_id)
    room = next((n for n in range(most) if not _has_room(used, n + 1, flavor)), most)
    if room < least:
        raise ServerQuotaExceededError(
            f"Quota exceeded for instances: Requested {least}, but there is room for {room} of this flavor"
        )
    return room


def _has_room(used: ServerUsage, count: int, flavor: Flavor) -> bool:
    return (
        fits(used.servers_limit, used.servers + count)
        and fits(used.cores_limit, used.cores + count * flavor.vcpus)
        and fits(used.ram_limit_mib, used.ram_mib + count * flavor.ram_mib)
    )


def _new_reservation_id() -> str:
    return f"r-{new_hex_id()[:8]}"


async def create_server(
    tx: Transaction, caller: Caller, settings: Settings, new: NewServer, *, reservation_id: str | None = None
) -> Server:
    """The server as `building`, with its disk planned and the job submitted that makes and starts its machine.

    Raises: InvalidInputError for whatever the request names that is not there or does not fit; ForbiddenError;
    ServerQuotaExceededError, VolumeQuotaExceededError, HostMemoryError; UnavailableError when no host is ready.
    Source: OpenStack Compute API, "Create Server".
    """
    caller.require_writer()
    project_id = caller.require_project()
    with as_invalid_input():
        flavor = await flavors.get_flavor(tx, new.flavor_id)
        disks = await check_disks(tx, caller, new, flavor)
    _require_zone(settings, new.availability_zone)
    await _require_room(tx, settings, project_id, flavor)
    await require_host_memory(tx, settings, flavor.ram_mib)
    with as_invalid_input():
        keypair = await keypairs.get_keypair(tx, caller, new.key_name) if new.key_name else None
    now = utcnow()
    server = Server(
        id=new_uuid(),
        project_id=project_id,
        user_id=caller.user_id,
        name=new.name,
        description=new.description,
        flavor=flavor,
        image_id=normalized_uuid(disks[0].image_metadata.get("image_id", "")) or "",
        cdrom_layer_id=disks[0].base.cdrom_layer_id,
        vm_state=VmState.BUILDING,
        task_state=TaskState.SCHEDULING,
        job_id=new_hex_id(),
        metadata=new.metadata,
        key_name=keypair.name if keypair else None,
        public_key=keypair.public_key if keypair else None,
        user_data=new.user_data,
        availability_zone=settings.availability_zone,
        config_drive=new.config_drive,
        reservation_id=reservation_id or _new_reservation_id(),
        created_at=now,
        updated_at=now,
    )
    await rows.insert_server(tx, server)
    await tag_rows.put_tags(tx, server.id, new.tags)
    with as_invalid_input():
        await nics.make_nics(tx, caller, server, new)
    planned = await plan_disks(tx, settings, server, disks)
    await jobs.submit_job(
        tx,
        NewJob(
            id=server.job_id,
            kind=CREATE_KIND,
            service=Service.ECS,
            lane=Lane.MACHINE,
            subject_id=server.id,
            project_id=server.project_id,
            user_id=server.user_id,
            args={"server_id": server.id, "disks": planned},
        ),
    )
    return server


@contextmanager
def as_invalid_input() -> Iterator[None]:
    """What a body names and what is not there makes the request wrong; only a path can lead nowhere."""
    try:
        yield
    except (NotFoundError, ImageNotBootableError, SnapshotStateError) as error:
        raise InvalidInputError(error.message, cause=error) from None


def _require_zone(settings: Settings, wanted: str | None) -> None:
    if wanted not in {None, "", settings.availability_zone}:
        raise InvalidInputError("The requested availability zone is not available", field="availability_zone")


async def _require_room(tx: Transaction, settings: Settings, project_id: str, flavor: Flavor) -> None:
    """Counted exactly: the project's row is locked meanwhile. Raises: ServerQuotaExceededError."""
    await _require_room_for(tx, settings, project_id, servers=1, cores=flavor.vcpus, ram_mib=flavor.ram_mib)


async def require_room_to_grow(
    tx: Transaction, settings: Settings, project_id: str, before: Flavor, after: Flavor
) -> None:
    """For a server that has a flavor and is to get another. Raises: ServerQuotaExceededError."""
    cores, ram_mib = after.vcpus - before.vcpus, after.ram_mib - before.ram_mib
    await _require_room_for(tx, settings, project_id, servers=0, cores=cores, ram_mib=ram_mib)


async def _require_room_for(
    tx: Transaction, settings: Settings, project_id: str, *, servers: int, cores: int, ram_mib: int
) -> None:
    await identity.lock_project(tx, project_id)
    used = await get_usage(tx, settings, project_id)
    for name, now, more, limit in (
        ("instances", used.servers, servers, used.servers_limit),
        ("cores", used.cores, cores, used.cores_limit),
        ("ram", used.ram_mib, ram_mib, used.ram_limit_mib),
    ):
        if more > 0 and not fits(limit, now + more):
            raise ServerQuotaExceededError(
                f"Quota exceeded for {name}: Requested {more}, but already used {now} of {limit} {name}"
            )


async def get_usage(tx: Transaction, settings: Settings, project_id: str) -> ServerUsage:
    """By what was set for the project, else by the settings."""
    count, cores, ram_mib = await rows.usage_of_project(tx, project_id)
    limits = await project_quotas.get_limits(tx, QuotaOf.SERVERS, project_id)
    return ServerUsage(
        servers=count,
        servers_limit=limits.get("instances", settings.server_quota),
        cores=cores,
        cores_limit=limits.get("cores", settings.cores_quota),
        ram_mib=ram_mib,
        ram_limit_mib=limits.get("ram", settings.ram_quota_mib),
    )
