"""The door of volumes: Cinder v3, and v2, which is its alias.

Source: OpenStack Block Storage API v3 reference; Open Telekom Cloud, EVS API reference.
"""

from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.middleware import DefineMiddleware

from stillframe.api.compute_v2 import require_own_project
from stillframe.api.compute_v2.microversions import MicroversionMiddleware, provide_version
from stillframe.api.volume_v3 import attachments, discovery, evs, evs_errors, evs_search, metadata, routes, snapshots
from stillframe.api.volume_v3.actions import run_action
from stillframe.api.volume_v3.discovery import OPEN_REQUESTS, VOLUME
from stillframe.api.volume_v3.errors import exception_handlers
from stillframe.api.volume_v3.not_offered import evs_not_offered, not_offered


def _router(path: str) -> Router:
    return Router(
        path=path,
        route_handlers=[
            *routes.handlers,
            *metadata.handlers,
            run_action,
            Router(path="/snapshots", route_handlers=snapshots.handlers),
            *attachments.handlers,
            *not_offered,
        ],
        middleware=[DefineMiddleware(MicroversionMiddleware, api=VOLUME)],
        guards=[require_own_project],
        dependencies={"version": Provide(provide_version, sync_to_thread=False)},
    )


def _evs_router(path: str, *handlers: Any) -> Router:
    """The same projects, another envelope."""
    return Router(
        path=path,
        route_handlers=handlers,
        guards=[require_own_project],
        exception_handlers=evs_errors.exception_handlers,
    )


_CLOUDSNAPSHOTS = (Router(path="/cloudsnapshots", route_handlers=snapshots.evs_handlers), *evs_not_offered)

handlers = [
    *discovery.handlers,
    _router("/v3/{project_id:str}"),
    _router("/v2/{project_id:str}"),
    _evs_router("/v3/{project_id:str}", *evs.handlers, *evs_search.handlers),
    _evs_router("/v2/{project_id:str}", *evs.handlers, *evs_search.handlers, *_CLOUDSNAPSHOTS),
    # Huawei's SDK posts to a version of its own, which also pays for what it orders where that costs something.
    _evs_router("/v2.1/{project_id:str}", *evs.paid_handlers),
    Router(path="/", route_handlers=[evs.show_job], exception_handlers=evs_errors.exception_handlers),
]

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
