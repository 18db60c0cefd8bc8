"""Wiring of the API process: the only file that knows every door.

Each service listens on a socket of its own (GET / and /v1/{project_id}/jobs/{job_id} mean different things on different
services); one process serves all of them, and the port a request came in by chooses the service.
"""

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import structlog
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from stillframe.api import compute_v2, console, identity_v3, image_v2, ims, network_v2, volume_v3
from stillframe.api.auth import AuthMiddleware
from stillframe.db import Database, Transaction
from stillframe.identity.model import Caller
from stillframe.jobs.resources import Resources

log = structlog.get_logger("stillframe.http")

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Anyrequest = Request[Any, Any, State]

DOORS: dict[str, tuple[Any, ...]] = {
    "identity": (identity_v3,),
    "image": (image_v2, ims),
    "compute": (compute_v2,),
    "volume": (volume_v3,),
    "network": (network_v2,),
    "console": (console,),
}
"""The doors of each service. The first one of a service also answers for paths that no door knows."""


async def provide_tx(request: Anyrequest, database: Database) -> AsyncGenerator[Transaction, None]:
    """One transaction per request: committed before the answer is sent, rolled back when the handler raised."""
    async with database.reading() if request.method in _READING else database.writing() as tx:
        yield tx


async def provide_caller(request: Anyrequest) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def build_services(resources: Resources) -> dict[str, ASGIApp]:
    """The ASGI application of every service, by its name in `config.PORTS`."""
    return {name: _service(name, packages, resources) for name, packages in DOORS.items()}


def _service(name: str, packages: tuple[Any, ...], resources: Resources) -> ASGIApp:
    settings, database, token_keys = resources.settings, resources.database, resources.token_keys
    app = Litestar(
        route_handlers=[handler for package in packages for handler in package.handlers],
        exception_handlers=packages[0].exception_handlers,
        dependencies={
            "tx": Provide(provide_tx),
            "caller": Provide(provide_caller),
            "settings": Provide(lambda: settings, sync_to_thread=False),
            "database": Provide(lambda: database, sync_to_thread=False),
            "resources": Provide(lambda: resources, sync_to_thread=False),
            "token_keys": Provide(lambda: token_keys, sync_to_thread=False),
        },
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,
    )
    guarded = AuthMiddleware(
        app, database=database, token_keys=token_keys, settings=settings, is_open=_open_paths(packages)
    )
    return RequestLog(guarded, name)


def _open_paths(packages: tuple[Any, ...]) -> Callable[[str, str], bool]:
    """Each door names the requests that need no token: a set of (method, path)."""
    open_requests = {pair for package in packages for pair in package.OPEN_REQUESTS}
    return lambda method, path: (method, path) in open_requests


class RequestLog:
    """Gives every request an id, which the answer, the log lines and the errors carry."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        extra = [(b"x-openstack-request-id", request_id.encode()), (b"x-request-id", request_id.encode())]
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
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
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        server = scope.get("server") or ("", 0)
        await self._apps[server[1] or 0](scope, receive, send)


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


def build_app(resources: Resources) -> ByPort:
    return ByPort({resources.settings.port(name): app for name, app in build_services(resources).items()})
