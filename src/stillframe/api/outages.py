"""A database that is away, locked or full is no mistake of ours: every door says 503 in its own words, and means it."""

from collections.abc import Callable
from typing import Any, cast

from litestar import Request, Response
from sqlalchemy.exc import SQLAlchemyError

from stillframe.db.outages import is_outage
from stillframe.errors import UnavailableError

MESSAGE = "The database does not answer. Try again in a moment."

AnyRequest = Request[Any, Any, Any]


def answer_database_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """As the route's door answers UnavailableError, or what nobody expected where the statement was wrong."""
    told: Exception = UnavailableError(MESSAGE, cause=error) if is_outage(error) else error
    handlers = request.route_handler.resolve_exception_handlers()
    handler = next(handlers[kind] for kind in type(told).__mro__ if kind in handlers and kind is not SQLAlchemyError)
    return cast("Callable[[AnyRequest, Exception], Response[Any]]", handler)(request, told)
