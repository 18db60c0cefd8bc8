"""A connection of uvicorn's, which waits for a request only so long and keeps only so much of it in memory."""

import asyncio
from typing import cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from stillframe.ops.bodies import BodyReader
from stillframe.ops.cycles import EXTENSIONS, Cycle

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line, its header fields and those behind a body in chunks, together."""
HEAD_TIMEOUT_S = 30.0
MAX_WAITING_REQUESTS = 32
"""Sent ahead on one connection before the first is answered: a kilobyte of them is forty, each of which costs six."""


class BoundedConnection(HttpToolsProtocol):
    """The parser collects what is not complete yet, without an end; uvicorn ends only connections that are silent
    between two requests, not those that never send one or send it byte by byte (0.54).
    """

    _head_bytes = 0
    _unfinished_bytes = 0
    """Received since anything came of it: of a field's value, a line, an extension of a chunk."""
    _has_body_to_come = False
    _body_bytes = 0
    """Received of the running request's body."""
    _body_reader: BodyReader | None = None
    """While bytes of the running request's body have passed the parser by."""
    _is_pretending = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unfinished_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # it is a websocket from now on
            return
        if self._unfinished_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request has too many or too long header fields.")
        elif not self._is_request_running and self._head_timer is None:
            self._wait_for_head()

    @property
    def _is_request_running(self) -> bool:
        """Or its body still comes, though it is answered."""
        return self._has_body_to_come or not (self.cycle is None or self.cycle.response_complete)

    def body_to_come(self) -> int:
        fields = dict(self.headers)
        if b"transfer-encoding" in fields:
            return 0
        return int(fields.get(b"content-length", b"0")) - self._body_bytes

    async def read_body(self) -> bytearray:
        if self._body_reader is None:
            self._body_reader = BodyReader(self.transport)
        piece = await self._body_reader.read(self.body_to_come())
        self._body_bytes += len(piece)
        if not self.body_to_come():
            self._restart_parser()
            self.on_message_complete()
            self.flow.resume_reading()
        return piece

    def _restart_parser(self) -> None:
        """It would wait for what has passed it by: a new one is told of a body as long as what is still to come."""
        self._body_reader = None
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        if to_come := self.body_to_come():
            self._is_pretending = True
            self.parser.feed_data(b"PUT / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % to_come)
            self._is_pretending = False

    def on_response_complete(self) -> None:
        if self._body_reader is not None:  # answered without having read everything
            self._restart_parser()
        super().on_response_complete()

    def on_message_begin(self) -> None:
        if self._is_pretending:
            return
        if len(self.pipeline) >= MAX_WAITING_REQUESTS:
            raise ValueError("too many requests wait for their answers")
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = EXTENSIONS

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.__class__ = Cycle
        cast("Cycle", cycle).connection = self
        super()._start_asgi_task(cycle, app)

    def on_url(self, url: bytes) -> None:
        if self._is_pretending:
            return
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_pretending:
            return
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_pretending:
            return
        self._body_bytes = 0
        self._unfinished_bytes = 0
        self._has_body_to_come = True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        self._body_bytes += len(body)
        cycle = self.cycle
        if len(body) <= HIGH_WATER_LIMIT or cycle.body or cycle.response_complete or self.parser.should_upgrade():
            super().on_body(body)
            return
        # What uvicorn does, without copying a large piece into a buffer and out of it again.
        cycle.body = body  # type: ignore[assignment]  # it is only measured, and made bytes again
        self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._unfinished_bytes = 0
        self._has_body_to_come = False
        super().on_message_complete()

    def _count(self, length: int) -> None:
        """What a callback raises becomes 400."""
        self._head_bytes += length
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too large")

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
