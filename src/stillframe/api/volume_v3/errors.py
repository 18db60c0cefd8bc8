"""How Cinder spells our errors: as Nova does, but for two statuses.

Source: OpenStack Block Storage API v3 reference, "Delete a volume", "Create a volume".
"""

from stillframe import errors as e
from stillframe.api.compute_v2.errors import STATUSES, make_exception_handlers

exception_handlers = make_exception_handlers(STATUSES | {e.VolumeStateError: 400, e.LimitExceededError: 413})
