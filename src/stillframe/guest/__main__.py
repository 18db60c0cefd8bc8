"""`python -m stillframe.guest [--cache-dir D]` builds the public image where it is missing and prints its path.

The appliance of libguestfs is built, too, where libguestfs is installed.
"""

import argparse
import sys
from pathlib import Path

from stillframe.errors import StillframeError
from stillframe.guest import default_cache_dir, public_image
from stillframe.guest.appliance import appliance, is_installed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stillframe.guest", description=__doc__)
    parser.add_argument("--cache-dir", type=Path, default=default_cache_dir())
    cache_dir = parser.parse_args().cache_dir
    try:
        sys.stdout.write(f"{public_image(cache_dir)}\n")
        if is_installed():
            appliance(cache_dir)
    except StillframeError as error:
        detail = f"\n{error.cause}" if error.cause else ""
        sys.stderr.write(f"{error.message}{detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
