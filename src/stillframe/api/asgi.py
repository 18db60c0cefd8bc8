"""Around the services: the port chooses one, and every request gets an id and a line in the log."""

import time
import uuid
from collections.abc import Mapping

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.types.asgi_types import HTTPResponseBodyEvent, HTTPResponseStartEvent

log = structlog.get_logger("stillframe.http")


class RequestLog:
    """Gives every request an id, which the answer, the log lines and the errors carry."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:
            await self._app(scope, receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        extra = [(b"x-openstack-request-id", request_id.encode()), (b"x-request-id", request_id.encode())]
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = message | {"headers": [*message["headers"], *extra]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                log.info(
                    "http.request",
                    service=self._service,
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )


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
