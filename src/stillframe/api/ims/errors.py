"""How IMS spells our errors: a class, its status and its code. The nearest base class decides for those not listed.

Source: Open Telekom Cloud, IMS API reference, "Error Codes" and "Status Codes".
"""

from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from stillframe import errors as e
from stillframe.api.ims.codes import TEXTS
from stillframe.images import errors as ie
from stillframe.images import refusals as r
from stillframe.transfers import errors as te

log = structlog.get_logger("stillframe.api.ims")

TABLE: dict[type[e.StillframeError], tuple[int, str]] = {
    e.RequestFormatError: (400, "IMG.0001"),
    e.ImageNameTooLongError: (400, "IMG.0002"),
    e.ImageNameInvalidError: (400, "IMG.0003"),
    e.DescriptionTooLongError: (400, "IMG.0004"),
    e.ServerNotFoundError: (400, "IMG.0005"),
    e.SystemDiskRefusedError: (400, "IMG.0006"),
    e.RequestBodyEmptyError: (400, "IMG.0007"),
    e.ServerNotStoppedError: (400, "IMG.0008"),
    e.ImageNameTakenError: (400, "IMG.0009"),
    e.ServerBusyError: (400, "IMG.0010"),
    e.ServerIdMissingError: (400, "IMG.0012"),
    e.ImageNameMissingError: (400, "IMG.0013"),
    ie.TooManyError: (400, "IMG.0001"),
    ie.ImageQuotaExceededError: (400, "IMG.0015"),
    e.UrlFormatInvalidError: (400, "IMG.0017"),
    e.JobNotStoredError: (500, "IMG.0018"),
    e.JobNotFoundError: (400, "IMG.0023"),
    e.ImageTypeFilterInvalidError: (400, "IMG.0024"),
    ie.ImageNotFoundError: (400, "IMG.0027"),
    e.ProjectMismatchError: (400, "IMG.0030"),
    e.ImageNotActiveError: (400, "IMG.0046"),
    e.NotImageOwnerError: (400, "IMG.0047"),
    e.DescriptionInvalidError: (400, "IMG.0054"),
    e.ImageSizesInvalidError: (400, "IMG.0055"),
    e.OsVersionInvalidError: (400, "IMG.0056"),
    e.BucketRegionError: (400, "IMG.0058"),
    e.ImageJobLimitError: (400, "IMG.0060"),
    e.ServerNotCapturableError: (400, "IMG.0063"),
    e.ImageIdInvalidError: (400, "IMG.0066"),
    e.BucketNameEmptyError: (400, "IMG.0068"),
    e.BucketRefusedError: (400, "IMG.0069"),
    e.BucketUnreachableError: (503, "IMG.0061"),
    e.ObjectNotFoundError: (400, "IMG.0057"),
    e.ObjectExistsError: (400, "IMG.0070"),
    e.ImageNotExportableError: (400, "IMG.0071"),
    e.ExportFormatInvalidError: (400, "IMG.0072"),
    e.ExportNameEmptyError: (400, "IMG.0073"),
    e.ExportNameTooLongError: (400, "IMG.0074"),
    e.ExportNameInvalidError: (400, "IMG.0075"),
    e.PublicImageExportError: (400, "IMG.0077"),
    e.ChargedImageExportError: (400, "IMG.0079"),
    e.BackupImageExportError: (400, "IMG.0080"),
    e.BucketNameInvalidError: (400, "IMG.0109"),
    e.SystemDiskUnavailableError: (400, "IMG.0110"),
    e.SystemDiskTooLargeError: (400, "IMG.0111"),
    e.ImageTagInvalidError: (400, "IMG.0115"),
    e.TooManyImageTagsError: (400, "IMG.0116"),
    e.ServerHasNoSystemDiskError: (400, "IMG.0119"),
    e.VolumeNotFoundError: (400, "IMG.0120"),
    e.VolumeStateError: (400, "IMG.0022"),
    e.WholeCaptureStateError: (400, "IMG.0126"),
    e.WholeCaptureRunningError: (400, "IMG.0136"),
    e.OtherDisksBusyError: (400, "IMG.0139"),
    e.DisksOfSeveralServersError: (400, "IMG.0140"),
    e.WholeImageExportError: (400, "IMG.0128"),
    e.ExportRunningError: (400, "IMG.0148"),
    e.EnterpriseProjectInvalidError: (400, "IMG.0155"),
    e.ExportTooLargeError: (400, "IMG.0160"),
    e.IsoImageRefusedError: (400, "IMG.0167"),
    e.UrlHasSpaceError: (400, "IMG.0175"),
    e.FlavorFilterInvalidError: (400, "IMG.0192"),
    r.BackupIdMissingError: (400, "IMG.0019"),
    r.BackupNotFoundError: (400, "IMG.0020"),
    r.BackupServiceMissingError: (400, "IMG.0180"),
    r.ResourceTypeError: (400, "IMG.0021"),
    r.ResourceIdInvalidError: (400, "IMG.0031"),
    r.AttributeConflictError: (400, "IMG.0035"),
    r.ProjectListEmptyError: (400, "IMG.0041"),
    r.CopyTooLargeError: (400, "IMG.0059"),
    r.CopyLimitError: (400, "IMG.0060"),
    r.ImageNameBlankError: (400, "IMG.0062"),
    r.ProjectIdInvalidError: (400, "IMG.0067"),
    r.ShareWithOneselfError: (400, "IMG.0076"),
    r.ImageListEmptyError: (400, "IMG.0086"),
    r.MemberLimitError: (400, "IMG.0088"),
    r.PublicImageSharingError: (400, "IMG.0089"),
    r.KeyNotFoundError: (400, "IMG.0095"),
    r.SameKeyError: (400, "IMG.0096"),
    r.EncryptedImageSharingError: (400, "IMG.0098"),
    r.OriginalKeyNotFoundError: (400, "IMG.0101"),
    r.OperationNotSupportedError: (400, "IMG.0105"),
    r.ForeignImageError: (400, "IMG.0106"),
    r.ProjectUnknownError: (400, "IMG.0108"),
    r.MembersNotAddedError: (400, "IMG.0112"),
    r.MembersNotRemovedError: (400, "IMG.0113"),
    r.NotSharedWithCallerError: (400, "IMG.0114"),
    ie.MemberNotFoundError: (400, "IMG.0114"),
    r.BareMetalKeyError: (400, "IMG.0118"),
    r.ObjectMissingError: (400, "IMG.0121"),
    r.WholeImageCopyError: (400, "IMG.0130"),
    r.WholeImageSharingError: (400, "IMG.0135"),
    r.FirmwareInvalidError: (400, "IMG.0141"),
    r.ImageVanishedError: (400, "IMG.0144"),
    r.FlavorLookupError: (400, "IMG.0191"),
    r.ShareNotAcceptedError: (400, "IMG.0196"),
    r.EncryptedShareCopyError: (400, "IMG.0197"),
    r.ArchitectureInvalidError: (400, "IMG.0212"),
    e.ImageCaptureFailedError: (400, "IMG.0014"),
    e.JobCancelledError: (400, "IMG.0014"),
    e.ToolFailedError: (400, "IMG.0014"),
    e.GuestToolsMissingError: (400, "IMG.0014"),
    e.GuestDiskUnreadableError: (400, "IMG.0138"),
    te.ImageTypeInvalidError: (400, "IMG.0024"),
    te.DiskLargerThanImageError: (400, "IMG.0055"),
    te.ImageFileInvalidError: (400, "IMG.0057"),
    te.ImageFileChecksumError: (400, "IMG.0057"),
    te.ImageFileTooLargeError: (400, "IMG.0059"),
    te.ImageSourceInvalidError: (400, "IMG.0117"),
    te.OsTypeInvalidError: (400, "IMG.0122"),
    te.DuplicateFileError: (400, "IMG.0123"),
    te.OsInfoMissingError: (400, "IMG.0166"),
    te.TooManyFilesError: (400, "IMG.0194"),
    te.RegistrationFailedError: (400, "IMG.1075"),
    e.ForbiddenError: (403, "IMG.0026"),
    e.NotOfferedError: (501, "IMG.0105"),
    e.UnavailableError: (503, "IMG.0061"),
    e.LimitExceededError: (400, "IMG.0060"),
    e.NotFoundError: (400, "IMG.0121"),
    e.InvalidInputError: (400, "IMG.0001"),
    e.ConflictError: (400, "IMG.0105"),
    e.StillframeError: (500, "IMG.0061"),
}

_KINDS = {kind.code: kind for kind in TABLE}
_UNKNOWN = "IMG.0061"


def job_error_code(code: str) -> str:
    """The IMG code of an error that a job recorded by our own stable code."""
    return TABLE[_KINDS[code]][1] if code in _KINDS else _UNKNOWN


def job_fail_reason(code: str, message: str) -> str:
    kind = _KINDS.get(code, e.StillframeError)
    return _text(kind, job_error_code(code), message)


def status_and_code(error: e.StillframeError) -> tuple[int, str]:
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def _text(kind: type[e.StillframeError], code: str, message: str) -> str:
    """The documented text first; what we know beyond it (the field, the way out) after it."""
    text = TEXTS[code]
    says_no_more = message in (text, kind.default_message) or issubclass(kind, ie.ImageNotFoundError)
    return text if says_no_more or message.startswith(text) else f"{text} {message}"


def _envelope(status: int, code: str, message: str) -> Response[Mapping[str, Any]]:
    return Response({"error": {"code": code, "message": message}}, status_code=status)


def answer_error(_request: Request[Any, Any, Any], error: e.StillframeError) -> Response[Mapping[str, Any]]:
    status, code = status_and_code(error)
    if status >= 500:
        log.error("ims.failed", code=error.code, cause=str(error.cause), exc_info=error)
    return _envelope(status, code, error.message if status >= 500 else _text(type(error), code, error.message))


def answer_not_found(_request: Request[Any, Any, Any], error: e.NotFoundError) -> Response[Mapping[str, Any]]:
    """For paths that name what is missing."""
    _, code = status_and_code(error)
    return _envelope(404, code, _text(type(error), code, error.message))


def answer_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Mapping[str, Any]]:
    """Litestar's own: only what it could not parse gets here, since routing happens before a door is chosen."""
    return _envelope(error.status_code, "IMG.0001", e.RequestFormatError.default_message)


def answer_unknown(_request: Request[Any, Any, Any], error: Exception) -> Response[Mapping[str, Any]]:
    log.error("ims.broke", exc_info=error)
    return _envelope(500, _UNKNOWN, e.StillframeError.default_message)


exception_handlers: dict[Any, Any] = {
    e.StillframeError: answer_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown,
}
