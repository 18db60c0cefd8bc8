"""Tags of servers: free texts for Nova, keys with values for ECS.

A server keeps a tag as `key=value`, or as the key alone when the value is empty. Setting a key again replaces its
value. Nova's texts are as free as they come; what stands before their first `=` is their key.

Source: OpenStack Compute API reference, "Server tags"; Open Telekom Cloud, ECS API reference, "Tag Management".
"""

import re
from collections.abc import Iterable

from stillframe.db import Transaction
from stillframe.errors import InvalidInputError, NotFoundError
from stillframe.identity.model import Caller
from stillframe.servers import tag_rows
from stillframe.servers.service import get_server, lock_own_server
from stillframe.servers.tag_rows import pair_of, tag_of

MAX_TAGS = 50
MAX_TAG_LENGTH = 80
MAX_PAIRS = 10
_KEY, _VALUE = re.compile(r"[\w.:@+ -]{1,36}"), re.compile(r"[\w.:@+ -]{0,43}")

Pair = tuple[str, str]


def checked_tag(tag: str) -> str:
    """Raises: InvalidInputError."""
    if not 1 <= len(tag) <= MAX_TAG_LENGTH or any(char in tag for char in "/,") or not tag.isprintable():
        raise InvalidInputError(
            f"Tag {tag[:100]!r} is invalid. A tag has 1 to {MAX_TAG_LENGTH} characters, no slash and no comma.",
            field="tags",
        )
    return tag


def checked_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Raises: InvalidInputError for a key or a value that cannot be, and for a key that is there twice."""
    checked = list(pairs)
    for key, value in checked:
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            raise InvalidInputError(
                f"Tag {key[:100]!r} is invalid: keys have 1 to 36 and values up to 43 letters, digits, spaces and "
                "characters of _.:@+-",
                field="tags",
            )
    if len({key for key, _ in checked}) < len(checked):
        raise InvalidInputError("The tag key cannot be duplicate.", field="tag keys")
    return checked


async def list_tags(tx: Transaction, caller: Caller, server_id: str) -> tuple[str, ...]:
    """Raises: ServerNotFoundError."""
    return (await get_server(tx, caller, server_id)).tags


async def list_pairs(tx: Transaction, caller: Caller, server_id: str) -> dict[str, str]:
    """Raises: ServerNotFoundError."""
    return dict(pair_of(tag) for tag in await list_tags(tx, caller, server_id))


async def list_pairs_of_project(tx: Transaction, caller: Caller) -> dict[str, list[str]]:
    """The values of every key on the project's servers."""
    values: dict[str, list[str]] = {}
    for key, value in map(pair_of, await tag_rows.list_tags_of_project(tx, caller.require_project())):
        values.setdefault(key, []).append(value)
    return values


async def replace_tags(tx: Transaction, caller: Caller, server_id: str, tags: Iterable[str]) -> tuple[str, ...]:
    """Raises: ServerNotFoundError, InvalidInputError."""
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    after = tuple(sorted({checked_tag(tag) for tag in tags}))
    if len(after) > MAX_TAGS:
        raise InvalidInputError(f"The number of tags exceeded the per-server limit {MAX_TAGS}", field="tags")
    await tag_rows.put_tags(tx, server.id, after)
    return after


async def add_tag(tx: Transaction, caller: Caller, server_id: str, tag: str) -> bool:
    """False when the server has it already. Raises: as `replace_tags`."""
    before = await _locked_tags(tx, caller, server_id)
    await replace_tags(tx, caller, server_id, {*before, tag})
    return tag not in before


async def remove_tag(tx: Transaction, caller: Caller, server_id: str, tag: str) -> None:
    """Raises: ServerNotFoundError, NotFoundError."""
    before = await _locked_tags(tx, caller, server_id)
    if tag not in before:
        raise NotFoundError(f"Server {server_id} has no tag '{tag[:100]}'")
    await tag_rows.put_tags(tx, server_id, [one for one in before if one != tag])


async def set_pairs(tx: Transaction, caller: Caller, server_id: str, pairs: Iterable[Pair]) -> None:
    """Safe to repeat. Raises: as `replace_tags`, and for more than `MAX_PAIRS`."""
    before, given = await _locked_tags(tx, caller, server_id), dict(checked_pairs(pairs))
    kept = [tag for tag in before if pair_of(tag)[0] not in given]
    after = {*kept, *[tag_of(key, value) for key, value in given.items()]}
    if len(after) > max(MAX_PAIRS, len(before)):
        raise InvalidInputError(f"A server has at most {MAX_PAIRS} tags.", field="too many tags")
    await replace_tags(tx, caller, server_id, after)


async def replace_pairs(tx: Transaction, caller: Caller, server_id: str, pairs: Iterable[Pair]) -> None:
    """Raises: as `set_pairs`."""
    await replace_tags(tx, caller, server_id, ())
    await set_pairs(tx, caller, server_id, pairs)


async def drop_pairs(tx: Transaction, caller: Caller, server_id: str, pairs: Iterable[Pair]) -> None:
    """A pair with a value takes only the tag with that value. Safe to repeat. Raises: ServerNotFoundError."""
    before, doomed = await _locked_tags(tx, caller, server_id), set(pairs)
    kept = [tag for tag in before if doomed.isdisjoint({pair_of(tag), (pair_of(tag)[0], "")})]
    await tag_rows.put_tags(tx, server_id, kept)


async def _locked_tags(tx: Transaction, caller: Caller, server_id: str) -> tuple[str, ...]:
    caller.require_writer()
    server = await lock_own_server(tx, caller, server_id)
    return (await tag_rows.list_tags(tx, [server.id]))[server.id]
