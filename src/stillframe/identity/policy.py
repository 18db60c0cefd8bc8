"""Which role may do what: a reader looks, everybody else with a role in the project also changes.

Source: Open Telekom Cloud, IMS API reference, "Permissions Policies and Supported Actions".
"""

from stillframe.errors import ForbiddenError
from stillframe.identity.model import Caller

READING_ACTIONS = frozenset({"ims:images:list", "ims:images:get", "ims:quotas:get"})


def require_action(caller: Caller, action: str) -> None:
    """Raises: ForbiddenError when none of the caller's roles allows the action."""
    if not caller.roles or (caller.is_reader_only and action not in READING_ACTIONS):
        raise ForbiddenError(
            "The role is invalid. You need to apply for the required permissions or pass the real-name authentication."
        )
