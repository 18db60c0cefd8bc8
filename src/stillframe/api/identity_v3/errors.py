"""How Keystone spells our errors. The nearest base class decides for those not listed.

Source: OpenStack Identity API v3, "Response codes"; Open Telekom Cloud, Identity and Access Management API reference,
"Error Codes" (for OS-CREDENTIAL).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from stillframe import errors as e

log = structlog.get_logger("stillframe.api.identity_v3")

AnyRequest = Request[Any, Any, Any]

TABLE: dict[type[e.StillframeError], tuple[int, str]] = {
    e.InvalidInputError: (400, "IAM.0011"),
    e.UnauthenticatedError: (401, "IAM.0001"),
    e.ForbiddenError: (403, "IAM.0003"),
    e.NotFoundError: (404, "IAM.0004"),
    e.ConflictError: (409, "IAM.0005"),
    e.LimitExceededError: (400, "IAM.0011"),
    e.NotOfferedError: (501, "IAM.0006"),
    e.UnavailableError: (503, "IAM.0006"),
    e.StillframeError: (500, "IAM.0006"),
}

_MESSAGES = {
    404: "The resource could not be found.",
    405: "The method is not allowed for the requested URL.",
    413: "The request is too large.",
}
_SAFE_IN_PATH = "/:@!$&'()*+,;=~"
_UNEXPECTED = "An unexpected error prevented the server from fulfilling your request."


def status_and_code(error: e.StillframeError) -> tuple[int, str]:
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def base_url(request: AnyRequest) -> str:
    """Where the client reached us, as it wrote it itself: links have to work from where the client is."""
    host = request.headers.get("host")
    if not host:
        server = request.scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else server[0]
    return f"{request.scope['scheme']}://{host}"


def path_url(request: AnyRequest) -> str:
    """Of what was asked for, as it may stand in a header or a link."""
    return base_url(request) + quote(request.scope["path"], safe=_SAFE_IN_PATH)


def keystone_error(
    request: AnyRequest, status: int, message: str, headers: Mapping[str, str] | None = None
) -> Response[Mapping[str, Any]]:
    title = HTTPStatus(status).phrase
    if status == 401:
        headers = {"WWW-Authenticate": f'Keystone uri="{base_url(request)}/v3"'}
    body = {"error": {"code": status, "message": message, "title": title}}
    return Response(body, status_code=status, headers=headers or {})


def on_stillframe_error(request: AnyRequest, error: e.StillframeError) -> Response[Mapping[str, Any]]:
    status, _ = status_and_code(error)
    _log(error, status)
    return keystone_error(request, status, error.message if status != 500 else _UNEXPECTED)


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[Mapping[str, Any]]:
    message = _MESSAGES.get(error.status_code, error.detail)
    return keystone_error(request, error.status_code, message, error.headers)


def on_exception(request: AnyRequest, error: Exception) -> Response[Mapping[str, Any]]:
    log.error("request.failed", exc_info=error)
    return keystone_error(request, 500, _UNEXPECTED)


exception_handlers: ExceptionHandlersMap = {
    e.StillframeError: on_stillframe_error,
    HTTPException: on_http_exception,
    Exception: on_exception,
}


def on_iam_error(request: AnyRequest, error: e.StillframeError) -> Response[Mapping[str, Any]]:
    """The younger envelope of OS-CREDENTIAL; only the limit of keys still comes in the old one."""
    status, code = status_and_code(error)
    _log(error, status)
    if isinstance(error, e.LimitExceededError):
        return keystone_error(request, status, error.message)
    message = error.message if status != 500 else _UNEXPECTED
    return Response({"error_msg": message, "error_code": code}, status_code=status)


iam_exception_handlers: ExceptionHandlersMap = {e.StillframeError: on_iam_error}


def _log(error: e.StillframeError, status: int) -> None:
    if status >= 500 and not isinstance(error, e.NotOfferedError):
        log.error("request.failed", exc_info=error, cause=str(error.cause))
