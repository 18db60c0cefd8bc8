"""The process: reads frames from the machines' sockets, hands them to the fabric, writes what comes out.

One thread and one loop, in which every card that has sent something has its turn of so many frames: who floods waits
for the others as they wait for it. The frames of a turn go out in one write per card, so the cost of a system call is
shared. A card that takes nothing has its frames dropped, as on any network.
"""

import contextlib
import os
import resource
import selectors
import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from stillframe.switch import http
from stillframe.switch.cards import UPLINK, Port
from stillframe.switch.fabric import Fabric
from stillframe.switch.plan import Answer, Plan, PortPlan, Question, ToSwitch
from stillframe.switch.tcpserver import Connection

MAX_QUEUED_BYTES = 512 * 1024
MAX_WAITING_QUESTIONS = 256
MAX_QUESTIONS_OF_A_CARD = 16
FRAMES_PER_TURN = 64
_READ_BYTES = 256 * 1024
_LONGEST_FRAME = 64 * 1024
_CONNECT_PAUSE_S = 1.0
_TICK_S = 0.1
_SWEEP_S = 30.0


class Framed:
    """A stream of messages, each after its length in four bytes: what QEMU speaks, and the worker too."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""

    def split(self, data: bytes) -> list[bytes]:
        """The whole messages so far. Raises: ConnectionError when the other side speaks something else."""
        data = self._rest + data if self._rest else data
        found, position, end = [], 0, len(data)
        while end - position >= 4:
            length = int.from_bytes(data[position : position + 4], "big")
            if length > self._longest:
                raise ConnectionError(f"a message of {length} bytes")
            if end - position - 4 < length:
                break
            found.append(data[position + 4 : position + 4 + length])
            position += 4 + length
        self._rest = data[position:]
        return found


class Link:
    """The way to one card: connected or not, it takes frames, and drops those it cannot pass on."""

    def __init__(self, path: str, selector: selectors.BaseSelector, dirty: "set[Link]") -> None:
        self.path = path
        self.port: Port | None = None
        self._selector = selector
        self._dirty = dirty
        self._socket: socket.socket | None = None
        self._framed = Framed(_LONGEST_FRAME)
        self._behind: list[bytes] = []
        self._out = bytearray()
        self._waits_to_write = False

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    def connect(self) -> None:
        """Succeeds once the machine runs."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connecting.setblocking(False)
        try:
            connecting.connect(self.path)
        except OSError:
            connecting.close()
            return
        self._socket = connecting
        self._framed = Framed(_LONGEST_FRAME)
        self._selector.register(connecting, selectors.EVENT_READ, self)

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket = None
        self._behind = []
        self._out.clear()
        self._waits_to_write = False

    def put(self, frame: bytes) -> None:
        if self._socket is not None and len(self._out) < MAX_QUEUED_BYTES:
            self._out += len(frame).to_bytes(4, "big") + frame
            self._dirty.add(self)

    def take_turn(self) -> list[bytes]:
        """Frames that have come, as many as are due now; the link closes when the machine has."""
        if not self._behind:
            self._behind = self._read()
        turn, self._behind = self._behind[:FRAMES_PER_TURN], self._behind[FRAMES_PER_TURN:]
        return turn

    @property
    def is_behind(self) -> bool:
        """Whether there are more frames at hand."""
        return bool(self._behind)

    def _read(self) -> list[bytes]:
        if self._socket is None:
            return []
        try:
            data = self._socket.recv(_READ_BYTES)
            if data:
                return self._framed.split(data)
        except BlockingIOError:
            return []
        except OSError:
            pass
        self.close()
        return []

    def flush(self) -> None:
        if self._socket is None:
            return
        try:
            sent = self._socket.send(self._out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._out[:sent]
        waits = bool(self._out)
        if waits != self._waits_to_write:
            self._waits_to_write = waits
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
            self._selector.modify(self._socket, events, self)


class Switch:
    """Serves until the worker's end of `control` closes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self)
        self._framed = Framed(2**31)
        self._fabric = Fabric(self._ask, time.monotonic())
        self._links: dict[str, Link] = {}
        self._dirty: set[Link] = set()
        self._behind: set[Link] = set()
        self._questions: dict[int, tuple[Port, Connection, bool]] = {}
        self._asked = 0
        self._connect_at = self._sweep_at = 0.0

    def serve(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                ready = self._selector.select(self._patience())
                self._fabric.now = now = time.monotonic()
                turns, self._behind = self._behind, set()
                for key, events in ready:
                    if key.data is self:
                        self._obey()
                    elif events & selectors.EVENT_READ:
                        turns.add(key.data)
                    if events & selectors.EVENT_WRITE:
                        self._dirty.add(key.data)
                for link in turns:
                    self._give_turn(link)
                self._keep_time(now)
                while self._dirty:
                    self._dirty.pop().flush()

    def _patience(self) -> float:
        if self._behind:
            return 0.0
        if self._fabric.is_busy:
            return _TICK_S
        return _CONNECT_PAUSE_S if any(not link.is_connected for link in self._links.values()) else _SWEEP_S

    def _give_turn(self, link: Link) -> None:
        if link.port is None:
            return
        take, port = self._fabric.take, link.port
        for frame in link.take_turn():
            take(port, frame)
        if link.is_behind:
            self._behind.add(link)

    def _keep_time(self, now: float) -> None:
        if self._fabric.is_busy:
            self._fabric.tick(now)
        if now >= self._connect_at:
            self._connect_at = now + _CONNECT_PAUSE_S
            for link in self._links.values():
                if not link.is_connected:
                    link.connect()
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_S
            self._fabric.sweep()

    # --- the worker --------------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        """Raises: ConnectionError when the worker is gone."""
        data = self._control.recv(1024 * 1024)
        if not data:
            raise ConnectionError
        for text in self._framed.split(data):
            message = msgspec.json.decode(text, type=ToSwitch)
            if message.plan is not None:
                self._follow(message.plan)
            if message.answer is not None:
                self._pass_on(message.answer)

    def _follow(self, plan: Plan) -> None:
        wanted = {port.id for port in plan.ports} | ({UPLINK} if plan.uplink else set())
        for port_id in set(self._links) - wanted:
            self._links.pop(port_id).close()
        self._fabric.follow(plan, self._link_for)
        for port_id, link in self._links.items():
            uplink = self._fabric.uplink
            link.port = uplink.port if uplink and port_id == UPLINK else self._fabric.ports[port_id]
            if not link.is_connected:
                link.connect()

    def _link_for(self, port: PortPlan) -> Link:
        link = Link(port.socket, self._selector, self._dirty)
        self._links[port.id] = link
        return link

    def _ask(self, port: Port, connection: Connection, data: bytes) -> None:
        request = http.parse_request(data)
        if request is None:
            connection.answer(http.response(http.failure(400)), self._fabric.now)
            return
        self._asked += 1
        question = Question(
            number=self._asked,
            server_id=port.plan.server_id,
            method=request.method,
            path=request.path,
            headers=request.headers,
        )
        try:
            own = sum(asker is port for asker, _, _ in self._questions.values())
            if len(self._questions) >= MAX_WAITING_QUESTIONS or own >= MAX_QUESTIONS_OF_A_CARD:
                raise BlockingIOError
            send_message(self._control, question)
        except OSError:
            connection.answer(http.response(http.failure(503)), self._fabric.now)
            return
        self._questions[question.number] = (port, connection, request.method == "HEAD")

    def _pass_on(self, answer: Answer) -> None:
        _, connection, without_body = self._questions.pop(answer.number, (None, None, False))
        if connection is not None and not connection.is_over:
            connection.answer(http.response(answer, without_body=without_body), self._fabric.now)


def send_message(to: socket.socket, message: Any) -> None:
    """Raises: BlockingIOError when there is no room for all of it."""
    text = msgspec.json.encode(message)
    data = len(text).to_bytes(4, "big") + text
    if to.send(data, socket.MSG_DONTWAIT) != len(data):
        raise ConnectionError("half a message was sent")


def run(control_fd: int, machines_dir: Path) -> None:
    """`machines_dir` becomes the working directory: paths of sockets are relative to it, and short."""
    os.chdir(machines_dir)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket(fileno=control_fd) as control:
        control.setblocking(False)
        Switch(control).serve()
