"""The door of ECS as Open Telekom Cloud and Huawei Cloud speak it. Shares its listener and its rows with Nova's.

Source: Open Telekom Cloud, ECS API reference.
"""

from typing import Any

from litestar import Router
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from stillframe.api.ecs_v1 import parts, routes, systems, tags
from stillframe.api.ecs_v1.errors import exception_handlers
from stillframe.api.ecs_v1.not_offered import not_offered
from stillframe.errors import ProjectMismatchError
from stillframe.identity.model import Caller

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset()


async def require_own_project(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """The project in the path is the token's. Raises: ProjectMismatchError, ForbiddenError for a token of none."""
    caller: Caller = connection.scope["state"]["caller"]
    if connection.path_params["project_id"] != caller.require_project():
        raise ProjectMismatchError("project_id in token mismatches with project_id in url.")


handlers = [
    Router(
        path="/",
        route_handlers=[*routes.handlers, *parts.handlers, *systems.handlers, *tags.handlers, *not_offered],
        guards=[require_own_project],
        exception_handlers=exception_handlers,
    )
]

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
