"""Answers given once are given again for as long as nothing in the database has changed.

Clients ask the same again and again: a job until it has ended, a list, a token on behalf of a service. What such a
request is answered with depends on its own words and on the database alone, so the same words at the same version of
the database (`db/version.py`) have the same answer, and neither token nor rows need to be looked at. Doors name the
paths for which that is so (`REMEMBERED_PATHS`); what depends on files, or on the clock in more than the end of a token,
is none of them.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, NamedTuple

import sqlalchemy as sa
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from stillframe.db import Database
from stillframe.kit.units import MIB

MAX_BYTES = 8 * MIB
"""Of all bodies that one service keeps; the longest unused go first."""
MAX_BODY_BYTES = MIB // 2
MAX_ANSWERS = 4096
WHOLE_ANSWER = "stillframe.http.response.whole"
"""An ASGI extension: one message for an answer of 200 that was sent before. `head` is its fields as on the wire, with
Content-Length; `headers` are more of them, `body` is all of it.
"""


class _Answer(NamedTuple):
    version: Hashable
    good_until: float
    """Seconds since the epoch."""
    start: Any
    """A message of ASGI, as `body`."""
    body: Any
    head: bytes
    size_bytes: int


class AnswerMemory:
    """Stands in front of authentication: an answer was given to who sent the same token before, and it still holds."""

    def __init__(self, app: ASGIApp, database: Database, paths: tuple[re.Pattern[str], ...]) -> None:
        self._app = app
        self._database = database
        self._is_remembered = re.compile("|".join(f"(?:{path.pattern})" for path in paths)).fullmatch
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._size_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET" or not self._is_remembered(scope["path"]):
            await self._app(scope, receive, send)
            return
        # All headers: no list of those that matter could forget one.
        key = (scope["raw_path"], scope["query_string"], tuple(scope["headers"]))
        try:
            version = await self._database.version()
        except sa.exc.SQLAlchemyError:  # the application tells about it in the words of its door
            await self._app(scope, receive, send)
            return
        answer = self._answers.get(key)
        if answer is not None and answer.version == version and time.time() < answer.good_until:
            self._answers.move_to_end(key)
            await _send_again(answer, scope, send)
            return
        recorder = _Recorder(send)
        await self._app(scope, receive, recorder.send)
        if recorder.is_whole:
            self._keep(key, version, scope, recorder)

    def _keep(self, key: Hashable, version: Hashable, scope: Scope, recorder: "_Recorder") -> None:
        state: dict[str, Any] = scope.get("state", {})
        caller = state.get("caller")
        if caller is None or caller.token_id is None:  # a signature holds for one request
            return
        self._forget(key)
        good_until = min(caller.expires_at, state.get("good_until", caller.expires_at))
        start, body = recorder.messages
        head = b"".join(b"%b: %b\r\n" % pair for pair in start["headers"])
        answer = _Answer(version, good_until.timestamp(), start, body, head, recorder.size_bytes)
        self._answers[key] = answer
        self._size_bytes += answer.size_bytes
        while self._size_bytes > MAX_BYTES or len(self._answers) > MAX_ANSWERS:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: Hashable) -> None:
        if answer := self._answers.pop(key, None):
            self._size_bytes -= answer.size_bytes


async def _send_again(answer: _Answer, scope: Scope, send: Send) -> None:
    if WHOLE_ANSWER in (scope.get("extensions") or ()):
        message: Any = {"type": WHOLE_ANSWER, "head": answer.head, "headers": [], "body": answer.body["body"]}
        await send(message)
        return
    await send(answer.start)
    await send(answer.body)


class _Recorder:
    """Passes an answer on and keeps it, if it is a success that is short and sent in one piece."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.messages: list[Any] = []
        self.size_bytes = 0
        self.is_whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 200:
                self.messages.append(message.copy())
        elif message["type"] == "http.response.body" and len(self.messages) == 1:
            self.messages.append(message.copy())
            self.size_bytes = len(message["body"])
            self.is_whole = not message["more_body"] and self.size_bytes <= MAX_BODY_BYTES
        await self._send(message)
