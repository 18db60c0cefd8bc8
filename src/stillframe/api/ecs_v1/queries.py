"""The query string of ECS's list of servers. What is not known is ignored.

Source: Open Telekom Cloud, ECS API reference, "Listing Details About ECSs".
"""

from stillframe.api import enterprise_projects
from stillframe.api.compute_v2.queries import like_pattern, parsed_count, tag_list
from stillframe.errors import InvalidInputError
from stillframe.servers.listing import ServerQuery
from stillframe.servers.model import ServerStatus
from stillframe.servers.tag_rows import TagFilter

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
MAX_PAGE = 10**9

_MEANWHILE = {
    "ACTIVE": ("ACTIVE", "REBOOT", "HARD_REBOOT", "REBUILD", "MIGRATING", "RESIZE"),
    "SHUTOFF": ("SHUTOFF", "RESIZE", "REBUILD"),
    "ERROR": ("ERROR", "REBUILD"),
    "VERIFY_RESIZE": ("VERIFY_RESIZE", "REVERT_RESIZE"),
}
"""Asking for one status also finds the servers that are on the way from it, or to it."""
_KNOWN = {str(status): status for status in ServerStatus}


def server_query(pairs: list[tuple[str, str]]) -> ServerQuery | None:
    """None when nothing can match. Raises: InvalidInputError."""
    given = {name: text for name, text in pairs if text}
    statuses = _statuses(given.get("status"))
    reservation = given.get("reservation_id", "r-")
    if statuses == () or not reservation.startswith("r-"):
        return None
    if not enterprise_projects.holds_everything(given.get("enterprise_project_id")):
        return None
    limit = parsed_count("limit", given.get("limit", str(DEFAULT_LIMIT)))
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInputError(f"limit must be between 1 and {MAX_LIMIT}.", field="limit")
    page = max(1, min(MAX_PAGE, parsed_count("offset", given.get("offset", "1"))))
    return ServerQuery(
        name_pattern=like_pattern(given["name"]) if "name" in given else None,
        statuses=statuses,
        flavor_id=given.get("flavor"),
        server_id=given.get("server_id"),
        address_pattern=given.get("ip"),
        id_prefix=reservation.removeprefix("r-"),
        tags=TagFilter(all_of=tag_list(given.get("tags")), none_of=tag_list(given.get("not-tags"))),
        limit=limit,
        offset=(page - 1) * limit,
    )


def _statuses(text: str | None) -> tuple[ServerStatus, ...] | None:
    """None for any, empty for one that no server can have."""
    if text is None:
        return None
    names = _MEANWHILE.get(text.upper(), (text.upper(),))
    return tuple(_KNOWN[name] for name in names if name in _KNOWN)
