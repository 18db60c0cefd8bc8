"""How Cinder spells our errors: as Nova does, but for a few statuses.

Source: OpenStack Block Storage API v3 reference, "Delete a volume", "Create a volume".
"""

from stillframe import errors as e
from stillframe.api.compute_v2.errors import STATUSES, make_exception_handlers
from stillframe.images.errors import ImageNotBootableError, ImageNotFoundError

_OWN = {
    e.SnapshotStateError: 400,
    ImageNotBootableError: 400,
    ImageNotFoundError: 400,
    e.LimitExceededError: 413,
}

exception_handlers = make_exception_handlers(STATUSES | _OWN)
