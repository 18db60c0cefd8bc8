"""The documented error codes, all of them: each is answered through the door by some test, or has a reason why never.

The tests that assert a code are found by its text, so a code nobody asserts shows up here.
"""

import re
from pathlib import Path

import pytest

from stillframe.api.image_v2.errors import IMS_CODES
from stillframe.api.ims.codes import NEVER_ANSWERED, TEXTS
from stillframe.api.ims.errors import TABLE, _text
from stillframe.errors import StillframeError
from stillframe.images.errors import ImageNotFoundError

TESTS = Path(__file__).parents[2]
CODE = re.compile(r"IMG\.\d{4}")
ASKED_FOR = {
    code
    for path in TESTS.rglob("test_*.py")
    if path != Path(__file__)
    for line in path.read_text().splitlines()
    for code in CODE.findall(line)
}
"""Every code that a test names."""


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_a_code_is_answered_by_some_test_or_never(code: str) -> None:
    answered = {code for _, code in TABLE.values()} | set(IMS_CODES.values())
    if code in NEVER_ANSWERED:
        assert code not in answered
    else:
        assert code in answered, "no error of ours has it"
        assert code in ASKED_FOR, "no test asks for it"


@pytest.mark.parametrize("kind", sorted(TABLE, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_an_error_says_the_documented_text(kind: type[StillframeError]) -> None:
    _, code = TABLE[kind]
    assert _text(kind, code, kind.default_message) == TEXTS[code]
    if kind is not ImageNotFoundError:  # says which, but only to Glance's clients
        assert _text(kind, code, "name: mend it.") == f"{TEXTS[code]} name: mend it."


@pytest.mark.parametrize("kind", sorted(IMS_CODES, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_deletion_refused_by_glance_says_the_documented_text_too(kind: type[StillframeError]) -> None:
    assert kind.default_message == TEXTS[IMS_CODES[kind]]
