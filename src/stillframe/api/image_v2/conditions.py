"""Conditional requests for data: what If-Match and its like make of a GET.

Source: RFC 9110, section 13.2.2 (the order of precedence).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import msgspec

OK, NOT_MODIFIED, PRECONDITION_FAILED = 200, 304, 412


class Validators(msgspec.Struct, frozen=True):
    """`etag` without quotes, None when it is not known; `modified_at` is when the data was written."""

    etag: str | None
    modified_at: datetime

    def headers(self) -> dict[str, str]:
        modified = {"Last-Modified": format_datetime(self.modified_at.replace(microsecond=0), usegmt=True)}
        return modified | ({"ETag": f'"{self.etag}"'} if self.etag else {})


def outcome(asked: Mapping[str, str], data: Validators) -> int:
    """The status of a GET before its range is looked at."""
    if "if-match" in asked:
        if not _matches(asked["if-match"], data.etag):
            return PRECONDITION_FAILED
    elif (unmodified_since := _moment(asked.get("if-unmodified-since"))) and _is_newer(data, unmodified_since):
        return PRECONDITION_FAILED
    if "if-none-match" in asked:
        return NOT_MODIFIED if _matches(asked["if-none-match"], data.etag) else OK
    modified_since = _moment(asked.get("if-modified-since"))
    return NOT_MODIFIED if modified_since and not _is_newer(data, modified_since) else OK


def range_applies(asked: Mapping[str, str], data: Validators) -> bool:
    """False when the part of the data that the client has belongs to other data."""
    condition = asked.get("if-range", "").strip()
    if not condition or condition == f'"{data.etag}"':
        return True
    return _moment(condition) == data.modified_at.replace(microsecond=0)


def _matches(condition: str, etag: str | None) -> bool:
    named = {one.strip().removeprefix("W/") for one in condition.split(",")}
    return "*" in named or (etag is not None and f'"{etag}"' in named)


def _moment(text: str | None) -> datetime | None:
    """None also for what is no date, which is to be ignored."""
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _is_newer(data: Validators, moment: datetime) -> bool:
    return data.modified_at.replace(microsecond=0) > moment
