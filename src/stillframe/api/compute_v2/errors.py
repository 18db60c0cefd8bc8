"""How Nova spells our errors: a class, its status, and an envelope named after the status.

Cinder spells them alike, with a few statuses of its own; its door makes its handlers here too.

Source: OpenStack Compute API guide, "Faults".
"""

from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e

log = structlog.get_logger("stillframe.api.compute_v2")

UNEXPECTED = "Unexpected API Error. The request's id tells the operator more."

ENVELOPES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    501: "notImplemented",
    503: "serviceUnavailable",
}
"""Every other status is a `computeFault`."""


class MicroversionUnsupportedError(e.InvalidInputError):
    code = "microversion_unsupported"
    default_message = "The API version asked for is not supported."


STATUSES: dict[type[e.StillframeError], int] = {
    MicroversionUnsupportedError: 406,
    e.InvalidInputError: 400,
    e.UnauthenticatedError: 401,
    e.ForbiddenError: 403,
    e.LimitExceededError: 403,
    e.NotFoundError: 404,
    e.ConflictError: 409,
    e.VolumeStateError: 400,
    e.NotOfferedError: 501,
    e.UnavailableError: 503,
    e.StillframeError: 500,
}


def status_of(error: e.StillframeError, statuses: Mapping[type[e.StillframeError], int] = STATUSES) -> int:
    return next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)


def envelope(status: int, message: str, headers: dict[str, str] | None = None) -> Response[dict[str, Any]]:
    body = {ENVELOPES.get(status, "computeFault"): {"code": status, "message": message}}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def make_exception_handlers(statuses: Mapping[type[e.StillframeError], int]) -> dict[Any, Any]:
    def answer_error(_request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, Any]]:
        status = status_of(error, statuses)
        if status >= 500 and status != 501:
            log.error("compute.failed", code=error.code, cause=str(error.cause), exc_info=error)
        return envelope(status, error.message)

    return {e.StillframeError: answer_error, HTTPException: _answer_http_error, Exception: _answer_unknown}


def _answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Unknown paths, wrong methods, bodies too large: what is refused before a handler runs."""
    return envelope(error.status_code, error.detail, dict(error.headers or {}))


def _answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("compute.broke", exc_info=error)
    return envelope(500, UNEXPECTED)


exception_handlers = make_exception_handlers(STATUSES)
