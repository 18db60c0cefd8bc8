"""The door of volumes: Cinder v3 (and v2, which is its alias), as far as looking at them goes.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from litestar import Router
from litestar.middleware import DefineMiddleware

from stillframe.api.compute_v2 import require_own_project
from stillframe.api.compute_v2.microversions import MicroversionMiddleware
from stillframe.api.volume_v3 import discovery, routes
from stillframe.api.volume_v3.discovery import OPEN_REQUESTS, VOLUME
from stillframe.api.volume_v3.errors import exception_handlers
from stillframe.api.volume_v3.not_offered import evs_not_offered, not_offered


def _router(path: str) -> Router:
    return Router(
        path=path,
        route_handlers=[*routes.handlers, *not_offered],
        middleware=[DefineMiddleware(MicroversionMiddleware, api=VOLUME)],
        guards=[require_own_project],
    )


handlers = [*discovery.handlers, _router("/v3/{project_id:str}"), _router("/v2/{project_id:str}"), *evs_not_offered]

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
