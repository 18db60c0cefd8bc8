"""The door of the web console, which is not there yet."""

from stillframe.api.identity_v3.errors import exception_handlers
from stillframe.api.missing import Missing, missing_routes

handlers = missing_routes(Missing("GET", "/", "show a web console"))

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset({("GET", "/")})

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
