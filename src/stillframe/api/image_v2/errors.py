"""How Glance spells our errors: a class and its status. The nearest base class decides for those not listed."""

from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.images import errors as i

log = structlog.get_logger("stillframe.api.image_v2")

STATUSES: dict[type[e.StillframeError], int] = {
    i.ImageGoneError: 410,
    e.InvalidInputError: 400,
    e.UnauthenticatedError: 401,
    e.ForbiddenError: 403,
    e.NotFoundError: 404,
    e.ConflictError: 409,
    e.LimitExceededError: 413,
    e.NotOfferedError: 501,
    e.UnavailableError: 503,
    e.StillframeError: 500,
}

IMS_CODES: dict[type[e.StillframeError], str] = {
    e.ExportRunningError: "IMG.0148",
    i.ImageProtectedError: "IMG.0028",
    i.ImageBusyError: "IMG.0090",
    i.ForeignImageDeletionError: "IMG.0092",
    i.PublicImageDeletionError: "IMG.0094",
}
"""IMS has codes for refused deletions, but deletes through this door only; they go into the message."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""As Glance names them to who used another one, in this order."""


def status_of(error: e.StillframeError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _envelope(status: int, message: str, headers: dict[str, str] | None = None) -> Response[dict[str, str]]:
    title = HTTPStatus(status).phrase
    body = {"message": message, "code": f"{status} {title}", "title": title}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def answer_error(_request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, str]]:
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
        log.error("image.failed", code=error.code, cause=str(error.cause), exc_info=error)
    code = IMS_CODES.get(type(error))
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, i.ImageNotFlattenedError) else None
    return _envelope(status, f"{code} {error.message}" if code else error.message, headers)


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, str]]:
    """Unknown paths, wrong methods, bodies too large: what is refused before a handler runs, or by a header."""
    headers = {name.lower(): text for name, text in (error.headers or {}).items()}
    if "allow" in headers:
        headers["allow"] = ", ".join(method for method in _METHODS if method in headers["allow"].split(", "))
    return _envelope(error.status_code, error.detail, headers)


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    log.error("image.broke", exc_info=error)
    return _envelope(500, e.StillframeError.default_message)


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
