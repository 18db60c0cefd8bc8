"""Routes for operations a dialect documents and we do not serve yet: an honest 501 instead of a 404.

They carry `opt["missing"]`, which the coverage table in the docs is generated from.
"""

from typing import Any, NamedTuple

from litestar.handlers import HTTPRouteHandler, route

from stillframe.errors import NotOfferedError


class Missing(NamedTuple):
    method: Any
    path: str
    what: str
    """A verb phrase: "share images"."""
    why: str = ""
    """What stands against it, as half a sentence; shown in the coverage table too."""


def missing_routes(*operations: Missing) -> list[HTTPRouteHandler]:
    return [_missing_route(operation) for operation in operations]


def _missing_route(operation: Missing) -> HTTPRouteHandler:
    reason = f" ({operation.why})" if operation.why else ""

    async def answer() -> None:
        raise NotOfferedError(f"Not implemented: this deployment cannot {operation.what} yet{reason}.")

    decorated: HTTPRouteHandler = route(
        operation.path, http_method=[operation.method], status_code=501, opt={"missing": f"{operation.what}{reason}"}
    )(answer)
    return decorated
