"""`python -m stillframe.ops`: what `stillframe up --detach` leaves running; takes its settings from standard input."""

import sys

from setproctitle import setproctitle

from stillframe.errors import StillframeError
from stillframe.ops.up import decode_settings, up


def main() -> None:
    settings = decode_settings(sys.stdin.buffer.read())
    setproctitle(f"stillframe: up {settings.data_dir}")
    try:
        up(settings, lambda: None)
    except StillframeError as error:
        sys.exit(error.message)


main()
