"""The id of the request that is being answered; log lines and errors of everything it causes carry it."""

import random
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Set for the task that answers a request; "" elsewhere."""


def new_request_id() -> str:
    """`req-` and a UUID, as OpenStack's services name their requests."""
    digits = f"{random.getrandbits(128):032x}"
    return f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
