"""What a caller can ask about networks."""

from collections.abc import Sequence

from stillframe.errors import NetworkNotFoundError
from stillframe.identity.model import Caller
from stillframe.networks.model import SECURITY_GROUP_NAME, Network, network_of


def get_network(caller: Caller) -> Network:
    """The network of the caller's project. Raises: ForbiddenError when the request is for no project."""
    return network_of(caller.require_project())


def require_network(caller: Caller, network_id: str) -> None:
    """Raises: NetworkNotFoundError for every network but the caller's own."""
    if network_id != get_network(caller).id:
        raise NetworkNotFoundError(f"Network {network_id[:255]} could not be found.")


def require_security_groups(caller: Caller, names: Sequence[str]) -> None:
    """`names` may also be ids. Raises: NetworkNotFoundError for any but the one there is."""
    known = {SECURITY_GROUP_NAME, get_network(caller).security_group_id}
    for name in names:
        if name not in known:
            raise NetworkNotFoundError(f"Security group {name[:255]} not found for project {caller.project_id}.")
