"""Fetching a file from the web for a caller, within the rules of `web_rules`."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

import httpcore

from stillframe.blobs.web_rules import WebRules, WebUrl, public_addresses, read_url
from stillframe.errors import DownloadFailedError, UrlRefusedError

MAX_REDIRECTS = 5
SLOW_GRACE_S = 120.0
MIN_BYTES_PER_S = 4096
"""Below that on average, a server only keeps a place among the downloads occupied."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TIMEOUTS_S = {"connect": 15.0, "read": 60.0, "write": 15.0, "pool": 15.0}
_HEADERS = [("User-Agent", "stillframe"), ("Accept", "*/*"), ("Accept-Encoding", "identity")]


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file on its way. `size_bytes` is what the server has announced, None when it has not."""

    chunks: AsyncGenerator[bytes, None]
    size_bytes: int | None


@contextlib.asynccontextmanager
async def open_file(url: str, rules: WebRules) -> AsyncIterator[WebFile]:
    """Follows a few redirects, each held against the rules as the first address was.

    Raises: UrlRefusedError, DownloadFailedError when the file cannot be had; the latter also while `chunks` are read.
    """
    async with _pool(rules) as pool, contextlib.AsyncExitStack() as opened:
        target = read_url(url, rules)
        with _translated():
            for _ in range(MAX_REDIRECTS + 1):
                response = await opened.enter_async_context(_get(pool, target))
                if response.status not in _REDIRECTS:
                    break
                target = _next_target(target, response, rules)
            else:
                raise DownloadFailedError(f"There were more than {MAX_REDIRECTS} redirects.")
        yield WebFile(_chunks(response), _announced_bytes(response))


def _get(
    pool: httpcore.AsyncConnectionPool, target: WebUrl
) -> contextlib.AbstractAsyncContextManager[httpcore.Response]:
    parsed = target.parsed
    url = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=target.port, target=parsed.raw_path)
    return pool.stream("GET", url, headers=_HEADERS, extensions={"timeout": _TIMEOUTS_S})


def _pool(rules: WebRules) -> httpcore.AsyncConnectionPool:
    # No proxy of the environment: it would do the look-up of the name, and nobody could say what it connects to.
    context = ssl.create_default_context()
    return httpcore.AsyncConnectionPool(ssl_context=context, network_backend=_CheckedNetwork(rules))


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to nothing else. TLS still asks for the name of the URL."""

    def __init__(self, rules: WebRules) -> None:
        self._rules = rules
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = DownloadFailedError()
        for address in await public_addresses(host, port, self._rules):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise UrlRefusedError(f"There is no web behind {path}.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _next_target(target: WebUrl, response: httpcore.Response, rules: WebRules) -> WebUrl:
    location = _header(response, b"location")
    if not location:
        raise DownloadFailedError("The server redirects to nowhere.")
    try:
        following = str(target.parsed.join(location))
    except ValueError:
        raise UrlRefusedError("The server redirects to a malformed URL.") from None
    return read_url(following, rules)


def _announced_bytes(response: httpcore.Response) -> int | None:
    if response.status != 200:
        raise DownloadFailedError(f"The server answered with status {response.status}.")
    if _header(response, b"content-encoding").lower() not in {"", "identity"}:
        raise DownloadFailedError("The server sends the file compressed for the way, which was not asked for.")
    length = _header(response, b"content-length")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


async def _chunks(response: httpcore.Response) -> AsyncGenerator[bytes, None]:
    started, seen_bytes = time.monotonic(), 0
    with _translated():
        async for chunk in response.aiter_stream():
            seen_bytes += len(chunk)
            elapsed_s = time.monotonic() - started
            if elapsed_s > SLOW_GRACE_S and seen_bytes < elapsed_s * MIN_BYTES_PER_S:
                raise DownloadFailedError("The server sends too slowly.")
            yield chunk


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise DownloadFailedError("The server did not answer in time.", cause=error) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise DownloadFailedError("The connection to the server failed.", cause=error) from error
