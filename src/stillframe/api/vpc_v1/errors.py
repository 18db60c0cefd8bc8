"""How VPC spells our errors: the thing in the path gives the first digits of the code, the class the last.

Source: Open Telekom Cloud, VPC API reference, "Error Codes".
"""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.api.network_v2.errors import log, status_of
from stillframe.networks import vpcs
from stillframe.networks.errors import AddressInUseError, NetworkThingInUseError, NoAddressLeftError

_CODES: dict[str, dict[type[e.StillframeError], str]] = {
    "vpcs": {
        e.InvalidInputError: "VPC.0101",
        e.NotFoundError: "VPC.0101",
        NetworkThingInUseError: "VPC.0104",
        e.ConflictError: "VPC.0103",
        e.LimitExceededError: "VPC.0114",
        vpcs.VpcNameTakenError: "VPC.0115",
        vpcs.SubnetOutsideVpcError: "VPC.0117",
        e.StillframeError: "VPC.0105",
    },
    "subnets": {
        e.InvalidInputError: "VPC.0201",
        e.NotFoundError: "VPC.0202",
        NetworkThingInUseError: "VPC.0208",
        e.ConflictError: "VPC.0205",
        e.LimitExceededError: "VPC.0202",
        vpcs.SubnetOutsideVpcError: "VPC.0203",
        vpcs.SubnetOverlapsError: "VPC.0204",
        e.StillframeError: "VPC.0202",
    },
    "security-groups": {
        e.InvalidInputError: "VPC.0601",
        e.NotFoundError: "VPC.0603",
        e.ConflictError: "VPC.0607",
        e.LimitExceededError: "VPC.0604",
        e.StillframeError: "VPC.0602",
    },
    "publicips": {
        e.InvalidInputError: "VPC.0501",
        e.NotFoundError: "VPC.0504",
        NetworkThingInUseError: "VPC.0517",
        AddressInUseError: "VPC.0522",
        NoAddressLeftError: "VPC.0532",
        e.ConflictError: "VPC.0511",
        e.LimitExceededError: "VPC.0521",
        e.StillframeError: "VPC.0514",
    },
    "bandwidths": {
        e.InvalidInputError: "VPC.0301",
        e.NotFoundError: "VPC.0306",
        e.StillframeError: "VPC.0302",
    },
}
_ANYWHERE: dict[type[e.StillframeError], str] = {
    e.ProjectMismatchError: "VPC.0007",
    e.ForbiddenError: "VPC.0010",
    e.NotOfferedError: "VPC.0011",
}


def _code(path: str, error: e.StillframeError) -> str:
    thing = next((word for word in reversed(path.split("/")) if word in _CODES), "vpcs")
    table = _CODES[thing] | _ANYWHERE
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def answer_error(request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, Any]]:
    status = 400 if isinstance(error, e.ProjectMismatchError) else status_of(error)
    if status >= 500 and status != 501:
        log.error("vpc.failed", code=error.code, cause=str(error.cause), exc_info=error)
    return _envelope(status, _code(request.scope["path"], error), error.message)


def _envelope(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response[dict[str, Any]]:
    body = {"code": code, "message": message}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    return _envelope(error.status_code, "VPC.0101", error.detail, dict(error.headers or {}))


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("vpc.broke", exc_info=error)
    return _envelope(500, "VPC.0105", e.StillframeError.default_message)


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
