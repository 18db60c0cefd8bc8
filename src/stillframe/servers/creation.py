"""Making a server from an image: the checks in their order, the rows, the job that does the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError, ServerQuotaExceededError
from stillframe.flavors import service as flavors
from stillframe.flavors.model import Flavor
from stillframe.identity import service as identity
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.images.errors import ImageNotBootableError
from stillframe.images.model import Image
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Lane, NewJob, Service
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import new_hex_id, new_uuid
from stillframe.kit.units import GIB, bytes_to_gib_up
from stillframe.layers import service as layers
from stillframe.servers import keypairs, nics, rows
from stillframe.servers.hosts import require_host_memory
from stillframe.servers.model import NewServer, RootDisk, Server, ServerUsage, TaskState, VmState
from stillframe.volumes import service as volumes
from stillframe.volumes.model import DEFAULT_VOLUME_TYPE, VOLUME_TYPES, NewSystemDisk

CREATE_KIND = "server_create"
MAX_ROOT_DISK_GIB = 1024


async def create_server(tx: Transaction, caller: Caller, settings: Settings, new: NewServer) -> Server:
    """The server as `building`, with its disk planned and the job submitted that makes and starts its machine.

    Raises: InvalidInputError for whatever the request names that is not there or does not fit; ForbiddenError;
    ServerQuotaExceededError, VolumeQuotaExceededError, HostMemoryError; UnavailableError when no host is ready.
    Source: OpenStack Compute API, "Create Server".
    """
    caller.require_writer()
    project_id = caller.require_project()
    with _as_invalid_input():
        flavor = await flavors.get_flavor(tx, new.flavor_id)
        image = await images.get_bootable_image(tx, caller, new.image_id)
        size_bytes = _root_size_bytes(new.root_disk, image, flavor)
    _require_zone(settings, new.availability_zone)
    await _require_room(tx, settings, project_id, flavor)
    await require_host_memory(tx, settings, flavor.ram_mib)
    with _as_invalid_input():
        keypair = await keypairs.get_keypair(tx, caller, new.key_name) if new.key_name else None
    now = utcnow()
    server = Server(
        id=new_uuid(),
        project_id=project_id,
        user_id=caller.user_id,
        name=new.name,
        description=new.description,
        flavor=flavor,
        image_id=image.id,
        vm_state=VmState.BUILDING,
        task_state=TaskState.SCHEDULING,
        job_id=new_hex_id(),
        metadata=new.metadata,
        tags=new.tags,
        key_name=keypair.name if keypair else None,
        public_key=keypair.public_key if keypair else None,
        user_data=new.user_data,
        availability_zone=settings.availability_zone,
        created_at=now,
        updated_at=now,
    )
    await rows.insert_server(tx, server)
    with _as_invalid_input():
        await nics.make_nics(tx, caller, server, new)
    await _plan_disk_and_job(tx, settings, server, image, size_bytes, new.root_disk)
    return server


@contextmanager
def _as_invalid_input() -> Iterator[None]:
    """What a body names and what is not there makes the request wrong; only a path can lead nowhere."""
    try:
        yield
    except (NotFoundError, ImageNotBootableError) as error:
        raise InvalidInputError(error.message, cause=error) from None


def _root_size_bytes(wanted: RootDisk, image: Image, flavor: Flavor) -> int:
    """Raises: InvalidInputError when the image does not fit the disk or the flavor."""
    if image.min_ram_mib > flavor.ram_mib:
        raise InvalidInputError(
            f"Flavor's memory is too small for requested image: {image.min_ram_mib} MiB are needed.", field="flavorRef"
        )
    least_gib = max(1, image.min_disk_gib, bytes_to_gib_up(image.virtual_size_bytes or 0))
    size_gib = least_gib if wanted.size_gib is None else wanted.size_gib
    if size_gib < least_gib:
        raise InvalidInputError(
            f"Volume is smaller than the minimum size specified in image metadata: {size_gib} GiB are asked for, "
            f"{least_gib} GiB are needed.",
            field="volume_size",
        )
    if size_gib > MAX_ROOT_DISK_GIB:
        raise InvalidInputError(f"A system disk has at most {MAX_ROOT_DISK_GIB} GiB.", field="volume_size")
    if wanted.volume_type is not None and wanted.volume_type not in VOLUME_TYPES:
        raise InvalidInputError(f"Volume type {wanted.volume_type[:255]} could not be found.", field="volume_type")
    return size_gib * GIB


def _require_zone(settings: Settings, wanted: str | None) -> None:
    if wanted not in {None, "", settings.availability_zone}:
        raise InvalidInputError("The requested availability zone is not available", field="availability_zone")


async def _require_room(tx: Transaction, settings: Settings, project_id: str, flavor: Flavor) -> None:
    """Counted exactly: the project's row is locked meanwhile. Raises: ServerQuotaExceededError."""
    await identity.lock_project(tx, project_id)
    used = await get_usage(tx, settings, project_id)
    for name, now, more, limit in (
        ("instances", used.servers, 1, used.servers_limit),
        ("cores", used.cores, flavor.vcpus, used.cores_limit),
        ("ram", used.ram_mib, flavor.ram_mib, used.ram_limit_mib),
    ):
        if now + more > limit:
            raise ServerQuotaExceededError(
                f"Quota exceeded for {name}: Requested {more}, but already used {now} of {limit} {name}"
            )


async def get_usage(tx: Transaction, settings: Settings, project_id: str) -> ServerUsage:
    count, cores, ram_mib = await rows.usage_of_project(tx, project_id)
    return ServerUsage(
        servers=count,
        servers_limit=settings.server_quota,
        cores=cores,
        cores_limit=settings.cores_quota,
        ram_mib=ram_mib,
        ram_limit_mib=settings.ram_quota_mib,
    )


async def _plan_disk_and_job(
    tx: Transaction, settings: Settings, server: Server, image: Image, size_bytes: int, root: RootDisk
) -> None:
    """The layer is noted with the request, so that its parent stays even if the image is deleted the next moment."""
    if image.layer_id is None or server.job_id is None:
        raise InvalidInputError(f"Image {image.id} is not active.")
    layer_id = new_uuid()
    await layers.plan_overlay(tx, layer_id, image.layer_id, size_bytes, job_id=server.job_id)
    volume = await volumes.create_system_disk(
        tx,
        settings,
        NewSystemDisk(
            project_id=server.project_id,
            user_id=server.user_id,
            server_id=server.id,
            size_bytes=size_bytes,
            volume_type=root.volume_type or DEFAULT_VOLUME_TYPE,
            availability_zone=server.availability_zone,
            layer_id=layer_id,
            image_metadata=_image_metadata(image),
            delete_on_termination=root.delete_on_termination,
        ),
    )
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
            args={"server_id": server.id, "volume_id": volume.id, "layer_id": layer_id},
        ),
    )


def _image_metadata(image: Image) -> dict[str, str]:
    """What a volume keeps of its image, all of it text, by the names it has on the wire."""
    known = {
        "image_id": image.id,
        "image_name": image.name or "",
        "container_format": image.container_format or "",
        "disk_format": image.disk_format or "",
        "min_disk": str(image.min_disk_gib),
        "min_ram": str(image.min_ram_mib),
        "size": str(image.size_bytes or 0),
        "checksum": image.checksum or "",
        "__os_type": image.os.os_type,
        "__os_version": image.os.version,
        "__platform": image.os.platform,
        "__os_bit": image.os.bits,
        "hw_firmware_type": image.firmware,
        "virtual_env_type": str(image.kind),
    }
    return image.properties | known
