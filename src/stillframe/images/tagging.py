"""Tags as pairs of key and value, the way IMS and its tag service see them.

An image keeps its tags as `key=value`, or as the key alone when the value is empty. A key is on an image once: setting
it again replaces its value. Tags set through Glance are free texts; what stands before their first `=` is their key.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from stillframe.db import Transaction
from stillframe.errors import TooManyImageTagsError
from stillframe.identity.model import Caller
from stillframe.images import listing, tag_search
from stillframe.images.errors import TagNotFoundError
from stillframe.images.queries import ImageQuery
from stillframe.images.service import get_own_image, get_visible_image, update_image
from stillframe.images.tag_search import TagQuery, TagSearchResult

MAX_PAIRS = 10

Pair = tuple[str, str]


def pair_of(tag: str) -> Pair:
    key, _, value = tag.partition("=")
    return key, value


def tag_of(pair: Pair) -> str:
    key, value = pair
    return f"{key}={value}" if value else key


async def set_tags(tx: Transaction, caller: Caller, image_id: str, pairs: Iterable[Pair]) -> None:
    """Safe to repeat. Raises: as `get_own_image`, TooManyImageTagsError."""
    image = await get_own_image(tx, caller, image_id)
    given = dict(pairs)
    kept = [tag for tag in image.tags if pair_of(tag)[0] not in given]
    tags = tuple(sorted({*kept, *[tag_of(pair) for pair in given.items()]}))
    if len(tags) > max(MAX_PAIRS, len(image.tags)):
        raise TooManyImageTagsError
    if tags != image.tags:
        await update_image(tx, caller, image, replace(image, tags=tags))


async def drop_tags(tx: Transaction, caller: Caller, image_id: str, pairs: Iterable[Pair]) -> None:
    """A pair with a value takes only the tag with that value. Safe to repeat.

    Raises: as `get_own_image`.
    """
    image = await get_own_image(tx, caller, image_id)
    doomed = set(pairs)
    tags = tuple(tag for tag in image.tags if doomed.isdisjoint({pair_of(tag), (pair_of(tag)[0], "")}))
    if tags != image.tags:
        await update_image(tx, caller, image, replace(image, tags=tags))


async def drop_tag(tx: Transaction, caller: Caller, image_id: str, key: str) -> None:
    """Raises: as `get_own_image`, TagNotFoundError."""
    image = await get_own_image(tx, caller, image_id)
    if key not in {pair_of(tag)[0] for tag in image.tags}:
        raise TagNotFoundError
    await drop_tags(tx, caller, image_id, [(key, "")])


async def list_tags(tx: Transaction, caller: Caller, image_id: str) -> list[Pair]:
    """Raises: ImageNotFoundError."""
    image = await get_visible_image(tx, caller, image_id)
    return [pair_of(tag) for tag in image.tags]


async def list_tags_of_project(tx: Transaction, caller: Caller) -> dict[str, list[str]]:
    """The values of every key on the project's own images."""
    values: dict[str, list[str]] = {}
    for tag in await tag_search.list_tags_of_project(tx, caller.require_project()):
        key, value = pair_of(tag)
        if value not in (known := values.setdefault(key, [])):
            known.append(value)
    return values


async def list_used_tags(tx: Transaction, caller: Caller, query: ImageQuery, *, limit: int, offset: int) -> list[str]:
    """Of all the images the query finds, whatever page it is for; each tag once, in order."""
    return await listing.list_tags(tx, caller.require_project(), query, limit=limit, offset=offset)


async def find_images(tx: Transaction, caller: Caller, query: TagQuery) -> TagSearchResult:
    return await tag_search.find_images(tx, caller.require_project(), query)


async def count_images(tx: Transaction, caller: Caller, query: TagQuery) -> int:
    return await tag_search.count_images(tx, caller.require_project(), query)
