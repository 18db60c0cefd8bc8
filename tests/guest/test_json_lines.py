"""The guest has no JSON parser but this one, in busybox awk."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stillframe.guest

SCRIPT = Path(stillframe.guest.__file__).parent / "root/usr/lib/stillframe/json-lines"

text = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=20)
leaves = st.one_of(text, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
values = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner), st.dictionaries(text, inner)), max_leaves=12)


def json_lines(document: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["busybox", "awk", "-f", SCRIPT], input=document.encode(), capture_output=True, check=False)


def flattened(value: object, path: str = "") -> Iterator[str]:
    prefix = f"{path}/" if path else ""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from flattened(inner, f"{prefix}{on_one_line(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{prefix}{index}")
    else:
        yield f"{path}\t{on_one_line(value if isinstance(value, str) else json.dumps(value))}"


def on_one_line(value: str) -> str:
    return re.sub(r"[\x00-\x1f]", " ", value)


@settings(max_examples=60, deadline=None)
@given(value=values, ensure_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_every_value_comes_out_with_its_path(value: object, ensure_ascii: bool, indent: int | None) -> None:  # noqa: FBT001
    done = json_lines(json.dumps(value, ensure_ascii=ensure_ascii, indent=indent))
    assert done.returncode == 0
    assert done.stdout.decode().split("\n")[:-1] == list(flattened(value))


@pytest.mark.parametrize("document", ['{"uuid": "a', '{"uuid"}', "[1 2]", "", '{"a": }'])
def test_what_is_no_json_fails(document: str) -> None:
    assert json_lines(document).returncode != 0
