"""What the command can fail with, as exit codes, and what a user can do about each error code of the services."""

import enum
import html
import json
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import requests

_SERVICE_CODE = re.compile(r"\b(?:IMG|Ecs|EVS|VPC|IAM|APIGW|Common)\.\d{4}\b")


class ExitCode(enum.IntEnum):
    OK = 0
    FAILED = 1
    """The service refused or failed the operation, or a job ended with FAIL."""
    USAGE = 2
    """The command line or the configuration is wrong, or a name fits several things."""
    AUTHENTICATION = 3
    """Who we are was not accepted, or is not allowed to do this."""
    NOT_FOUND = 4
    CONFLICT = 5
    """The thing is there, but in a state that does not permit the operation."""
    UNREACHABLE = 6
    """Nothing answers, or it says it is not available."""
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


class CliError(Exception):
    """An expected failure: told in one or two lines, without a traceback."""

    def __init__(
        self, message: str, *, exit_code: ExitCode = ExitCode.FAILED, code: str = "", hint: str = "", status: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.code = code
        self.hint = hint
        self.status = status
        """The HTTP status, 0 where no answer was involved."""

    def __str__(self) -> str:
        return f"{self.code} {self.message}" if self.code else self.message


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which ends a command just as Ctrl-C does: cleaned up."""


class Remedy(NamedTuple):
    """Names in braces are filled from what the command worked on: {server}, {image}, {target}, {job}."""

    exit_code: ExitCode
    hint: str = ""


_NAME = Remedy(ExitCode.USAGE, "use 1 to 128 letters, digits, spaces, '-', '_' or '.', no space at either end")
_TARGET = Remedy(ExitCode.USAGE, "write the target as bucket:path/name.qcow2, without spaces or special characters")
_TAGS = Remedy(ExitCode.USAGE, "use --tag key=value, at most 10: key up to 36, value up to 43 of A-Z a-z 0-9 _ -")
_NO_IMAGE = Remedy(ExitCode.NOT_FOUND, "see which images there are: stillframe image list")
_NOT_EXPORTABLE = Remedy(ExitCode.FAILED, "such images cannot leave the service; capture a server of your own instead")
_NOT_YOURS = Remedy(
    ExitCode.AUTHENTICATION, "only the project that owns the image may do this: choose it with --os-cloud"
)

REMEDIES: Mapping[str, Remedy] = {
    "IMG.0002": _NAME,
    "IMG.0003": _NAME,
    "IMG.0013": _NAME,
    "IMG.0004": Remedy(ExitCode.USAGE, "shorten the description to 1024 characters"),
    "IMG.0054": Remedy(ExitCode.USAGE, "the description may not hold '<', '>' or line breaks"),
    "IMG.0115": _TAGS,
    "IMG.0116": _TAGS,
    "IMG.0005": Remedy(ExitCode.NOT_FOUND, "see which servers there are: stillframe server list"),
    "IMG.0008": Remedy(ExitCode.CONFLICT, "stop the server first: stillframe server stop {server} --wait"),
    "IMG.0009": Remedy(ExitCode.CONFLICT, "choose another --name, or delete the image that has it"),
    "IMG.0010": Remedy(
        ExitCode.CONFLICT, "wait until the server's running task is done: stillframe server show {server}"
    ),
    "IMG.0110": Remedy(ExitCode.CONFLICT, "the server's disk is not ready: stillframe server show {server}"),
    "IMG.0006": Remedy(ExitCode.CONFLICT, "the server's disk is not ready: stillframe server show {server}"),
    "IMG.0063": Remedy(ExitCode.CONFLICT, "it was started from an ISO file: its disk can be captured, as a volume"),
    "IMG.0111": Remedy(ExitCode.FAILED, "system disks of up to 1024 GB can be captured"),
    "IMG.0119": Remedy(ExitCode.CONFLICT, "attach a system disk to the server first"),
    "IMG.0015": Remedy(
        ExitCode.FAILED, "delete images nobody needs (stillframe image list --type private) or raise the quota"
    ),
    "IMG.0060": Remedy(ExitCode.FAILED, "too many image jobs are running: wait for some of them to finish"),
    "IMG.0023": Remedy(ExitCode.NOT_FOUND, "a job is visible only in the project it was started in: check --os-cloud"),
    "IMG.0026": Remedy(ExitCode.AUTHENTICATION, "this user's role does not allow it: use another cloud (--os-cloud)"),
    "IMG.0030": Remedy(ExitCode.AUTHENTICATION, "the token is for another project: check project_name of this cloud"),
    "IMG.0027": _NO_IMAGE,
    "IMG.0066": _NO_IMAGE,
    "IMG.0144": _NO_IMAGE,
    "IMG.0028": Remedy(ExitCode.CONFLICT, "the image is protected; its owner has to unprotect it first"),
    "IMG.0046": Remedy(ExitCode.CONFLICT, "wait until the image is active: stillframe image show {image}"),
    "IMG.0090": Remedy(ExitCode.CONFLICT, "wait until the image is active: stillframe image show {image}"),
    "IMG.0047": _NOT_YOURS,
    "IMG.0092": _NOT_YOURS,
    "IMG.0094": _NOT_YOURS,
    "IMG.0017": _TARGET,
    "IMG.0068": _TARGET,
    "IMG.0073": _TARGET,
    "IMG.0074": _TARGET,
    "IMG.0075": _TARGET,
    "IMG.0109": _TARGET,
    "IMG.0175": _TARGET,
    "IMG.0069": Remedy(
        ExitCode.NOT_FOUND, "create the bucket first, in the same project, with any S3 client (keys: ak and sk)"
    ),
    "IMG.0055": Remedy(ExitCode.USAGE, "give a --min-disk that the disk in the file fits"),
    "IMG.0056": Remedy(ExitCode.USAGE, "choose an --os-version that the service knows"),
    "IMG.0166": Remedy(ExitCode.USAGE, "say which system the ISO file installs: --os-version"),
    "IMG.0057": Remedy(
        ExitCode.FAILED, "if the object is there, see what qemu-img info says about the file, and convert it to qcow2"
    ),
    "IMG.0058": Remedy(ExitCode.FAILED, "use a bucket in the region of this cloud"),
    "IMG.0059": Remedy(ExitCode.FAILED, "what is compressed has to fit --min-disk; of larger files only --quick helps"),
    "IMG.0070": Remedy(ExitCode.CONFLICT, "{target} exists already: delete that object or choose another name"),
    "IMG.0072": Remedy(ExitCode.USAGE, "choose --format qcow2, vhd or vmdk"),
    "IMG.0148": Remedy(ExitCode.CONFLICT, "this image is being exported already; wait for that job to finish"),
    "IMG.0071": _NOT_EXPORTABLE,
    "IMG.0077": _NOT_EXPORTABLE,
    "IMG.0079": _NOT_EXPORTABLE,
    "IMG.0080": _NOT_EXPORTABLE,
    "IMG.0128": _NOT_EXPORTABLE,
    "IMG.0160": Remedy(ExitCode.FAILED, "export it as it is stored: --quick"),
    "IMG.0167": _NOT_EXPORTABLE,
    "IMG.0014": Remedy(ExitCode.FAILED, "unless somebody has cancelled it: try again, then see the log of the service"),
    "IMG.0018": Remedy(ExitCode.FAILED, "try again; the service's log says why the job could not be stored"),
    "IMG.0138": Remedy(ExitCode.FAILED, "import the file without --configure"),
    "IMG.0061": Remedy(ExitCode.FAILED, "the service itself failed: its log has the request id"),
    "Ecs.0114": Remedy(ExitCode.NOT_FOUND, "see which servers there are: stillframe server list"),
    "Ecs.0100": Remedy(ExitCode.CONFLICT, "wait for the server's status to change: stillframe server show {server}"),
}

_BY_STATUS: Mapping[int, Remedy] = {
    401: Remedy(ExitCode.AUTHENTICATION, "check user, password and project of this cloud (stillframe token issue)"),
    403: Remedy(ExitCode.AUTHENTICATION),
    404: Remedy(ExitCode.NOT_FOUND),
    409: Remedy(ExitCode.CONFLICT),
    429: Remedy(ExitCode.FAILED, "too many requests: wait a little and try again"),
    502: Remedy(ExitCode.UNREACHABLE, "the service is not available right now: try again"),
    503: Remedy(ExitCode.UNREACHABLE, "the service is not available right now: try again"),
    504: Remedy(ExitCode.UNREACHABLE, "the service is not available right now: try again"),
}


class _About(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()


def find_remedy(code: str, status: int, about: Mapping[str, str] | None = None) -> Remedy:
    """The exit code and the filled-in hint for a service's error code, or for its status where that says nothing."""
    remedy = REMEDIES.get(code) or _BY_STATUS.get(status) or Remedy(ExitCode.FAILED)
    words = _About({name: shlex.quote(value) for name, value in (about or {}).items()})
    return Remedy(remedy.exit_code, remedy.hint.format_map(words))


def error_from_response(response: "requests.Response", about: Mapping[str, str] | None = None) -> CliError:
    code, message = read_envelope(response.text)
    remedy = find_remedy(code, response.status_code, about)
    return CliError(
        message or f"{response.request.method} {response.url} answered {response.status_code} {response.reason}",
        exit_code=remedy.exit_code,
        code=code,
        hint=remedy.hint,
        status=response.status_code,
    )


def error_from_job(code: str | None, reason: str | None, about: Mapping[str, str] | None = None) -> CliError:
    """A job that ended with FAIL exits with 1 whatever its code: the request itself was accepted."""
    remedy = find_remedy(code or "", 0, about)
    return CliError(reason or "the job failed without giving a reason", code=code or "", hint=remedy.hint)


def read_envelope(text: str) -> tuple[str, str]:
    """Code (may be empty) and message of any service's error body.

    Keystone, IMS and ECS wrap them in `error`, Nova and Neutron in a key of their own, Glance does not wrap them, the
    API gateway says `error_code` and `error_msg`.
    """
    try:
        body = json.loads(text)
    except ValueError:
        return "", ""
    found = _find_message(body)
    message = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found.get("message", ""))).split())
    match = _SERVICE_CODE.search(found.get("code", "")) or _SERVICE_CODE.search(message)
    code = match.group() if match else ""
    return code, message.removeprefix(code).lstrip(" :") if code else message


def _find_message(body: Any) -> dict[str, str]:
    if not isinstance(body, dict):
        return {}
    message = body.get("message") or body.get("error_msg")
    if isinstance(message, str):
        return {"message": message, "code": str(body.get("code") or body.get("error_code") or "")}
    for value in body.values():
        if found := _find_message(value):
            return found
    return {}
