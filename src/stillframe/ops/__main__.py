"""The processes that `stillframe up` starts: `python -m stillframe.ops serve|worker`."""

import os
import sys

from stillframe.errors import StillframeError
from stillframe.ops.supervisor import end_with_parent
from stillframe.ops.up import settings_from_environment


def main() -> None:
    end_with_parent()
    os.umask(0o077)
    settings = settings_from_environment(os.environ)
    try:
        if sys.argv[1] == "serve":
            from stillframe.ops.serve import run  # noqa: PLC0415 - each process loads its own half only
        else:
            from stillframe.ops.worker import run  # noqa: PLC0415
        run(settings)
    except StillframeError as error:
        sys.exit(error.message)


main()
