"""What every action on a server is given, and the answer most of them give."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from msgspec import Struct

from stillframe.api.compute_v2.microversions import Microversion
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.identity.model import Caller
from stillframe.jobs.resources import Resources

Answer = Response[Any]


class Acting(Struct, frozen=True):
    """Everything an action may need."""

    tx: Transaction
    caller: Caller
    settings: Settings
    resources: Resources
    version: Microversion
    server_id: str
    base: str
    """The door's own address, as the client spelled it."""


Action = Callable[[Acting, Any], Awaitable[Answer]]


def accepted() -> Answer:
    return Response(b"", status_code=202)
