"""`/healthcheck` of every service, for load balancers: without a token, and as oslo.middleware words it.

It says that this process answers and that the database does; else it is 503, as everything is.

Source: https://docs.openstack.org/oslo.middleware/latest/reference/healthcheck_plugins.html.
"""

from typing import Any

from litestar import HttpMethod, MediaType, Request, Response, route

from stillframe.db import Database

PATH = "/healthcheck"
OPEN_REQUESTS = frozenset({("GET", PATH), ("HEAD", PATH)})


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def check_health(request: Request[Any, Any, Any], database: Database) -> Response[str]:
    await database.version()
    if request.method == "HEAD":
        return Response("", status_code=204)
    return Response("OK", media_type=MediaType.TEXT)


handlers = [check_health]
