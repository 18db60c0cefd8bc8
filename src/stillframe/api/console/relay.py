"""Bytes between a websocket and a console, as they come. Each side waits for the other, so nothing piles up here."""

import asyncio
import socket
from typing import Any

from litestar import WebSocket

_CHUNK_BYTES = 64 * 1024

AnyWebSocket = WebSocket[Any, Any, Any]


async def relay(client: AnyWebSocket, console: socket.socket) -> None:
    """Returns when either side has ended; the websocket is closed then."""
    with console:
        tasks = [asyncio.create_task(_to_console(client, console)), asyncio.create_task(_to_client(client, console))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _to_console(client: AnyWebSocket, console: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        message = await client.receive()
        if message["type"] != "websocket.receive":
            return
        data = message.get("bytes") or (message.get("text") or "").encode()
        if data:
            await loop.sock_sendall(console, data)


async def _to_client(client: AnyWebSocket, console: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(console, _CHUNK_BYTES):
        await client.send_data(data, mode="binary")
    await client.close()
