"""Neutron's lists: any field is a filter, several values of one mean any of them; sorting, pages and chosen fields.

A project has at most some hundreds of each thing (its quota), so they are filtered as they will be shown.

Source: OpenStack Networking API v2.0 reference, "Filtering and Column Selection", "Pagination", "Sorting", "tags".
"""

from typing import Any

from stillframe.api.compute_v2.discovery import base_url
from stillframe.api.compute_v2.queries import next_page, parsed_count, query_pairs
from stillframe.errors import InvalidInputError

Json = dict[str, Any]

_NOT_FILTERS = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})


def listed(request: Any, name: str, found: list[Json]) -> Json:
    """The body of a list's answer. Raises: InvalidInputError."""
    pairs = query_pairs(request)
    matching = _sorted([one for one in found if _fits(one, pairs)], pairs)
    page, is_full = _page(matching, dict(pairs))
    answer: Json = {name: [_with_fields(one, pairs) for one in page]}
    if is_full:
        path = f"{base_url(request)}{request.scope['path']}"
        answer[f"{name}_links"] = next_page(path, pairs, page[-1]["id"])
    return answer


def shown(request: Any, name: str, thing: Json) -> Json:
    return {name: _with_fields(thing, query_pairs(request))}


def _fits(entry: Json, pairs: list[tuple[str, str]]) -> bool:
    wanted: dict[str, list[str]] = {}
    for name, text in pairs:
        if name not in _NOT_FILTERS:
            wanted.setdefault(name, []).append(text)
    return all(_fits_one(entry, name, texts) for name, texts in wanted.items())


def _fits_one(entry: Json, name: str, texts: list[str]) -> bool:
    if name in {"tags", "tags-any", "not-tags", "not-tags-any"} and "tags" in entry:
        return _fits_tags(entry["tags"], name, {tag for text in texts for tag in text.split(",")})
    if name == "fixed_ips":
        return _fits_addresses(entry.get("fixed_ips", []), texts)
    if name not in entry:
        return True
    value = entry[name]
    values = value if isinstance(value, list) else [value]
    known = {"" if one is None else str(one).lower() for one in values}
    return any(text.lower() in known for text in texts)


def _fits_tags(tags: list[str], how: str, wanted: set[str]) -> bool:
    fits = not wanted.isdisjoint(tags) if how.endswith("any") else wanted <= set(tags)
    return fits != how.startswith("not")


def _fits_addresses(addresses: list[Json], texts: list[str]) -> bool:
    """`fixed_ips=ip_address=10.0.0.3` and `fixed_ips=subnet_id=...`, of one address for one port."""
    pairs = [text.partition("=")[::2] for text in texts]
    names = {name for name, _ in pairs}
    return any(
        all(any(str(one.get(name)) == value for other, value in pairs if other == name) for name in names)
        for one in addresses
    )


def _sorted(found: list[Json], pairs: list[tuple[str, str]]) -> list[Json]:
    keys = [text for name, text in pairs if name == "sort_key"]
    directions = [text for name, text in pairs if name == "sort_dir"]
    if any(direction not in {"asc", "desc"} for direction in directions):
        raise InvalidInputError("The sort directions must be asc or desc.", field="sort_dir")
    if found and any(isinstance(found[0].get(key, []), (list, dict)) for key in keys):
        raise InvalidInputError("The list cannot be sorted by that attribute.", field="sort_key")
    directions += ["asc"] * (len(keys) - len(directions))
    for key, direction in reversed(list(zip(keys, directions, strict=False))):
        found = sorted(found, key=lambda one: _sortable(one[key]), reverse=direction == "desc")
    return found


def _sortable(value: object) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, (bool, int)) else (2, 0.0, str(value))


def _page(found: list[Json], given: dict[str, str]) -> tuple[list[Json], bool]:
    if given.get("marker"):
        places = [place for place, one in enumerate(found) if one["id"] == given["marker"]]
        if not places:
            raise InvalidInputError(f"Invalid marker {given['marker'][:255]}.", field="marker")
        found = found[places[0] + 1 :]
    limit = parsed_count("limit", given["limit"]) if given.get("limit") else 0
    return (found[:limit], len(found) >= limit and bool(found)) if limit else (found, False)


def _with_fields(entry: Json, pairs: list[tuple[str, str]]) -> Json:
    fields = {text for name, text in pairs if name == "fields"}
    return {name: value for name, value in entry.items() if name in fields} if fields else entry
