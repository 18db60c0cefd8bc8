"""Just enough of TCP to answer one HTTP request per connection, inside the switch.

                   SYN              request complete        answer known          all acknowledged
    (nothing) ───────────► waiting ─────────────────► asked ────────────► sending ────────────────► gone

There is no kernel between the guests and the switch to do it, and must be none: a guest shall reach this service and
nothing of the host's. What may be dropped is dropped: the guest repeats it, and so do we.

Source: RFC 9293.
"""

import secrets
from collections.abc import Callable

from stillframe.switch.frames import ACK, FIN, PSH, RST, SYN, Segment

MAX_CONNECTIONS = 64
MAX_REQUEST_BYTES = 16 * 1024
IDLE_S = 20.0
RESEND_S = 0.4
MAX_RESENDS = 6
_WINDOW = 32768
_MAX_SEGMENT = 1460
_BURST = 10
_MODULUS = 2**32

Send = Callable[[Segment, bytes], None]
"""A segment and its options."""
Ask = Callable[["Connection", bytes], None]


class Connection:
    """`key` tells it from others: the guest's address and port."""

    def __init__(self, key: tuple[bytes, int], send: Send, opening: Segment, now: float) -> None:
        self.key = key
        self._send_segment = send
        self._peer_port, self._own_port = opening.source_port, opening.destination_port
        self._expected = (opening.sequence + 1) % _MODULUS
        self._first = secrets.randbelow(_MODULUS)
        self._acknowledged = self._first
        """All before it has arrived."""
        self._sent = self._highest = (self._first + 1) % _MODULUS
        """What comes next, and what came furthest: sending again goes back."""
        self._window = opening.window
        self._segment_size = min(opening.max_segment, _MAX_SEGMENT)
        self._request = bytearray()
        self._answer: bytes | None = None
        self.is_asked = False
        self.is_over = False
        self._resends = 0
        self._resend_at = now + RESEND_S
        self._idle_at = now + IDLE_S
        self._send_opening()

    def _send_opening(self) -> None:
        self._emit(SYN | ACK, self._first, options=b"\x02\x04" + _MAX_SEGMENT.to_bytes(2, "big"))

    def _emit(self, flags: int, sequence: int, data: bytes = b"", options: bytes = b"") -> None:
        segment = Segment(self._own_port, self._peer_port, sequence, self._expected, flags, _WINDOW, data)
        self._send_segment(segment, options)

    def receive(self, segment: Segment, now: float) -> bytes | None:
        """The whole request, once, when this segment completes it."""
        self._idle_at = now + IDLE_S
        if segment.flags & RST:
            self.is_over = segment.sequence == self._expected
            return None
        if segment.flags & SYN:
            self._send_opening()
            return None
        if segment.flags & ACK:
            self._take_acknowledgement(segment, now)
        return self._take_data(segment)

    def _take_acknowledgement(self, segment: Segment, now: float) -> None:
        self._window = segment.window
        progress = (segment.acknowledged - self._acknowledged) % _MODULUS
        if 0 < progress <= (self._highest - self._acknowledged) % _MODULUS:
            self._acknowledged = segment.acknowledged
            if (self._sent - self._acknowledged) % _MODULUS > _MODULUS // 2:
                self._sent = self._acknowledged
            self._resends, self._resend_at = 0, now + RESEND_S
        if self._answer is not None:
            if (self._acknowledged - self._first) % _MODULUS >= len(self._answer) + 2:
                self.is_over = True
            else:
                self._send_more()

    def _take_data(self, segment: Segment) -> bytes | None:
        has_something = bool(segment.data) or bool(segment.flags & FIN)
        if segment.sequence != self._expected or not has_something:
            if has_something:
                self._emit(ACK, self._sent)  # out of turn: say again what is expected
            return None
        self._expected = (self._expected + len(segment.data) + bool(segment.flags & FIN)) % _MODULUS
        self._emit(ACK, self._sent)
        if self.is_asked:
            return None
        self._request += segment.data
        if len(self._request) > MAX_REQUEST_BYTES:
            self.abort()
            return None
        if b"\r\n\r\n" not in self._request:
            if segment.flags & FIN:
                self.abort()
            return None
        self.is_asked = True
        return bytes(self._request)

    def answer(self, data: bytes, now: float) -> None:
        self._answer = data
        self._resend_at, self._resends = now + RESEND_S, 0
        self._send_more()

    def _send_more(self) -> None:
        """As much as the guest's window and a small burst allow; the last segment says that it is the last."""
        data = self._answer or b""
        while True:
            position = (self._sent - self._first - 1) % _MODULUS
            in_flight = (self._sent - self._acknowledged) % _MODULUS
            room = min(self._window, _BURST * self._segment_size) - in_flight
            if position > len(data) or room <= 0:
                return
            piece = data[position : position + min(room, self._segment_size)]
            is_last = position + len(piece) == len(data)
            self._emit(ACK | PSH | (FIN if is_last else 0), self._sent, piece)
            self._sent = (self._sent + len(piece) + is_last) % _MODULUS
            if (self._sent - self._highest) % _MODULUS < _MODULUS // 2:
                self._highest = self._sent
            if is_last:
                return

    def tick(self, now: float) -> None:
        """Sends again what was not acknowledged in time; gives up on a guest that is gone."""
        if now > self._idle_at or self._resends > MAX_RESENDS:
            self.abort()
        elif now > self._resend_at and self._acknowledged != self._sent:
            self._resends += 1
            self._resend_at = now + RESEND_S * 2**self._resends
            if self._acknowledged == self._first:
                self._send_opening()
            else:
                self._sent = self._acknowledged
                self._window = max(self._window, self._segment_size)
                self._send_more()
        elif now > self._resend_at and self._answer is not None:
            self._resend_at = now + RESEND_S  # a window that was closed
            self._window = max(self._window, 1)
            self._send_more()

    def abort(self) -> None:
        self.is_over = True
        self._emit(RST | ACK, self._sent)


class TcpServer:
    """The connections to one service. `ask` is called with each complete request."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._connections: dict[tuple[bytes, int], Connection] = {}

    def receive(self, source: bytes, segment: Segment, send: Send, now: float) -> None:
        key = (source, segment.source_port)
        connection = self._connections.get(key)
        if segment.flags & (SYN | ACK) == SYN and (connection is None or connection.is_asked):
            if len(self._connections) >= MAX_CONNECTIONS:
                self._forget_oldest()
            self._connections[key] = Connection(key, send, segment, now)
        elif connection is None:
            _refuse(segment, send)
        else:
            request = connection.receive(segment, now)
            if request is not None:
                self._ask(connection, request)
            self._drop_if_over(connection)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._connections.values()))
        oldest.abort()
        self._drop_if_over(oldest)

    def _drop_if_over(self, connection: Connection) -> None:
        if connection.is_over and self._connections.get(connection.key) is connection:
            del self._connections[connection.key]

    def tick(self, now: float) -> None:
        for connection in list(self._connections.values()):
            connection.tick(now)
            self._drop_if_over(connection)

    @property
    def is_busy(self) -> bool:
        return bool(self._connections)


def _refuse(segment: Segment, send: Send) -> None:
    """A connection nobody knows (any more): after a restart of the switch, say."""
    if segment.flags & RST:
        return
    length = len(segment.data) + bool(segment.flags & (SYN | FIN))
    answer = Segment(
        segment.destination_port,
        segment.source_port,
        segment.acknowledged if segment.flags & ACK else 0,
        segment.sequence + length,
        RST if segment.flags & ACK else RST | ACK,
        0,
        b"",
    )
    send(answer, b"")
