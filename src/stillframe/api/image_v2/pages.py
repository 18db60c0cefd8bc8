"""Glance's rules of paging and sorting, and the links from page to page."""

from collections.abc import Iterable
from urllib.parse import urlencode

from stillframe.api.image_v2.filters import QueryParts, read_sort
from stillframe.api.image_v2.kinds import checked_text, parsed_bool, parsed_int
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.images.queries import ImageQuery, Sort

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
_MAX_SORT_KEYS = 8
_NO_FILTERS = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "os_hidden"})

Pairs = list[tuple[str, str]]


def glance_query(given: Pairs, caller: Caller) -> ImageQuery:
    """An administrator of the platform is shown every project's images, as Glance does.

    Raises: InvalidInputError.
    """
    single = dict(given)
    if "changes-since" in single:
        raise InvalidInputError("'changes-since' is not supported.")
    parts = QueryParts(caller, sees_all=caller.is_platform_admin)
    for name, text in given:
        if name not in _NO_FILTERS and (name, text) != ("protected", "None"):
            parts.add(name, text)
    parts.restrict("os_hidden", (parsed_bool("os_hidden", single.get("os_hidden", "false")),))
    marker = single.get("marker")
    return parts.build(
        limit=page_limit(single.get("limit")),
        marker=None if marker is None else checked_text("marker", marker),
        sorts=_sorts(given),
    )


def page_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    limit = parsed_int("limit", text)
    if limit < 0:
        raise InvalidInputError("'limit' must not be negative.", field="limit")
    return min(limit, MAX_LIMIT)


def _sorts(given: Pairs) -> tuple[Sort, ...]:
    """`sort=name:asc,size`, or any number of sort_key with one sort_dir for all or one for each."""
    together = [part for name, text in given if name == "sort" for part in text.split(",")]
    keys = [text for name, text in given if name == "sort_key"]
    directions = [text for name, text in given if name == "sort_dir"]
    if together and (keys or directions):
        raise InvalidInputError("Old and new sorting syntax cannot be combined.")
    if len(directions) > 1 and len(directions) != len(keys):
        raise InvalidInputError("The numbers of sort keys and of directions do not match.")
    if together:
        pairs = [(key, direction or "desc") for key, _, direction in (part.partition(":") for part in together)]
    elif len(directions) > 1:
        pairs = list(zip(keys, directions, strict=True))
    else:
        only = directions[0] if directions else "desc"
        pairs = [(key, only) for key in keys or (["created_at"] if directions else [])]
    if len(pairs) > _MAX_SORT_KEYS:
        raise InvalidInputError(f"At most {_MAX_SORT_KEYS} sort keys are possible.")
    return tuple(read_sort(key.strip(), direction.strip()) for key, direction in pairs)


def page_links(path: str, parameters: Iterable[tuple[str, str]], last_id: str | None) -> dict[str, str]:
    """`first`, and `next` when the page was full; `last_id` is then the id of its last image."""
    kept = [(name, text) for name, text in parameters if name != "marker"]
    links = {"first": _link(path, kept)}
    if last_id is not None:
        links["next"] = _link(path, [*kept, ("marker", last_id)])
    return links


def _link(path: str, parameters: Pairs) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path
