"""Answers the S3 endpoint's question what an access key opens, over a socket only this user can reach.

One connection, one question, one answer, each a line of JSON:

    {"access_key": "..."}
    {"secret": "...", "project_id": "..."}   or   {"error": "..."}
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger("stillframe.obs_auth")

_LIMIT_BYTES = 4096
_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class ObsAccount:
    """What an access key opens: the buckets of one project, to requests signed with this secret."""

    secret: str = field(repr=False)
    project_id: str


class _Question(msgspec.Struct):
    access_key: str


class ObsAuthServer:
    """`lookup` gives None for a key that opens nothing (any more)."""

    def __init__(self, path: Path, lookup: Callable[[str], Awaitable[ObsAccount | None]]) -> None:
        self._path = path
        self._lookup = lookup
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Takes the place of a socket that a former process left behind."""
        listener = socket.socket(socket.AF_UNIX)
        self._path.unlink(missing_ok=True)
        listener.bind(str(self._path))
        os.chmod(self._path, 0o600)  # noqa: PTH101
        self._server = await asyncio.start_unix_server(self._answer, sock=listener, limit=_LIMIT_BYTES)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                writer.write(msgspec.json.encode(await self._account(await reader.readline())) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("obs_auth.unanswered", error=repr(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _account(self, line: bytes) -> dict[str, str]:
        try:
            question = msgspec.json.decode(line, type=_Question)
        except msgspec.DecodeError:
            return {"error": "the question is malformed"}
        try:
            account = await self._lookup(question.access_key)
        except Exception:
            # The endpoint refuses the request; the next one asks again.
            log.exception("obs_auth.lookup_failed", access_key=question.access_key)
            return {"error": "the key could not be looked up"}
        if account is None:
            return {"error": "the key opens nothing"}
        return {"secret": account.secret, "project_id": account.project_id}
