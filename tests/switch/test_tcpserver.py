"""The little TCP behind 169.254.169.254, against a network that loses, repeats and disorders."""

import random

import pytest

from stillframe.switch import http
from stillframe.switch.frames import ACK, FIN, RST, SYN, Segment
from stillframe.switch.plan import Answer, Plan
from stillframe.switch.tcpserver import IDLE_S, MAX_CONNECTIONS, Connection, TcpServer
from tests.switch.cable import LATER, Cable, card, is_sound, network

GUEST = b"\x0a\0\0\2"
REQUEST = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"


class Client:
    """A simple guest: acknowledges what comes in order, repeats its own segment until that is acknowledged."""

    def __init__(
        self, answer: bytes, *, loss: float = 0.0, seed: int = 1, window: int = 60000, port: int = 5000
    ) -> None:
        self.answer, self.loss, self.window, self.port = answer, loss, window, port
        self.random = random.Random(seed)
        self.now = 0.0
        self.asked: list[bytes] = []
        self.server = TcpServer(self._asked)
        self.inbox: list[Segment] = []
        self.received = b""
        self.next = 0
        self.is_done = False
        self.was_reset = False

    def _asked(self, connection: Connection, data: bytes) -> None:
        self.asked.append(data)
        connection.answer(self.answer, self.now)

    def _to_guest(self, segment: Segment, _options: bytes) -> None:
        if self.random.random() >= self.loss:
            self.inbox.append(segment)

    def send(self, flags: int, sequence: int, data: bytes = b"") -> None:
        if self.random.random() < self.loss:
            return
        segment = Segment(self.port, 80, sequence, self.next, flags, self.window, data, 1460)
        self.server.receive(GUEST, segment, self._to_guest, self.now)

    def fetch(self, request: bytes = REQUEST) -> bytes:
        state, sent = "opening", 100
        for _ in range(400):
            if state == "opening":
                self.send(SYN, sent)
            elif state == "asking":
                self.send(ACK, sent + 1, request)
            for segment in self._taken():
                state = self._take(segment, state, sent, len(request))
            if self.is_done or self.was_reset:
                break
            self.now += 0.2
            self.server.tick(self.now)
        return self.received

    def _taken(self) -> list[Segment]:
        found, self.inbox = self.inbox, []
        return found

    def _take(self, segment: Segment, state: str, sent: int, length: int) -> str:
        if segment.flags & RST:
            self.was_reset = True
            return state
        if segment.flags & SYN and state == "opening":
            self.next = segment.sequence + 1
            return "asking"
        if segment.sequence == self.next & 0xFFFFFFFF and (segment.data or segment.flags & FIN):
            self.received += segment.data
            self.next += len(segment.data) + bool(segment.flags & FIN)
            self.is_done = bool(segment.flags & FIN)
        if state != "opening":
            self.send(ACK, sent + 1 + length)
        return "waiting" if segment.acknowledged == sent + 1 + length else state


@pytest.mark.parametrize("size", [0, 1, 1460, 1461, 70_000])
@pytest.mark.parametrize("window", [60_000, 2000])
def test_an_answer_of_any_size_arrives_whole(size: int, window: int) -> None:
    answer = bytes(number % 251 for number in range(size))
    client = Client(answer, window=window)
    assert client.fetch() == answer
    assert client.is_done
    assert client.asked == [REQUEST]


@pytest.mark.parametrize("seed", range(10))
def test_it_arrives_whole_over_a_network_that_loses_every_fifth_frame(seed: int) -> None:
    answer = bytes(number % 251 for number in range(9000))
    client = Client(answer, loss=0.2, seed=seed)
    assert client.fetch() == answer
    assert client.asked == [REQUEST]


def test_a_request_may_come_in_pieces() -> None:
    client = Client(b"hello")
    client.send(SYN, 100)
    client.next = client._taken()[0].sequence + 1
    for position in range(0, len(REQUEST), 7):
        client.send(ACK, 101 + position, REQUEST[position : position + 7])
    assert client.asked == [REQUEST]


def test_what_is_too_long_is_reset_and_what_goes_silent_is_forgotten() -> None:
    client = Client(b"")
    client.fetch(b"x" * 20_000)
    assert client.was_reset
    silent = Client(b"")
    silent.send(SYN, 100)
    assert silent.server.is_busy
    silent.server.tick(IDLE_S + 1)
    assert not silent.server.is_busy


def test_only_so_many_connections_are_kept() -> None:
    client = Client(b"")
    for port in range(5000, 5000 + 3 * MAX_CONNECTIONS):
        client.port = port
        client.send(SYN, 100)
    assert len(client.server._connections) == MAX_CONNECTIONS


def test_an_unknown_connection_is_reset() -> None:
    client = Client(b"")
    client.send(ACK, 100, b"data")
    assert client._taken()[0].flags & RST


def test_the_fabric_knows_who_asks_and_answers_with_right_checksums() -> None:
    cable = Cable(Plan(networks=(network(),), ports=(card(2), card(3))))
    cable.send(2, cable.tcp(2, "10.0.0.2", "169.254.169.254", (5000, 80)))
    (opened,) = cable.got(2)
    assert is_sound(opened)
    cable.send(2, cable.tcp(2, "10.0.0.3", "169.254.169.254", (5001, 80)))
    cable.send(2, cable.tcp(2, "10.0.0.2", "169.254.169.254", (5002, 22)))
    assert cable.got(2) == cable.got(3) == []
    cable.fabric.tick(LATER + 1)
    (again,) = cable.got(2)
    assert again[34:] == opened[34:]


def test_http_is_understood_as_far_as_it_is_needed() -> None:
    request = http.parse_request(b"PUT /latest/api/token?x=1 HTTP/1.1\r\nX-Aws: 60\r\n\r\nbody")
    assert request == http.Request("PUT", "/latest/api/token", {"x-aws": "60"})
    for bad in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n", b"GET / SPDY/1\r\n\r\n"):
        assert http.parse_request(bad) is None
    answer = Answer(number=1, status=200, content_type="text/plain", body=b"hello")
    assert http.response(answer).endswith(b"Content-Length: 5\r\nConnection: close\r\nServer: stillframe\r\n\r\nhello")
    assert http.response(answer, without_body=True).endswith(b"\r\n\r\n")
