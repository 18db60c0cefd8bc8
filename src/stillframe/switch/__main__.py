"""`python -m stillframe.switch FD DIRECTORY`: started by the worker, which holds the other end of FD."""

import sys
from pathlib import Path

from stillframe.switch.process import run

run(int(sys.argv[1]), Path(sys.argv[2]))
