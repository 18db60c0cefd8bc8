"""What is said to who may not do a thing: that what it would be done to is not there, unless the caller sees it.

Source: openstack/glance, `glance/api/v2/policy.py` (what is not visible is not found, whatever was to be done).
"""

from typing import Any

from stillframe.db import Transaction
from stillframe.errors import NotFoundError
from stillframe.identity.model import Caller
from stillframe.images import service as images
from stillframe.metadefs import service as metadefs


async def look(tx: Transaction, caller: Caller, parameters: dict[str, Any]) -> None:
    """A caller without a project, even an administrator of the system, sees nothing.

    Raises: ImageNotFoundError, DefinitionNotFoundError, NotFoundError.
    """
    if caller.project_id is None and parameters.keys() & {"image_id", "namespace"}:
        raise NotFoundError
    if "image_id" in parameters:
        await images.get_visible_image(tx, caller, parameters["image_id"])
    elif "namespace" in parameters:
        await metadefs.get_namespace(tx, caller, parameters["namespace"])
