"""A request and its answer as uvicorn has them, with less work for the kernel and for Python."""

import asyncio
from typing import Any, Protocol, cast

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from stillframe.api.answers import WHOLE_ANSWER
from stillframe.ops.zerocopy import EXTENSION, send_range

EXTENSIONS: dict[str, dict[object, object]] = {EXTENSION: {}, WHOLE_ANSWER: {}}
"""Of ASGI, which a `Cycle` knows."""


LARGE_BODY_BYTES = 1024 * 1024
"""From here on it is worth reading what is still to come of a body past the parser."""


class Connection(Protocol):
    """What a cycle asks of the connection it belongs to."""

    def body_to_come(self) -> int:
        """Bytes of the request's body that were not received yet; 0 where its length is not known."""

    async def read_body(self) -> bytearray:
        """The next of them. Raises: OSError when the client is gone."""


class _Cork:
    """Takes what is written until it is asked for."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.pieces.append(data)


class Cycle(RequestResponseCycle):
    """Head and body leave with one write, and ranges of files without passing through this process (ASGI's extension
    "zero copy send"). Large bodies of requests come without passing through the event loop.
    """

    connection: Connection
    _is_read_directly = False
    _held: list[bytes] | None = None
    """The head of an answer whose length is known, until its body comes."""

    async def receive(self) -> ASGIReceiveEvent:
        if not self.more_body or self.disconnected or self.response_complete or self.transport.is_closing():
            return await super().receive()
        if not self._is_read_directly and self.connection.body_to_come() < LARGE_BODY_BYTES:
            return await super().receive()
        self._is_read_directly = True
        return await self._receive_directly()

    async def _receive_directly(self) -> ASGIReceiveEvent:
        if self.waiting_for_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        self.flow.pause_reading()
        body: bytes | bytearray = self.body
        self.body = bytearray()
        if not body:
            try:
                body = await self.connection.read_body()
            except OSError:
                self.disconnected = True
                self.transport.abort()
                return {"type": "http.disconnect"}
        self.message_event.clear()
        return {"type": "http.request", "body": cast("bytes", body), "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        if message["type"] == WHOLE_ANSWER:
            await self._send_whole(message)
        elif message["type"] == EXTENSION:
            await self._send_range(message)
        elif message["type"] == "http.response.start" and not self.response_started:
            await self._hold_head(message)
        elif self._held is not None:
            await self._send_held_with(message)
        else:
            await super().send(message)

    async def _send_whole(self, message: Any) -> None:
        """As uvicorn sends a head and a body, without looking at each field anew."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            raise RuntimeError("A whole answer cannot follow the beginning of another.")
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        fields = [b"%b: %b\r\n" % pair for pair in (*self.default_headers, *message["headers"])]
        ends = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join([b"HTTP/1.1 200 OK\r\n", *fields, message["head"], ends, message["body"]]))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def _hold_head(self, message: Any) -> None:
        transport, cork = self.transport, _Cork()
        self.transport = cast("asyncio.Transport", cork)
        try:
            await super().send(message)
        finally:
            self.transport = transport
        if self.chunked_encoding:  # nobody knows when a body of unknown length begins
            transport.write(b"".join(cork.pieces))
        elif cork.pieces:
            self._held = cork.pieces

    def _release_head(self, body: bytes = b"") -> None:
        held, self._held = self._held or [], None
        self.transport.write(b"".join([*held, body]))

    async def _send_held_with(self, message: Any) -> None:
        """The transport may be closed by the end of the answer, so it is written to before."""
        body = message.get("body", b"") if message["type"] == "http.response.body" else b""
        if self.disconnected or self.scope["method"] == "HEAD" or len(body) > self.expected_content_length:
            self._release_head()
            await super().send(message)
            return
        self._release_head(body)
        self.expected_content_length -= len(body)
        await super().send(cast("Any", {**message, "body": b""}))

    async def _send_range(self, message: Any) -> None:
        if self._held is not None:
            self._release_head()
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        count = message["count"]
        if not self.response_started or self.chunked_encoding or count > self.expected_content_length:
            raise RuntimeError("A part of a file can only be sent where Content-Length says that it comes.")
        try:
            await send_range(self.transport, message["file"].fileno(), message["offset"], count)
        except (OSError, TimeoutError):
            # As when a client goes away in the middle of any other answer; what it has is shorter than it was told.
            self.transport.abort()
            return
        self.expected_content_length -= count
        await super().send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})
