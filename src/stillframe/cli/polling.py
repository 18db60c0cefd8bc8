"""Asking again until something has happened: often at first, then seldom; a short outage of the service is survived."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from stillframe.cli.errors import CliError, ExitCode

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 2.0
GROWTH = 1.4
OUTAGE_S = 30.0

T = TypeVar("T")


def poll_delays() -> Iterator[float]:
    delay = FIRST_DELAY_S
    while True:
        yield delay
        delay = min(LAST_DELAY_S, delay * GROWTH)


def poll(ask: Callable[[], T], is_done: Callable[[T], bool], *, timeout_s: float | None = None) -> T:
    """The first answer for which `is_done`.

    Raises: what `ask` raises, but "unreachable" only after 30 s of it; TimeoutError.
    """
    started = reached = time.monotonic()
    for delay in poll_delays():
        try:
            answer = ask()
        except CliError as error:
            if error.exit_code != ExitCode.UNREACHABLE or time.monotonic() - reached > OUTAGE_S:
                raise
        else:
            reached = time.monotonic()
            if is_done(answer):
                return answer
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            raise TimeoutError
        time.sleep(delay)
    raise AssertionError("unreachable")
