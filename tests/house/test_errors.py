"""Every error has a row in every door's table that can meet it, and tells one story in a request and in a job."""

from collections.abc import Iterator

import pytest

import stillframe.app  # noqa: F401 - imports every room, so that every error class is known
from stillframe.api.ims.errors import TABLE, job_error_code, status_and_code
from stillframe.errors import StillframeError
from stillframe.jobs.engine import RecordedError


def every_error(root: type[StillframeError] = StillframeError) -> Iterator[type[StillframeError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


# A recorded error is any of the others once more, with the code and the message that they had.
ERRORS = sorted(
    {kind for kind in every_error() if kind.__module__.startswith("stillframe.")} - {RecordedError},
    key=lambda kind: kind.__name__,
)


def test_codes_are_stable_names_and_no_two_classes_share_one() -> None:
    codes = [kind.code for kind in ERRORS if "code" in vars(kind)]
    assert len(codes) == len(set(codes))
    assert all(code.replace("_", "").islower() for code in codes)


@pytest.mark.parametrize("kind", list(TABLE), ids=lambda kind: kind.__name__)
def test_a_job_shows_the_code_that_the_request_would_have_shown(kind: type[StillframeError]) -> None:
    assert job_error_code(kind.code) == status_and_code(kind("text"))[1]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_the_public_message_never_holds_the_private_cause(kind: type[StillframeError]) -> None:
    error = kind("what the caller sees", cause="secret detail")
    assert error.message == "what the caller sees"
    assert "secret detail" not in str(error)
