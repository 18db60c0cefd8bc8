"""The bytes of one object in order, fetched as several ranges at a time where the store answers ranges."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

RANGE_BYTES = 8 * 1024 * 1024
RANGES_AT_ONCE = 6

FetchRange = Callable[[int, int], Awaitable[bytes]]
"""From a first byte to before a last one."""


async def ranges_in_order(first: bytes, fetch: FetchRange, size_bytes: int) -> AsyncGenerator[bytes, None]:
    """`first` and what comes after it.

    Never more than `RANGES_AT_ONCE` ranges are in memory; what is not taken holds up the fetching of more.
    """
    starts = iter(range(len(first), size_bytes, RANGE_BYTES))
    fetching: deque[asyncio.Future[bytes]] = deque()

    def fetch_next() -> None:
        start = next(starts, None)
        if start is not None:
            end = min(start + RANGE_BYTES, size_bytes)
            fetching.append(asyncio.ensure_future(fetch(start, end)))

    try:
        for _ in range(RANGES_AT_ONCE):
            fetch_next()
        yield first
        while fetching:
            piece = await fetching.popleft()
            fetch_next()
            yield piece
    finally:
        for unfinished in fetching:
            unfinished.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)
