"""The switch as the process it is, with sockets in place of machines."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from stillframe.switch import frames
from stillframe.switch.plan import Answer, Plan, Question, ToSwitch
from stillframe.switch.process import FRAMES_PER_TURN, MAX_QUESTIONS_OF_A_CARD, Framed
from tests.switch.cable import Cable, card, network, packed

WAIT_S = 60.0
ADDRESSES = {number: f"10.0.0.{number}" for number in (2, 3, 4, 5)}


class Machine:
    """What QEMU is to the switch: a listening socket, to which it connects, and frames after their lengths."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(1)
        self._listening.settimeout(WAIT_S)
        self.plug()

    def plug(self) -> None:
        self.socket, _ = self._listening.accept()
        self.socket.settimeout(WAIT_S)
        self._framed, self._frames = Framed(64 * 1024), list[bytes]()

    def send(self, *sent: bytes) -> None:
        self.socket.sendall(b"".join(len(frame).to_bytes(4, "big") + frame for frame in sent))

    def read(self) -> bytes:
        while not self._frames:
            data = self.socket.recv(65536)
            assert data, "the switch is gone"
            self._frames = self._framed.split(data)
        return self._frames.pop(0)

    def close(self) -> None:
        self.socket.close()
        self._listening.close()


class Running:
    """A switch that follows a plan of four cards."""

    def __init__(self, directory: Path) -> None:
        self.plan = Plan(networks=(network(),), ports=tuple(card(number) for number in ADDRESSES))
        self.cable = Cable(self.plan)
        """Never plugged in: it makes frames."""
        self.control, theirs = socket.socketpair()
        self.control.settimeout(WAIT_S)
        argv = [sys.executable, "-m", "stillframe.switch", str(theirs.fileno()), str(directory)]
        with theirs:
            self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()])
        self.tell(ToSwitch(plan=self.plan))
        self.machines = {number: Machine(directory / f"{number}.sock") for number in ADDRESSES}

    def tell(self, message: ToSwitch) -> None:
        data = msgspec.json.encode(message)
        self.control.sendall(len(data).to_bytes(4, "big") + data)

    def udp(self, source: int, destination: int, port: int = 53) -> bytes:
        return self.cable.udp(source, ADDRESSES[source], ADDRESSES[destination], (1000, port))

    def require_passage(self, source: int, destination: int, port: int) -> None:
        self.machines[source].send(self.udp(source, destination, port))
        assert self.machines[destination].read()[36:38] == port.to_bytes(2, "big")

    def close(self) -> None:
        self.control.close()
        for machine in self.machines.values():
            machine.close()
        assert self.process.wait(WAIT_S) == 0, "it ends with its worker"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("switch"))
    yield found
    found.close()


def test_a_machine_that_floods_or_takes_nothing_holds_up_nobody_else(running: Running) -> None:
    flood, stopped = [running.udp(2, 3)] * 10 * FRAMES_PER_TURN, threading.Event()

    def go_on() -> None:
        while not stopped.is_set():
            running.machines[2].send(*flood)

    with ThreadPoolExecutor() as pool:
        flooding = pool.submit(go_on)
        for port in range(200):  # card 3 reads nothing all the while
            running.require_passage(4, 5, port)
        stopped.set()
        flooding.result(WAIT_S)
    with Path(f"/proc/{running.process.pid}/status").open() as status:
        (peak,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 100 * 1024, f"{peak} KiB"
    running.machines[3].socket.shutdown(socket.SHUT_RDWR)
    running.machines[3].plug()
    running.require_passage(4, 3, 7)


def test_a_machine_that_comes_back_is_connected_again(running: Running) -> None:
    running.require_passage(2, 3, 7)
    running.machines[3].socket.close()
    running.machines[3].plug()
    running.require_passage(2, 3, 8)
    running.machines[3].socket.sendall(b"\xff\xff\xff\xff")  # what is no frame ends the connection, and nothing else
    running.machines[3].plug()
    running.require_passage(3, 2, 9)


def test_a_card_asks_for_its_own_server_and_not_for_all_answers_at_once(running: Running) -> None:
    for port in range(2000, 2000 + 2 * MAX_QUESTIONS_OF_A_CARD):
        ask(
            running, 2, port, b"GET /openstack HTTP/1.1\r\nX-Forwarded-For: 10.0.0.3\r\nX-Instance-ID: server-3\r\n\r\n"
        )
    ask(running, 4, 2000, b"GET /openstack HTTP/1.0\r\nHost: 10.0.0.3\r\n\r\n")
    framed, questions = Framed(2**20), list[Question]()
    while not questions or questions[-1].server_id != "server-4":
        questions += [msgspec.json.decode(text, type=Question) for text in framed.split(running.control.recv(65536))]
    assert [one.server_id for one in questions] == ["server-2"] * MAX_QUESTIONS_OF_A_CARD + ["server-4"]
    running.tell(ToSwitch(answer=Answer(number=questions[-1].number, status=200, content_type="text/plain", body=b"4")))
    while not (said := running.machines[4].read()).endswith(b"\r\n\r\n4"):
        pass
    assert said[30:34] == packed(ADDRESSES[4])


def ask(running: Running, number: int, port: int, request: bytes) -> None:
    """A whole request, as TCP has it: the opening, and what follows the switch's answer to that."""
    machine, source = running.machines[number], packed(ADDRESSES[number])
    metadata = packed("169.254.169.254")

    def send(flags: int, sequence: int, acknowledged: int, data: bytes = b"") -> None:
        segment = frames.Segment(port, 80, sequence, acknowledged, flags, 65535, data)
        to = running.cable.header(number, frames.BROADCAST)
        machine.send(frames.ipv4(to, frames.TCP, source, metadata, frames.tcp(source, metadata, segment)))

    send(frames.SYN, 1, 0)
    while True:
        packet = frames.parse_ipv4(machine.read())
        answer = frames.parse_tcp(packet.payload) if packet else None
        if answer and answer.destination_port == port and answer.flags & frames.SYN:
            break
    send(frames.ACK | frames.PSH, 2, answer.sequence + 1, request)
