"""The door of Glance v2, with the attributes IMS adds to an image. Shares its listener with IMS.

Source: OpenStack Image API v2 reference; Open Telekom Cloud, IMS API reference, "Native OpenStack APIs".
"""

import re

from litestar import Router

from stillframe.api.image_v2 import (
    data,
    discovery,
    imports,
    info,
    metadef_parts,
    metadef_routes,
    routes,
    stores,
    tasks,
    v1,
)
from stillframe.api.image_v2.discovery import OPEN_REQUESTS
from stillframe.api.image_v2.errors import exception_handlers
from stillframe.api.image_v2.look import look
from stillframe.api.image_v2.paths import GlancePaths
from stillframe.api.policy import LOOK

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of descriptions and patches; 128 properties of 16 thousand letters each fit."""

handlers = [
    *discovery.handlers,
    Router(
        path="/",
        route_handlers=[
            *data.handlers,
            *routes.handlers,
            *imports.handlers,
            *tasks.handlers,
            *stores.handlers_of_images,
            *metadef_routes.handlers,
            *metadef_parts.handlers,
        ],
        request_max_body_size=MAX_BODY_BYTES,
        opt={LOOK: look},
    ),
    Router(
        path="/",
        route_handlers=[*stores.handlers, *info.handlers, *v1.handlers],
        request_max_body_size=MAX_BODY_BYTES,
    ),
]

around = GlancePaths
"""Between the application and what checks who is asking."""

REMEMBERED_PATHS = (re.compile(r"/v2/images(?:/[^/]+)?"),)

__all__ = ["OPEN_REQUESTS", "REMEMBERED_PATHS", "around", "exception_handlers", "handlers"]
