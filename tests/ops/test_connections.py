"""What a connection may hold and how long it may take to ask, by raw bytes to a server of the library's own."""

import asyncio
import contextlib
import itertools
import os
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from stillframe.api.answers import WHOLE_ANSWER
from stillframe.ops import connections
from stillframe.ops.connections import MAX_HEAD_BYTES, BoundedConnection
from stillframe.ops.cycles import LARGE_BODY_BYTES

HEAD = b"POST /p HTTP/1.1\r\nHost: x\r\n"


pieces: list[bytes] = []
"""All that was received in one test."""


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/whole":
        await send(
            {"type": WHOLE_ANSWER, "head": b"content-length: 2\r\n", "headers": [(b"x-id", b"7")], "body": b"ok"}
        )
        return
    length, more = 0, True
    while more and not (scope["path"] == "/early" and length > 3_000_000):
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        pieces.append(message.get("body", b""))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['path']} {length}".encode()})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.5)
    pieces.clear()
    config = uvicorn.Config(echo_length, port=0, http=BoundedConnection, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def talk(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Sends the pieces, and gives all that is answered until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(_read(reader))
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
    async with asyncio.timeout(20):
        received = await answer
    writer.close()
    return received


async def _read(reader: asyncio.StreamReader) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            received += piece
    return received


@pytest.mark.parametrize(
    "start",
    [
        HEAD + b"X-Long: ",
        HEAD + b"X-",
        b"GET /?",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
)
async def test_what_never_ends_is_not_collected(port: int, start: bytes) -> None:
    received = await talk(port, start, *[b"a" * 4096] * (2 * MAX_HEAD_BYTES // 4096))
    assert received.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("ending", [b"", b"Transfer-Encoding: chunked\r\n\r\n0\r\n"])
async def test_many_small_fields_are_too_many(port: int, ending: bytes) -> None:
    received = await talk(port, HEAD + ending, *[b"A: b\r\n" * 1000] * (2 * MAX_HEAD_BYTES // 2000))
    assert received.startswith(b"HTTP/1.1 400 ")


async def test_a_large_head_and_a_large_body_are_answered(port: int) -> None:
    head = HEAD + b"X-Long: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\nConnection: close\r\n"
    received = await talk(port, head + b"Content-Length: 500000\r\n\r\n", *[b"b" * 5000] * 100)
    assert b"/p 500000" in received


@pytest.mark.parametrize("pieces", [[], [b"GET"], [b"G", b"E", b"T", b" ", b"/", b"x", b"y", b"z"]])
async def test_who_does_not_ask_in_time_is_not_waited_for(port: int, pieces: list[bytes]) -> None:
    assert await talk(port, *pieces, pause_s=0.1) == b""


async def test_nor_for_a_second_request_that_does_not_come_to_an_end(port: int) -> None:
    received = await talk(port, b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n", pause_s=0.2)
    assert received.count(b"HTTP/1.1 200 ") == 1


async def test_a_slow_body_is_waited_for(port: int) -> None:
    head = HEAD + b"Connection: close\r\nContent-Length: 8\r\n\r\n"
    assert b"/p 8" in await talk(port, head, *[b"a"] * 8, pause_s=0.1)


async def test_a_request_may_come_long_after_another(port: int) -> None:
    one, two = (
        b"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % pair for pair in ((b"one", b""), (b"two", b"Connection: close\r\n"))
    )
    received = await talk(port, one, two, pause_s=0.8)
    assert received.count(b"HTTP/1.1 200 ") == 2


async def test_requests_sent_ahead_are_answered_unless_they_are_too_many(port: int) -> None:
    request, last = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await talk(port, request * 20 + last)).count(b"HTTP/1.1 200 ") == 21
    assert (await talk(port, request * 1000 + last)).count(b"HTTP/1.1 200 ") < 40


async def test_an_answer_sent_whole_is_one_as_any_other(port: int) -> None:
    request = b"GET /whole HTTP/1.1\r\nHost: x\r\n%s\r\n"
    received = await talk(port, request % b"" * 2, request % b"Connection: close\r\n")
    heads = [head.lower() for head in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert len(heads) == 3
    assert all(head.endswith(b"\r\n\r\nok") for head in heads)
    assert all(b"\r\nx-id: 7\r\n" in head and b"date: " in head for head in heads)
    assert [b"connection: close\r\n" in head for head in heads] == [False, False, True]


BODY = os.urandom(9_000_001)
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("expects", [b"", b"Expect: 100-continue\r\n"])
async def test_a_large_body_arrives_whole_and_another_request_after_it(port: int, expects: bytes) -> None:
    head = HEAD + expects + b"Content-Length: %d\r\n\r\n" % len(BODY)
    received = await talk(port, head, *(BODY[at : at + 1_000_000] for at in range(0, len(BODY), 1_000_000)), LAST)
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) > 200_000  # in large pieces
    assert received.index(b"/p 9000001") < received.index(b"/last 0")
    assert received.startswith(b"HTTP/1.1 100 ") is bool(expects)


async def test_large_bodies_sent_ahead_are_kept_apart(port: int) -> None:
    asked = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    received = await talk(port, asked + asked + LAST)
    assert b"".join(pieces) == BODY + BODY
    assert received.count(b"/p 9000001") == 2
    assert received.endswith(b"/last 0\r\n0\r\n\r\n")


async def test_what_is_left_of_a_body_is_not_the_next_request(port: int) -> None:
    """Though it looks like one: the application answers after a third, and the rest still comes."""
    body = LAST * 200_000
    received = await talk(port, HEAD.replace(b"/p", b"/early") + b"Content-Length: %d\r\n\r\n" % len(body), body, LAST)
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert received.count(b"/last ") == 1


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_sent_in_a_row_is_answered_in_its_order(port: int, seed: int) -> None:
    """Bodies around the sizes at which they are read otherwise, some in chunks, some not wanted, cut anywhere."""
    chosen = random.Random(seed)
    asked, wanted = b"", []
    for number in range(8):
        length = chosen.choice([0, 1, 65_536, LARGE_BODY_BYTES - 1, LARGE_BODY_BYTES, 4_500_000])
        path = chosen.choice(["early", f"p{number}"])
        head, body = HEAD.replace(b"/p", f"/{path}".encode()), BODY[:length]
        if length and chosen.random() < 0.3:
            asked += head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (length, body)
        else:
            asked += head + b"Content-Length: %d\r\n\r\n%b" % (length, body)
        wanted.append(f"/{path}")
    cuts = sorted(chosen.randrange(len(asked)) for _ in range(chosen.choice([0, 5, 60])))
    received = await talk(port, *(asked[a:b] for a, b in itertools.pairwise([0, *cuts, len(asked)])), LAST)
    assert re.findall(r"(/\w+) \d+\r\n", received.decode()) == [*wanted, "/last"]
    assert received.count(b"HTTP/1.1 200 ") == 9


async def test_a_large_body_may_come_slowly(port: int) -> None:
    head = HEAD + b"Connection: close\r\nContent-Length: 1500000\r\n\r\n"
    received = await talk(port, head, *[BODY[:150_000]] * 10, pause_s=0.05)
    assert b"/p 1500000" in received
    assert b"".join(pieces) == BODY[:150_000] * 10


async def test_a_client_that_goes_away_in_its_body_is_told_to_the_application(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"Content-Length: 9000000\r\n\r\n" + BODY[:2_000_000])
    await writer.drain()
    writer.close()
    async with asyncio.timeout(20):
        while not pieces or pieces[-1]:  # noqa: ASYNC110 - until "http.disconnect", which has no body
            await asyncio.sleep(0.01)
    assert 0 < sum(map(len, pieces)) <= 2_000_000
    assert b"/last 0" in await talk(port, LAST)
