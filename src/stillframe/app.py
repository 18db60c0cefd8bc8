"""Wiring of the API process: the only file that knows every door.

Each service listens on a socket of its own (GET / and /v1/{project_id}/jobs/{job_id} mean different things on different
services); one process serves all of them, and the port a request came in by chooses the service.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import sqlalchemy as sa
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from stillframe.api import (
    compute_v2,
    console,
    ecs_v1,
    health,
    identity_v3,
    image_v2,
    ims,
    network_v2,
    volume_v3,
    vpc_v1,
)
from stillframe.api.answers import AnswerMemory
from stillframe.api.asgi import ByPort, RequestLog
from stillframe.api.auth import AuthMiddleware
from stillframe.api.outages import answer_database_error
from stillframe.api.policy import guard_of
from stillframe.api.responses import EmptyOrJson
from stillframe.db import Database, Transaction
from stillframe.identity.callers import CallerMemory
from stillframe.identity.model import Caller
from stillframe.jobs.resources import Resources
from stillframe.kit.units import MIB

DOORS: dict[str, tuple[Any, ...]] = {
    "identity": (identity_v3, health),
    "image": (image_v2, ims, health),
    "compute": (compute_v2, ecs_v1, health),
    "volume": (volume_v3, health),
    "network": (network_v2, vpc_v1, health),
    "console": (console,),
}
"""The doors of each service. The first one of a service also answers for paths that no door knows, and may have a
wrapper `around` all of them."""

MAX_BODY_BYTES = 4 * MIB
"""Of every request but uploads, whose routes say so themselves."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_Request = Request[Any, Any, State]


async def provide_tx(request: _Request, database: Database) -> AsyncGenerator[Transaction, None]:
    """One transaction per request: committed before the answer is sent, rolled back when the handler raised.

    The body is read first: a client that sends it slowly must not hold the lock of every writer meanwhile.
    """
    if request.method in _READING:
        async with database.reading() as tx:
            yield tx
    else:
        await request.body()
        async with database.writing() as tx:
            yield tx


async def provide_caller(request: _Request) -> Caller:
    caller: Caller = request.scope["state"]["caller"]
    return caller


def build_app(resources: Resources) -> ByPort:
    return ByPort({resources.settings.port(name): app for name, app in build_services(resources).items()})


def build_services(resources: Resources) -> dict[str, ASGIApp]:
    """The ASGI application of every service, by its name in `config.PORTS`."""
    callers = CallerMemory(resources.database, resources.token_keys)
    return {name: _service(name, packages, resources, callers) for name, packages in DOORS.items()}


def _service(name: str, packages: tuple[Any, ...], resources: Resources, callers: CallerMemory) -> ASGIApp:
    settings, database, token_keys = resources.settings, resources.database, resources.token_keys
    app = Litestar(
        route_handlers=[handler for package in packages for handler in package.handlers],
        exception_handlers={**packages[0].exception_handlers, sa.exc.SQLAlchemyError: answer_database_error},
        guards=[guard_of(name, database)],
        dependencies={
            "tx": Provide(provide_tx),
            "caller": Provide(provide_caller),
            "settings": Provide(lambda: settings, sync_to_thread=False),
            "database": Provide(lambda: database, sync_to_thread=False),
            "resources": Provide(lambda: resources, sync_to_thread=False),
            "token_keys": Provide(lambda: token_keys, sync_to_thread=False),
        },
        response_class=EmptyOrJson,
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    _provide_in_turn(app)
    around: Callable[[ASGIApp], ASGIApp] = getattr(packages[0], "around", lambda inner: inner)
    guarded = AuthMiddleware(
        around(app),
        service=name,
        database=database,
        token_keys=token_keys,
        callers=callers,
        settings=settings,
        is_open=_open_paths(packages),
    )
    remembered = tuple(path for package in packages for path in getattr(package, "REMEMBERED_PATHS", ()))
    return RequestLog(AnswerMemory(guarded, database, remembered) if remembered else guarded, name)


def _provide_in_turn(app: Litestar) -> None:
    """Litestar starts a task for each of several dependencies that do not need each other. Ours wait for nothing worth
    that: it would be a fifth of what a small request takes.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]


def _open_paths(packages: tuple[Any, ...]) -> Callable[[str, str], bool]:
    """Each door names the requests that need no token: a set of (method, path), some also patterns of paths."""
    open_requests = {pair for package in packages for pair in package.OPEN_REQUESTS}
    patterns = [pair for package in packages for pair in getattr(package, "OPEN_PATTERNS", ())]
    if not patterns:
        return lambda method, path: (method, path) in open_requests
    return lambda method, path: (
        (method, path) in open_requests or any(method == verb and form.fullmatch(path) for verb, form in patterns)
    )
