"""The query strings of Nova's lists. What is not known is ignored, as Nova does.

Source: OpenStack Compute API reference, "List Servers Detailed".
"""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar import Request

from stillframe.errors import InvalidInputError
from stillframe.servers.listing import NEWEST_FIRST, ServerQuery, Sort, SortKey
from stillframe.servers.model import ServerStatus
from stillframe.servers.tag_rows import TagFilter

MAX_LIMIT = 1000
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_SORT_KEYS = {str(key): key for key in SortKey} | {
    "display_name": SortKey.NAME,
    "uuid": SortKey.ID,
    "instance_type_id": SortKey.FLAVOR_ID,
    "image_ref": SortKey.IMAGE_ID,
}
_REGEX_TOKEN = re.compile(r"\\(?P<escaped>.)|(?P<any>\.[*+]?)|(?P<plain>.)", re.DOTALL)


def query_pairs(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """In their order. Raises: InvalidInputError for texts that no database could hold."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:  # too many fields, or bytes that are no UTF-8
        raise InvalidInputError("The query string cannot be read.") from None
    if any("\x00" in text for pair in pairs for text in pair):
        raise InvalidInputError("The query string holds a NUL character.")
    return pairs


def is_true(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _TRUE


def parsed_limit(text: str | None) -> int:
    return MAX_LIMIT if text is None else min(MAX_LIMIT, parsed_count("limit", text))


def parsed_count(name: str, text: str) -> int:
    """Raises: InvalidInputError."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInputError(f"{name} must be an integer that is not negative", field=name)
    return int(text)


def server_query(pairs: list[tuple[str, str]]) -> ServerQuery | None:
    """None when nothing can match. Raises: InvalidInputError."""
    given = dict(pairs)
    status = _status(given.get("status"))
    if given.get("status") and status is None:
        return None
    every_project = any(
        is_true(given[name]) or given[name] == "" for name in ("all_tenants", "all_projects") if name in given
    )
    return ServerQuery(
        name_pattern=like_pattern(given["name"]) if given.get("name") else None,
        status=status,
        flavor_id=given.get("flavor") or None,
        image_id=given.get("image") or None,
        user_id=given.get("user_id") or None,
        project_id=given.get("project_id") or given.get("tenant_id") or None,
        key_name=given.get("key_name") or None,
        server_id=given.get("uuid") or None,
        reservation_id=given.get("reservation_id") or None,
        address_pattern=given.get("ip") or None,
        availability_zone=given.get("availability_zone") or None,
        tags=_tag_filter(given),
        changed_since=_moment(given["changes-since"]) if given.get("changes-since") else None,
        every_project=every_project,
        marker=given.get("marker") or None,
        limit=parsed_limit(given.get("limit")),
        sorts=_sorts(pairs),
    )


def next_page(path: str, pairs: list[tuple[str, str]], last_id: str) -> list[dict[str, str]]:
    query = urlencode([pair for pair in pairs if pair[0] != "marker"] + [("marker", last_id)])
    return [{"rel": "next", "href": f"{path}?{query}"}]


def _tag_filter(given: dict[str, str]) -> TagFilter:
    return TagFilter(
        all_of=tag_list(given.get("tags")),
        any_of=tag_list(given.get("tags-any")),
        not_all_of=tag_list(given.get("not-tags")),
        none_of=tag_list(given.get("not-tags-any")),
    )


def tag_list(text: str | None) -> tuple[str, ...]:
    """Between commas."""
    return tuple(dict.fromkeys(tag.strip() for tag in (text or "").split(",") if tag.strip()))


def _status(text: str | None) -> ServerStatus | None:
    known = {str(status): status for status in ServerStatus}
    return known.get((text or "").upper())


def like_pattern(regex: str) -> str:
    """The regular expression of Nova's name filter, as far as `^ $ . .* .+` and escapes go; all else is literal.

    A full engine of regular expressions would let any caller stop the server with a pattern that never ends.
    """
    starts, ends = regex.startswith("^"), regex.endswith("$") and not regex.endswith("\\$")
    inner = regex[1 if starts else 0 : -1 if ends else None]
    pattern = "".join(_like_token(token) for token in _REGEX_TOKEN.finditer(inner))
    return ("" if starts else "%") + pattern + ("" if ends else "%")


def _like_token(token: re.Match[str]) -> str:
    if token["any"]:
        return {".": "_", ".*": "%", ".+": "_%"}[token["any"]]
    char = token["escaped"] or token["plain"]
    return f"\\{char}" if char in "%_\\" else str(char)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError("Invalid changes-since value", field="changes-since") from None


def _sorts(pairs: list[tuple[str, str]]) -> tuple[Sort, ...]:
    keys = [text for name, text in pairs if name == "sort_key"]
    directions = [text.lower() for name, text in pairs if name == "sort_dir"]
    if any(direction not in {"asc", "desc"} for direction in directions):
        raise InvalidInputError("sort_dir must be asc or desc", field="sort_dir")
    if any(key not in _SORT_KEYS for key in keys):
        raise InvalidInputError(f"sort_key must be one of {', '.join(sorted(_SORT_KEYS))}", field="sort_key")
    if not keys:
        return (Sort(NEWEST_FIRST[0].key, directions[0] != "asc"),) if directions else NEWEST_FIRST
    directions += ["desc"] * (len(keys) - len(directions))
    return tuple(
        Sort(_SORT_KEYS[key], direction == "desc")
        for key, direction in dict(zip(keys, directions, strict=False)).items()
    )
