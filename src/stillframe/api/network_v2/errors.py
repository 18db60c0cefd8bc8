"""How Neutron spells our errors.

Source: OpenStack Networking API v2.0 reference, "Faults".
"""

from itertools import pairwise
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.networks.errors import AddressInUseError, NetworkThingInUseError, NoAddressLeftError, RuleExistsError

log = structlog.get_logger("stillframe.api.network_v2")

STATUSES: dict[type[e.StillframeError], int] = {
    e.InvalidInputError: 400,
    e.UnauthenticatedError: 401,
    e.ForbiddenError: 403,
    e.NotFoundError: 404,
    e.ConflictError: 409,
    e.LimitExceededError: 409,
    e.NotOfferedError: 501,
    e.UnavailableError: 503,
    e.StillframeError: 500,
}
_TYPES = {400: "BadRequest", 403: "PolicyNotAuthorized", 404: "NotFound", 501: "NotImplemented"}
_TYPES_OF_CLASSES: dict[type[e.StillframeError], str] = {
    AddressInUseError: "IpAddressAlreadyAllocated",
    NoAddressLeftError: "IpAddressGenerationFailure",
    RuleExistsError: "SecurityGroupRuleExists",
    e.LimitExceededError: "OverQuota",
}
_THINGS = {
    "networks": "Network",
    "subnets": "Subnet",
    "ports": "Port",
    "routers": "Router",
    "floatingips": "FloatingIP",
    "security-groups": "SecurityGroup",
    "security-group-rules": "SecurityGroupRule",
    "address-groups": "AddressGroup",
}
"""How the types of errors name what a path leads to."""


def status_of(error: e.StillframeError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _type_of(error: e.StillframeError, path: str) -> str:
    """As far as clients have been seen to look at it."""
    for kind, name in _TYPES_OF_CLASSES.items():
        if isinstance(error, kind):
            return name
    words = path.split("/")
    thing = next(
        (_THINGS[word] for word, its_id in pairwise(words) if word in _THINGS and its_id in error.message), None
    )
    if thing is not None and isinstance(error, NetworkThingInUseError):
        return f"{thing}InUse"
    if thing is not None and isinstance(error, e.NotFoundError):
        return f"{thing}NotFound"
    return _TYPES.get(status_of(error), "NeutronException")


def _envelope(
    status: int, message: str, headers: dict[str, str] | None = None, kind: str = ""
) -> Response[dict[str, Any]]:
    kind = kind or _TYPES.get(status, "NeutronException")
    body = {"NeutronError": {"type": kind, "message": message, "detail": ""}}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def answer_error(request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, Any]]:
    status = status_of(error)
    if status >= 500 and status != 501:
        log.error("network.failed", code=error.code, cause=str(error.cause), exc_info=error)
    return _envelope(status, error.message, kind=_type_of(error, request.scope["path"]))


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Unknown paths, wrong methods, bodies too large: what is refused before a handler runs."""
    return _envelope(error.status_code, error.detail, dict(error.headers or {}))


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("network.broke", exc_info=error)
    return _envelope(500, e.StillframeError.default_message)


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
