"""The least an ASGI application can do: answers every path with the bytes of a file of that name, kept in memory.

The limit of all that is answered by Python under uvicorn.
"""

import os
from pathlib import Path
from typing import Any

_DIRECTORY = Path(os.environ.get("RAW_DIRECTORY", "."))
_BODIES: dict[str, bytes] = {}


async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    name = scope["path"].rpartition("/")[2]
    body = _BODIES.get(name)
    if body is None:
        body = _BODIES[name] = (_DIRECTORY / name).read_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
