"""Every error Stillframe raises on purpose, as one tree. No HTTP here: each door maps classes to its own statuses.

StillframeError                     something unexpected (500 at every door)
├── InvalidInputError               what the caller sent breaks a rule; `field` names where
├── UnauthenticatedError            nobody, or not who they say
├── ForbiddenError                  known, but not allowed
├── NotFoundError                   not there, or not visible to the caller (never told apart)
├── ConflictError                   there, but in a state that does not permit it
├── LimitExceededError              a quota, a size or a rate
├── UnavailableError                a part we need is down or full; trying later can help
├── ToolFailedError                 a program we ran (qemu-img, QEMU) failed or overran its deadline
├── JobCancelledError               a job ended because somebody asked
└── NotOfferedError                 the contract has it, this deployment does not (yet)

A request and a job fail with the same classes: a job stores `code` and `message`.
"""

from typing import ClassVar


class StillframeError(Exception):
    """Base of the tree.

    `code` is stable and goes into logs, job rows and metrics; `message` may be shown to the caller; `cause` is for the
    log only (stderr of a tool, a driver's text).
    """

    code: ClassVar[str] = "internal_error"
    default_message: ClassVar[str] = "Unknown system error."

    def __init__(self, message: str | None = None, *, cause: object = None) -> None:
        self.message = message or self.default_message
        self.cause = cause
        super().__init__(self.message)


class InvalidInputError(StillframeError):
    code = "invalid_input"
    default_message = "The request is invalid."

    def __init__(self, message: str | None = None, *, field: str | None = None, cause: object = None) -> None:
        super().__init__(message, cause=cause)
        self.field = field


class UnauthenticatedError(StillframeError):
    code = "unauthenticated"
    default_message = "The request you have made requires authentication."


class ForbiddenError(StillframeError):
    code = "forbidden"
    default_message = "You are not authorized to perform the requested action."


class NotFoundError(StillframeError):
    code = "not_found"
    default_message = "Not found."


class ConflictError(StillframeError):
    code = "conflict"
    default_message = "The request conflicts with the state of the resource."


class LimitExceededError(StillframeError):
    code = "limit_exceeded"
    default_message = "A limit would be exceeded."


class UnavailableError(StillframeError):
    code = "unavailable"
    default_message = "The service is temporarily unavailable."


class ToolFailedError(StillframeError):
    code = "tool_failed"
    default_message = "A tool of the image service failed."


class JobCancelledError(StillframeError):
    code = "job_cancelled"
    default_message = "The job was cancelled."


class NotOfferedError(StillframeError):
    code = "not_offered"
    default_message = "This operation is not implemented in this deployment."
