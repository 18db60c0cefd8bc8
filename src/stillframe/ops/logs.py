"""Logging of every process: one JSON object per line on standard error, which the supervisor keeps bounded."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict

from stillframe.kit.clock import iso_micros_z, utcnow
from stillframe.kit.request_id import REQUEST_ID


def configure_logging(level: str) -> None:
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logging.basicConfig(stream=sys.stderr, level=max(numeric, logging.INFO), format="%(message)s", force=True)
    for noisy in ("dbos", "aiosqlite", "uvicorn.access", "qemu"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            _name_request,
            structlog.processors.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_encoded),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def _name_request(_logger: object, _method: str, event: EventDict) -> EventDict:
    if request_id := REQUEST_ID.get():
        event["request_id"] = request_id
    return event


def _stamp(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = iso_micros_z(utcnow())
    return event


def _encoded(event: EventDict, default: Callable[[Any], Any]) -> bytes:
    try:
        return msgspec.json.encode(event, enc_hook=default)
    except (UnicodeError, TypeError, OverflowError, msgspec.MsgspecError):  # half a surrogate, a key that is no text
        return json.dumps(event, default=default, skipkeys=True).encode()
