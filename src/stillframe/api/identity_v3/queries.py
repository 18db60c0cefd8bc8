"""Queries of lists: filters with Keystone's comparators, order, and both ways of asking for a page.

Source: OpenStack Identity API v3, "List users" and others; Open Telekom Cloud for `page` and `per_page`.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from litestar import Request

from stillframe.api.identity_v3.errors import path_url
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Filter, ListQuery

AnyRequest = Request[Any, Any, Any]

MAX_PER_PAGE = 5000
MAX_PAGE = 1_000_000
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_COMPARATORS = ("contains", "startswith", "endswith")


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """Keystone's reading of a boolean filter; None when it is absent (clients also spell that "None")."""
    text = query.get(name)
    return None if text is None or text == "None" else text.lower() not in _FALSE


def is_asked(query: Mapping[str, str], name: str) -> bool:
    """Keystone's reading of a switch: everything but 0 turns it on, no value too."""
    return name in query and query[name] != "0"


def list_query(query: Mapping[str, str], *names: str) -> ListQuery:
    """Filters on `names` (unknown ones are ignored), the order and the page. Raises: InvalidInputError."""
    filters = tuple(_filters(query, names))
    sort_key, sort_dir = query.get("sort_key"), query.get("sort_dir", "asc")
    if sort_dir not in ("asc", "desc"):
        raise InvalidInputError("sort_dir is asc or desc.", field="sort_dir")
    found = ListQuery(filters=filters, sort_key=sort_key if sort_key in names else None, descending=sort_dir == "desc")
    if "per_page" in query:
        per_page = _whole_number(query, "per_page", MAX_PER_PAGE)
        return found._replace(limit=per_page, offset=(_whole_number(query, "page", MAX_PAGE) - 1) * per_page)
    limit = _whole_number(query, "limit", MAX_PER_PAGE) if query.get("limit") else None
    return found._replace(limit=limit, marker=query.get("marker") or None)


def _filters(query: Mapping[str, str], names: tuple[str, ...]) -> Iterator[Filter]:
    for key, value in query.items():
        name, _, comparator = key.partition("__")
        if name not in names or value == "None":
            continue
        if not comparator:
            yield Filter(name, value)
        elif comparator.removeprefix("i") in _COMPARATORS and comparator not in _COMPARATORS:
            yield Filter(name, value, comparator.removeprefix("i"), ignore_case=True)
        elif comparator in _COMPARATORS:
            yield Filter(name, value, comparator)


def _whole_number(query: Mapping[str, str], name: str, largest: int) -> int:
    text = query.get(name, "1")
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= largest):
        raise InvalidInputError(f"Request parameter {name} is invalid.", field=name)
    return int(text)


def collection(request: AnyRequest, name: str, entries: list[dict[str, Any]], query: ListQuery) -> dict[str, Any]:
    """A list with its links; a full page has a next one."""
    here = path_url(request)
    following = None
    if query.limit is not None and not query.offset and len(entries) == query.limit:
        following = urlencode({**request.query_params.dict(), "marker": entries[-1]["id"]}, doseq=True)
    asked = request.scope["query_string"].decode("latin-1")
    links = {
        "self": f"{here}?{asked}" if asked else here,
        "next": f"{here}?{following}" if following else None,
        "previous": None,
    }
    return {name: entries, "links": links}
