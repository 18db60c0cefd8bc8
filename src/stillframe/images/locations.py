"""Locations of images' data in stores: there is one store, which nobody adds data to but by upload and import.

Source: openstack/glance glance/api/v2/images.py (delete_from_store, add_location, get_locations),
glance/policies/image.py.
"""

from pathlib import Path

from stillframe.blobs.layout import DataLayout
from stillframe.db import Transaction
from stillframe.errors import ForbiddenError
from stillframe.identity.model import Caller
from stillframe.images import service, stores
from stillframe.images.errors import ImportConflictError
from stillframe.images.model import ImageStatus
from stillframe.images.visibility import require_may_change
from stillframe.layers import service as layers

SERVICE_ROLE = "service"
"""Not there from the start; an administrator makes it for services that want it."""


def require_platform_admin(caller: Caller) -> None:
    """Raises: ForbiddenError."""
    if not caller.is_platform_admin:
        raise ForbiddenError


async def delete_from_store(tx: Transaction, caller: Caller, store_id: str, image_id: str) -> None:
    """Always refused, for the only store is the last one of every image.

    Raises: StoreNotFoundError, ImageNotFoundError, ForbiddenError, ImportConflictError for an image without data.
    """
    stores.require_known([store_id])
    image = await service.get_visible_image(tx, caller, image_id)
    require_platform_admin(caller)
    if image.status is not ImageStatus.ACTIVE:
        raise ImportConflictError("Only the data of an image whose status is active can be removed from a store.")
    raise ForbiddenError("The data is in no other store. Delete the image instead.")


async def add_location(tx: Transaction, caller: Caller, image_id: str) -> None:
    """Always refused: data that stays elsewhere could change or vanish under the image.

    Raises: ImageNotFoundError, ImportConflictError when the image has data, ForbiddenError.
    """
    image = await service.get_visible_image(tx, caller, image_id)
    if image.status is not ImageStatus.QUEUED:
        raise ImportConflictError(f"A location cannot be added to an image whose status is {image.status}.")
    require_may_change(caller, image)
    raise ForbiddenError("http store must be enabled to use location API by normal user.")


async def list_locations(tx: Transaction, caller: Caller, layout: DataLayout, image_id: str) -> list[Path]:
    """Where the data is on the disk, for other services and administrators of the platform. A captured image has a file
    of its own when it is flattened.

    Raises: ImageNotFoundError, ForbiddenError.
    """
    image = await service.get_visible_image(tx, caller, image_id)
    if SERVICE_ROLE not in caller.roles and not caller.is_platform_admin:
        raise ForbiddenError("Only services and administrators may read the locations of images.")
    if image.layer_id is None or image.os_hash_value is None:
        return []
    return [layers.link(layout, await layers.get_layer(tx, image.layer_id)).path]
