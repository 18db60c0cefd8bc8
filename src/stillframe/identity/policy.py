"""Which role may do what.

Source: OpenStack Keystone, default policies; Open Telekom Cloud, IMS API reference, "Permissions Policies and
Supported Actions".
"""

from stillframe.errors import ForbiddenError, NotFoundError
from stillframe.identity.model import Caller

READING_ACTIONS = frozenset({"ims:images:list", "ims:images:get", "ims:quotas:get"})


def require_action(caller: Caller, action: str) -> None:
    """Raises: ForbiddenError when none of the caller's roles allows the action."""
    if not caller.roles or (caller.is_reader_only and action not in READING_ACTIONS):
        raise ForbiddenError(
            "The role is invalid. You need to apply for the required permissions or pass the real-name authentication."
        )


def refusal(action: str) -> ForbiddenError:
    return ForbiddenError(f"You are not authorized to perform the requested action: identity:{action}.")


def require_platform_admin(caller: Caller, action: str) -> None:
    """Raises: ForbiddenError."""
    if not caller.is_platform_admin:
        raise refusal(action)


def require_domain_admin(caller: Caller, domain_id: str | None, action: str) -> None:
    """For what lies in the domain; what lies in none is the platform's. Raises: ForbiddenError."""
    if not caller.administers(domain_id):
        raise refusal(action)


def missing(
    caller: Caller, what: str, an_id: str, action: str, *, to_all: bool = False
) -> ForbiddenError | NotFoundError:
    """Why something that is not there is refused: only who could see it anywhere learns that it is not there."""
    if caller.is_platform_admin or to_all:
        return NotFoundError(f"Could not find {what}: {an_id}.")
    return refusal(action)
