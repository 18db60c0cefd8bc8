"""Nothing that a request runs through is handed to a thread by accident: it costs more than the whole answer.

A synchronous guard once took half of the time of every request.
"""

import asyncio
from pathlib import Path

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from stillframe.api.policy import guard_of
from stillframe.app import DOORS
from stillframe.db import open_database


def test_every_guard_and_handler_is_a_coroutine_function(tmp_path: Path) -> None:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'none.db'}")
    for service, packages in DOORS.items():
        app = Litestar(
            [handler for package in packages for handler in package.handlers],
            guards=[guard_of(service, database)],
            openapi_config=None,
        )
        handlers = [
            handler
            for route in app.routes
            for handler in getattr(route, "route_handlers", [])
            if isinstance(handler, HTTPRouteHandler) and "OPTIONS" not in handler.http_methods
        ]
        assert handlers
        for handler in handlers:
            guards = [getattr(guard, "func", guard) for guard in handler.resolve_guards()]
            assert guards, handler
            assert all(asyncio.iscoroutinefunction(guard) for guard in guards), handler
            assert asyncio.iscoroutinefunction(getattr(handler.fn, "func", handler.fn)), handler
