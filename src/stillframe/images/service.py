"""What a caller can do with images. Uploading data is in upload.py, sharing in sharing.py."""

from msgspec.structs import replace

from stillframe.blobs.layout import DiskFormat
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ExportRunningError, InvalidInputError
from stillframe.guest.facts import PublicImage
from stillframe.identity.model import Caller
from stillframe.images import disk_rows, listing, quota, rows
from stillframe.images.disk_rows import ImageDisk
from stillframe.images.errors import (
    ActivationForbiddenError,
    ForeignImageDeletionError,
    FormatChangeForbiddenError,
    ImageBusyError,
    ImageIdTakenError,
    ImageNotBootableError,
    ImageNotFoundError,
    ImageProtectedError,
    OwnerChangeForbiddenError,
    PublicImageDeletionError,
    PublishingForbiddenError,
    TagNotFoundError,
    TooManyError,
)
from stillframe.images.model import (
    IMPORT_TASK_PROPERTY,
    MAX_PROPERTIES,
    MAX_TAGS,
    SERVICE_PROPERTIES,
    Image,
    ImageKind,
    ImageStatus,
    OsInfo,
    Usage,
    Visibility,
)
from stillframe.images.queries import WHOLE_SCOPES, ImageQuery
from stillframe.images.visibility import is_owner, is_visible_without_asking, require_may_change
from stillframe.jobs import service as jobs
from stillframe.kit.clock import utcnow
from stillframe.kit.ids import is_uuid, new_uuid
from stillframe.layers import service as layers
from stillframe.layers.model import Layer

SYSTEM_PROJECT_ID = "0" * 32
"""Owns the public images that come with the service; nobody is a member of it."""

EXPORT_KIND, REGISTER_KIND = "image_export", "obs_register"
"""Jobs of another room which read or write an image's data; it cannot be deleted meanwhile."""


async def get_visible_image(tx: Transaction, caller: Caller, image_id: str, *, lock: bool = False) -> Image:
    """`image_id` may be any text, a UUID in any case. `lock` keeps the image unchanged until the transaction ends.

    Raises: ImageNotFoundError, also for an image the caller may not see; ForbiddenError for a caller without a project.
    """
    caller.require_project()
    wanted_id = image_id.lower()
    image = await rows.get_image(tx, wanted_id, lock=lock) if is_uuid(wanted_id) else None
    if image is None or not await _is_visible(tx, caller, image):
        raise ImageNotFoundError.of(image_id)
    return image


async def _is_visible(tx: Transaction, caller: Caller, image: Image) -> bool:
    if is_visible_without_asking(caller, image):
        return True
    if image.visibility is not Visibility.SHARED or caller.project_id is None:
        return False
    return await rows.get_member(tx, image.id, caller.project_id) is not None


async def get_image(tx: Transaction, image_id: str) -> Image:
    """For jobs, which act for nobody. Raises: ImageNotFoundError."""
    image = await rows.get_image(tx, image_id)
    if image is None:
        raise ImageNotFoundError.of(image_id)
    return image


async def is_registered(tx: Transaction, image_id: str) -> bool:
    """Whether there is or was an image with that id."""
    return await rows.is_image_id_taken(tx, image_id)


async def get_own_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """The image, locked, for a caller who may change it.

    Raises: ImageNotFoundError; NotImageOwnerError when visible but another's; ForbiddenError for a reader.
    """
    image = await get_visible_image(tx, caller, image_id, lock=True)
    require_may_change(caller, image)
    return image


async def get_bootable_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """An image a server's disk can be made from: `layer_id` is set, and its content is qcow2, raw or an ISO.

    Raises: ImageNotFoundError, ImageNotBootableError.
    """
    image = await get_disk_image(tx, caller, image_id)
    if image.kind is ImageKind.DATA:
        raise ImageNotBootableError("A data disk image holds no operating system.")
    return image


async def get_disk_image(tx: Transaction, caller: Caller, image_id: str) -> Image:
    """An image any disk can be made from, a data disk image too: `layer_id` is set.

    Raises: ImageNotFoundError, ImageNotBootableError.
    """
    image = await get_visible_image(tx, caller, image_id)
    if image.status is not ImageStatus.ACTIVE or image.layer_id is None:
        raise ImageNotBootableError(f"Image {image.id} is not active.")
    if image.disk_format not in set(DiskFormat):
        raise ImageNotBootableError(f"A disk cannot be made from the format {image.disk_format}.")
    if image.virtual_size_bytes is None:
        raise ImageNotBootableError(f"Image {image.id} is empty.")
    return image


async def list_data_disks(tx: Transaction, image: Image) -> list[ImageDisk]:
    """Those of a full-ECS image, in the order of their places; any other has none."""
    return await disk_rows.list_disks(tx, image.id) if image.is_whole else []


async def list_images(tx: Transaction, caller: Caller, query: ImageQuery) -> list[Image]:
    """One page, in order.

    Raises: InvalidInputError when the marker is no image that the caller sees.
    """
    if WHOLE_SCOPES & query.scopes and not caller.is_platform_admin:
        raise InvalidInputError("Only an administrator of the platform can list every image.")
    after = None if query.marker is None else await _marked_image(tx, caller, query.marker)
    return await listing.list_images(tx, caller.require_project(), query, after)


async def _marked_image(tx: Transaction, caller: Caller, marker: str) -> Image:
    try:
        return await get_visible_image(tx, caller, marker)
    except ImageNotFoundError:
        raise InvalidInputError(f"The marker {marker[:255]} is not an image.", field="marker") from None


def new_image(caller: Caller) -> Image:
    """An image without data that belongs to the caller; to be filled in and given to `create_image`."""
    now = utcnow()
    return Image(
        id=new_uuid(),
        project_id=caller.require_project(),
        name=None,
        status=ImageStatus.QUEUED,
        created_at=now,
        updated_at=now,
    )


async def create_image(tx: Transaction, caller: Caller, settings: Settings, image: Image) -> Image:
    """Stores the description of an image whose data comes later.

    Raises: ForbiddenError and its children for what the caller may not set, ImageIdTakenError,
    ImageQuotaExceededError, TooManyError.
    """
    caller.require_writer()
    if image.project_id != caller.require_project() and not caller.is_platform_admin:
        raise OwnerChangeForbiddenError
    _require_may_publish(caller, image)
    _require_sane_counts(image)
    if await rows.is_image_id_taken(tx, image.id):
        raise ImageIdTakenError(f"Image ID {image.id} already exists!")
    # Who makes an image for somebody else is an administrator, and the owner need not even be a project of ours.
    if image.visibility is not Visibility.PUBLIC and image.project_id == caller.project_id:
        await quota.require_room_for_image(tx, image.project_id, settings)
    await rows.insert_image(tx, image)
    return image


async def register_public_image(tx: Transaction, image_id: str, about: PublicImage, *, layer: Layer) -> Image:
    """An image of the system's, visible to everybody; its sealed layer is there already. Safe to repeat."""
    known = await rows.get_image(tx, image_id)
    if known is not None:
        return known
    now = utcnow()
    image = Image(
        id=image_id,
        project_id=SYSTEM_PROJECT_ID,
        name=about.name,
        status=ImageStatus.ACTIVE,
        visibility=Visibility.PUBLIC,
        protected=True,
        disk_format=layer.disk_format,
        container_format="bare",
        size_bytes=layer.stored_bytes,
        virtual_size_bytes=layer.virtual_size_bytes,
        checksum=layer.md5,
        os_hash_value=layer.sha512,
        layer_id=layer.id,
        min_disk_gib=about.min_disk_gib,
        min_ram_mib=about.min_ram_mib,
        os=OsInfo(os_type=about.os_type, version=about.os_version, platform=about.platform, bits=about.os_bits),
        description=about.description,
        firmware=about.firmware,
        architecture=about.architecture,
        properties={"__support_kvm": "true"},
        created_at=now,
        updated_at=now,
    )
    await rows.insert_image(tx, image)
    return image


async def update_image(tx: Transaction, caller: Caller, before: Image, after: Image) -> Image:
    """Replaces `before`, which `get_own_image` gave in the same transaction, by `after`.

    Raises: ForbiddenError and its children for what the caller may not change, TooManyError.
    """
    require_may_change(caller, before)
    if after.project_id != before.project_id and not caller.is_platform_admin:
        raise OwnerChangeForbiddenError
    if after.visibility is not before.visibility:
        _require_may_publish(caller, after)
    formats_differ = (after.disk_format, after.container_format) != (before.disk_format, before.container_format)
    if formats_differ and before.status is not ImageStatus.QUEUED:
        raise FormatChangeForbiddenError
    _require_sane_counts(after)
    changed = replace(after, updated_at=utcnow())
    await rows.replace_image(tx, changed)
    return changed


def _require_may_publish(caller: Caller, image: Image) -> None:
    if image.visibility is Visibility.PUBLIC and not caller.is_platform_admin:
        raise PublishingForbiddenError


def _require_sane_counts(image: Image) -> None:
    if sum(not name.startswith(SERVICE_PROPERTIES) for name in image.properties) > MAX_PROPERTIES:
        raise TooManyError(f"An image can have at most {MAX_PROPERTIES} properties.")
    if len(image.tags) > MAX_TAGS:
        raise TooManyError(f"An image can have at most {MAX_TAGS} tags.")


async def delete_image(tx: Transaction, caller: Caller, image_id: str) -> None:
    """Leaves a tombstone; the data goes when nobody uses it any more.

    Raises: ImageNotFoundError, PublicImageDeletionError, ForeignImageDeletionError, ImageProtectedError,
    ImageBusyError, ExportRunningError.
    """
    caller.require_writer()
    image = await get_visible_image(tx, caller, image_id, lock=True)
    _require_may_delete(caller, image)
    if _is_being_made(image):
        raise ImageBusyError
    if await jobs.has_live_job(tx, image.id, EXPORT_KIND):
        raise ExportRunningError
    if await jobs.has_live_job(tx, image.id, REGISTER_KIND):
        raise ImageBusyError
    if image.status is ImageStatus.IMPORTING:
        await jobs.stop_job(tx, image.properties.get(IMPORT_TASK_PROPERTY, ""))
    await bury(tx, image)


async def bury(tx: Transaction, image: Image) -> None:
    """For jobs and after all checks: the image becomes a tombstone, and its data goes with its last user."""
    now = utcnow()
    buried = replace(image, status=ImageStatus.DELETED, layer_id=None, updated_at=now, deleted_at=now)
    await rows.bury_image(tx, buried)
    disks = await disk_rows.list_disks(tx, image.id) if image.is_whole else []
    await disk_rows.delete_disks(tx, image.id)
    for layer_id in (image.layer_id, *(disk.layer_id for disk in disks)):
        await layers.release(tx, layer_id)


def _require_may_delete(caller: Caller, image: Image) -> None:
    if not is_owner(caller, image) and not caller.is_platform_admin:
        raise PublicImageDeletionError if image.visibility is Visibility.PUBLIC else ForeignImageDeletionError
    if image.protected:
        raise ImageProtectedError


def _is_being_made(image: Image) -> bool:
    """By a job; an upload may lose its image at any time."""
    return bool(image.origin) and image.status in {ImageStatus.QUEUED, ImageStatus.SAVING}


async def add_tag(tx: Transaction, caller: Caller, image_id: str, tag: str) -> None:
    """Safe to repeat. Raises: as `get_own_image`, TooManyError."""
    image = await get_own_image(tx, caller, image_id)
    if tag not in image.tags:
        await update_image(tx, caller, image, replace(image, tags=tuple(sorted({*image.tags, tag}))))


async def remove_tag(tx: Transaction, caller: Caller, image_id: str, tag: str) -> None:
    """Raises: as `get_own_image`, TagNotFoundError."""
    image = await get_own_image(tx, caller, image_id)
    if tag not in image.tags:
        raise TagNotFoundError(f"Image {image.id} does not have the tag {tag[:255]}.")
    await update_image(tx, caller, image, replace(image, tags=tuple(one for one in image.tags if one != tag)))


async def set_active(tx: Transaction, caller: Caller, image_id: str, *, active: bool) -> None:
    """Deactivates or reactivates an image; the data of a deactivated one is given to nobody. Safe to repeat.

    Raises: as `get_own_image`, ActivationForbiddenError.
    """
    image = await get_own_image(tx, caller, image_id)
    if image.status not in {ImageStatus.ACTIVE, ImageStatus.DEACTIVATED}:
        raise ActivationForbiddenError(f"An image that is {image.status} cannot be activated or deactivated.")
    wanted = ImageStatus.ACTIVE if active else ImageStatus.DEACTIVATED
    if image.status is not wanted:
        await rows.update_image_columns(tx, image.id, status=wanted, updated_at=utcnow())


async def usage_of_project(tx: Transaction, caller: Caller) -> Usage:
    return await rows.usage_of_project(tx, caller.require_project())
