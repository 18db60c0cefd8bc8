"""Keeps the switch running, tells it the plan whenever it changes, and answers what it asks.

The switch is a child of the worker and ends with it: the worker's next one starts another, which connects to the cards
of the machines that still run. Guests notice some lost frames.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import sqlalchemy as sa
import structlog

from stillframe.errors import StillframeError
from stillframe.jobs.resources import Resources
from stillframe.networks.outside import Forward
from stillframe.networks.planning import build_plan
from stillframe.ops.outside import WayOut
from stillframe.qemu.sandbox import MINIMAL_ENVIRONMENT, Access, Limits, Sandbox, SandboxKind, wrap_tool
from stillframe.servers import rows
from stillframe.servers.metadata import answer_question
from stillframe.switch.plan import Answer, Plan, Question, ToSwitch

log = structlog.get_logger("stillframe.switchboard")

RESTART_PAUSE_S = 1.0
LOOK_INTERVAL_S = 5.0
"""How often the plan is made anew when nobody says that anything has changed."""
PAUSE_S = 0.05
"""Between two plans, so that a burst of changes makes one."""
_LONGEST_QUESTION = 1024 * 1024


class Switchboard:
    """One per worker."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._way_out = WayOut(resources)
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Serves until cancelled. A switch that ends is started again."""
        while True:
            try:
                async with self._switch() as (reader, writer):
                    await self._serve(reader, writer)
            except (OSError, EOFError) as error:
                log.warning("switch.ended", error=str(error))
            finally:
                await self._way_out.end()
            await asyncio.sleep(RESTART_PAUSE_S)

    @contextlib.asynccontextmanager
    async def _switch(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _start(theirs, self._resources.layout.machines_dir)
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LONGEST_QUESTION)
        log.info("switch.started", pid=process.pid)
        try:
            yield reader, writer
        finally:
            writer.close()  # it ends by itself when nobody holds the other end
            process.terminate()
            await asyncio.to_thread(process.wait)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises: EOFError, OSError when the switch is gone."""
        tasks = [asyncio.create_task(self._tell(writer)), asyncio.create_task(self._listen(reader, writer))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        told = b""
        while True:
            self._changed.clear()
            planned = await self._plan()
            if planned is not None:
                plan, forwards = planned
                await self._way_out.follow(forwards, is_used=plan.uplink is not None)
                message = msgspec.json.encode(ToSwitch(plan=plan))
                if message != told:
                    writer.write(_framed(message))
                    await writer.drain()
                    told = message
            await asyncio.sleep(PAUSE_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_INTERVAL_S)

    async def _plan(self) -> tuple[Plan, list[Forward]] | None:
        """None when the database cannot be read: the switch goes on by the plan it has."""
        try:
            async with self._resources.database.reading() as tx:
                host_names = await rows.host_names_of_machines(tx)
                return await build_plan(tx, host_names, self._way_out.as_planned())
        except sa.exc.SQLAlchemyError as error:
            log.warning("switch.no_plan", error=str(error))
            return None

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length = int.from_bytes(await reader.readexactly(4), "big")
            question = msgspec.json.decode(await reader.readexactly(length), type=Question)
            answer = await self._answer(question)
            writer.write(_framed(msgspec.json.encode(ToSwitch(answer=answer))))
            await writer.drain()

    async def _answer(self, question: Question) -> Answer:
        try:
            async with self._resources.database.reading() as tx:
                return await answer_question(tx, question)
        except (StillframeError, sa.exc.SQLAlchemyError) as error:
            log.warning("switch.no_answer", error=str(error))
            return Answer(number=question.number, status=503, content_type="text/plain", body=b"try again\n")


def _start(control: socket.socket, machines_dir: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "stillframe.switch", str(control.fileno()), str(machines_dir)]
    sandbox = Sandbox(
        kind=SandboxKind.LIMITS_ONLY, is_root=os.geteuid() == 0, uid=os.geteuid(), gid=os.getegid(), reason=""
    )
    return subprocess.Popen(
        wrap_tool(sandbox, argv, Access(), Limits(open_files=None)),
        stdin=subprocess.DEVNULL,
        env=MINIMAL_ENVIRONMENT,
        pass_fds=[control.fileno()],
    )


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message
