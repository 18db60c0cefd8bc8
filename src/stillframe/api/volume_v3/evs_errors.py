"""How EVS spells our errors: {"error": {"code": "EVS.1002", "message": ...}}.

Source: Open Telekom Cloud, EVS API reference, "Error Codes".
"""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.images.errors import ImageNotBootableError, ImageNotFoundError

log = structlog.get_logger("stillframe.api.evs")

FIELD_CODES = {
    "project_id": "EVS.0001",
    "name": "EVS.1003",
    "description": "EVS.1004",
    "size": "EVS.1010",
    "new_size": "EVS.1014",
    "source": "EVS.1016",
    "volume_type": "EVS.1020",
    "count": "EVS.1021",
    "limit": "EVS.1023",
    "marker": "EVS.1024",
    "availability_zone": "EVS.1036",
    "sort_key": "EVS.1039",
    "sort_dir": "EVS.1040",
    "tags": "EVS.1061",
}
"""The code of an InvalidInputError by the field it names."""

MESSAGES = {
    "EVS.0001": "invalid tenant id!",
    "EVS.0003": "invalid token roles!",
    "EVS.1002": "invalid volume id!",
    "EVS.1036": "invalid availability zone!",
}
"""Codes whose message says nothing but the code, word for word as in the reference."""

TABLE: dict[type[e.StillframeError], tuple[int, str]] = {
    e.VolumeNotFoundError: (404, "EVS.1002"),
    e.RequestBodyEmptyError: (400, "EVS.1001"),
    e.VolumeQuotaExceededError: (400, "EVS.1042"),
    e.VolumeStateError: (400, "EVS.1046"),
    e.JobNotFoundError: (404, "EVS.1070"),
    ImageNotFoundError: (400, "EVS.1070"),
    ImageNotBootableError: (400, "EVS.1070"),
    e.ForbiddenError: (403, "EVS.0003"),
    e.NotOfferedError: (501, "EVS.1070"),
    e.UnavailableError: (503, "EVS.2002"),
    e.LimitExceededError: (400, "EVS.1042"),
    e.NotFoundError: (404, "EVS.1070"),
    e.ConflictError: (400, "EVS.1070"),
    e.InvalidInputError: (400, "EVS.1052"),
    e.StillframeError: (500, "EVS.2002"),
}


def code_of(error: e.StillframeError) -> tuple[int, str]:
    if isinstance(error, e.VolumeQuotaExceededError) and "for volumes" in error.message:
        return 400, "EVS.1034"
    if isinstance(error, e.InvalidInputError) and error.field in FIELD_CODES:
        return 400, FIELD_CODES[error.field]
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def _envelope(status: int, code: str, message: str) -> Response[dict[str, Any]]:
    return Response({"error": {"code": code, "message": message}}, status_code=status, media_type="application/json")


def answer_error(_request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, Any]]:
    status, code = code_of(error)
    if status >= 500 and status != 501:
        log.error("evs.failed", code=error.code, cause=str(error.cause), exc_info=error)
    return _envelope(status, code, MESSAGES.get(code, error.message))


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    return _envelope(error.status_code, "EVS.1070", "invalid request.")


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("evs.broke", exc_info=error)
    return _envelope(500, "EVS.2002", "internal error!")


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
