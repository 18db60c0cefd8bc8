"""`/healthcheck` of every service, for load balancers: without a token, and as oslo.middleware words it.

It says that this process answers and that the database does.

Source: https://docs.openstack.org/oslo.middleware/latest/reference/healthcheck_plugins.html.
"""

import sqlite3
from typing import Any

import sqlalchemy as sa
from litestar import HttpMethod, MediaType, Request, Response, route

from stillframe.api.outages import MESSAGE
from stillframe.db import Database
from stillframe.errors import UnavailableError

PATH = "/healthcheck"
OPEN_REQUESTS = frozenset({("GET", PATH), ("HEAD", PATH)})


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def check_health(request: Request[Any, Any, Any], database: Database) -> Response[str]:
    try:
        await database.version()
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        raise UnavailableError(MESSAGE, cause=error) from None
    if request.method == "HEAD":
        return Response("", status_code=204)
    return Response("OK", media_type=MediaType.TEXT)


handlers = [check_health]
