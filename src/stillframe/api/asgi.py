"""Around the services: the port chooses one, and every request gets an id and a line in the log."""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

from stillframe.api.answers import WHOLE_ANSWER
from stillframe.kit.clock import iso_micros_z, utcnow
from stillframe.kit.request_id import REQUEST_ID, new_request_id


class _Line(msgspec.Struct, frozen=True):
    """As all other lines of the log."""

    service: str
    method: str
    path: str
    status: int
    ms: float
    request_id: str
    timestamp: str
    event: str = "http.request"
    level: str = "info"


class _Lines:
    """Written together, once per turn of the event loop: with many clients the log would cost more than the answers."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode

    def add(self, line: _Line) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(self._encode(line))

    def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        sys.stderr.write(b"\n".join([*lines, b""]).decode())
        sys.stderr.flush()


_lines = _Lines()


class RequestLog:
    """Gives every request an id, which the answer, the log lines and the errors carry."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service
        self._writes = logging.getLogger().isEnabledFor(logging.INFO)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        name = request_id.encode()
        extra = ((b"x-openstack-request-id", name), (b"x-request-id", name))
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = message | {"headers": [*message["headers"], *extra]}
            elif message["type"] == WHOLE_ANSWER:
                status = 200
                cast("dict[str, Any]", message)["headers"] = extra
            await send(message)

        # Never taken back: the server handles each request in a task, and so in a context, of its own.
        REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            if self._writes:
                ms = round((time.perf_counter() - started) * 1000, 1)
                now = iso_micros_z(utcnow())
                _lines.add(_Line(self._service, scope["method"], scope["path"], status, ms, request_id, now))


class ByPort:
    """Chooses the service by the port of the listening socket."""

    def __init__(self, apps: Mapping[int, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server") or ("", None)
        app = self._apps.get(server[1] or 0)
        if app is not None:
            await app(scope, receive, send)
        elif scope["type"] == ScopeType.HTTP:
            await _refuse(send)


async def _refuse(send: Send) -> None:
    start: HTTPResponseStartEvent = {"type": "http.response.start", "status": 421, "headers": []}
    await send(start)
    body: HTTPResponseBodyEvent = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(body)
