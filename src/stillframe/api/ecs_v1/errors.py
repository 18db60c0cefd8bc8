"""How ECS spells our errors: {"error": {"code": "Ecs.0114", "message": ...}}.

Source: Open Telekom Cloud, ECS API reference, "Error Codes". Its table answers some refusals with 202 and 501, which
its own clients take for success and for a missing operation; here they are what the others of their kind are.
"""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.images.errors import ImageNotBootableError, ImageNotFoundError
from stillframe.networks.errors import AddressInUseError, NetworkQuotaExceededError, NoAddressLeftError

log = structlog.get_logger("stillframe.api.ecs")


class AutoRecoveryError(e.ConflictError):
    code = "auto_recovery_unsupported"
    default_message = "The flavor does not support automatic recovery."


class DiskNotAttachedError(e.NotFoundError):
    code = "disk_not_attached"
    default_message = "The EVS disk is not attached to the ECS."


FIELD_CODES = {
    "adminPass": "Ecs.0011",
    "count": "Ecs.0913",
    "flavorRef": "Ecs.0007",
    "imageRef": "Ecs.0031",
    "ip_address": "Ecs.0039",
    "name": "Ecs.0915",
    "nics": "Ecs.0064",
    "servers": "Ecs.0118",
    "subnet_id": "Ecs.0038",
    "tags": "Ecs.0906",
    "tag keys": "Ecs.0908",
    "too many tags": "Ecs.0905",
    "volume_type": "Ecs.0043",
    "vpcid": "Ecs.0014",
}
"""The code of an InvalidInputError by the field it names."""

NAMED_CODES: dict[type[object], str] = {
    e.FlavorNotFoundError: "Ecs.0029",
    ImageNotFoundError: "Ecs.0031",
    ImageNotBootableError: "Ecs.0032",
    e.KeypairNotFoundError: "Ecs.0314",
    e.NetworkNotFoundError: "Ecs.0014",
    e.VolumeNotFoundError: "Ecs.0103",
    e.SnapshotStateError: "Ecs.0103",
}
"""The code of an InvalidInputError by what the body names and what is not there, which is its cause."""

TABLE: dict[type[e.StillframeError], tuple[int, str]] = {
    e.RequestBodyEmptyError: (400, "Common.0002"),
    e.ProjectMismatchError: (400, "Ecs.0023"),
    e.ServerNotFoundError: (404, "Ecs.0114"),
    e.JobNotFoundError: (400, "Common.0011"),
    e.VolumeNotFoundError: (400, "Ecs.0103"),
    e.VolumeStateError: (400, "Ecs.0103"),
    AutoRecoveryError: (400, "Ecs.0036"),
    DiskNotAttachedError: (404, "Ecs.0111"),
    e.DevicePlaceTakenError: (400, "Ecs.0017"),
    e.TooManyDisksError: (400, "Ecs.0104"),
    e.ServerQuotaExceededError: (400, "Ecs.0001"),
    e.VolumeQuotaExceededError: (400, "Ecs.0021"),
    e.HostDiskError: (400, "Ecs.0021"),
    e.HostMemoryError: (400, "Ecs.0319"),
    NetworkQuotaExceededError: (400, "Ecs.0013"),
    AddressInUseError: (400, "Ecs.0010"),
    NoAddressLeftError: (400, "Ecs.0012"),
    e.ServerStateError: (400, "Ecs.0100"),
    e.ServerBusyError: (400, "Ecs.0100"),
    e.ForbiddenError: (403, "Ecs.0003"),
    e.NetworkNotFoundError: (400, "Ecs.0014"),
    e.NotFoundError: (404, "Ecs.0005"),
    e.NotOfferedError: (501, "Ecs.0000"),
    e.UnavailableError: (503, "Common.0001"),
    e.LimitExceededError: (400, "Ecs.0001"),
    e.ConflictError: (400, "Ecs.0000"),
    e.InvalidInputError: (400, "Ecs.0005"),
    e.StillframeError: (500, "Common.0001"),
}


def status_and_code(error: e.StillframeError) -> tuple[int, str]:
    status, code = next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)
    if code == TABLE[e.InvalidInputError][1] and isinstance(error, e.InvalidInputError):
        named = NAMED_CODES.get(type(error.cause))
        return status, FIELD_CODES.get(error.field or "") or named or code
    return status, code


def _envelope(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response[dict[str, Any]]:
    body = {"error": {"code": code, "message": message}}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def answer_error(_request: Request[Any, Any, Any], error: e.StillframeError) -> Response[dict[str, Any]]:
    status, code = status_and_code(error)
    if status >= 500 and status != 501:
        log.error("ecs.failed", code=error.code, cause=str(error.cause), exc_info=error)
    return _envelope(status, code, error.message)


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    return _envelope(error.status_code, "Ecs.0005", error.detail, dict(error.headers or {}))


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("ecs.broke", exc_info=error)
    return _envelope(500, "Common.0001", e.StillframeError.default_message)


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
