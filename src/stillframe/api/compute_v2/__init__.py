"""The door of compute: Nova v2.1 with microversions. The ECS API of Open Telekom Cloud, in ecs_v1, shares its listener.

Source: OpenStack Compute API reference; Open Telekom Cloud, ECS API reference, "Native OpenStack Nova APIs".
"""

from typing import Any

from litestar import Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp

from stillframe.api.compute_v2 import (
    addresses,
    attachments,
    consoles,
    discovery,
    history,
    interfaces,
    others,
    servers,
    tags,
)
from stillframe.api.compute_v2.actions import run_action
from stillframe.api.compute_v2.discovery import OPEN_REQUESTS
from stillframe.api.compute_v2.errors import exception_handlers
from stillframe.api.compute_v2.microversions import MicroversionMiddleware, provide_version
from stillframe.api.compute_v2.not_offered import not_offered
from stillframe.api.compute_v2.paths import ProjectInPath
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller


async def require_own_project(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """The project in the path is the token's. Raises: InvalidInputError, ForbiddenError for a token of no project."""
    caller: Caller = connection.scope["state"]["caller"]
    if connection.path_params["project_id"] != caller.require_project():
        message = "Malformed request URL: URL's project_id doesn't match Context's project_id"
        raise InvalidInputError(message, field="project_id")


def _router(path: str) -> Router:
    return Router(
        path=path,
        route_handlers=[
            *servers.handlers,
            *attachments.handlers,
            *interfaces.handlers,
            *addresses.handlers,
            *history.handlers,
            *tags.handlers,
            consoles.create_console,
            run_action,
            *others.handlers,
            *not_offered,
        ],
        middleware=[MicroversionMiddleware],
        guards=[require_own_project],
        dependencies={"version": Provide(provide_version, sync_to_thread=False)},
    )


def around(app: ASGIApp) -> ASGIApp:
    return ProjectInPath(app)


handlers = [*discovery.handlers, _router("/v2.1/{project_id:str}"), _router("/v2/{project_id:str}")]

__all__ = ["OPEN_REQUESTS", "around", "exception_handlers", "handlers"]
