# ruff: noqa: D417 - ctx is injected, and a parameter whose name says it all needs no help
"""`stillframe completion`."""

import sys
from typing import Literal

from stillframe.cli.output import say


def print_completion(shell: Literal["bash", "zsh", "fish"], *, install: bool = False) -> None:
    """Print the completion script of a shell, or install it.

    Parameters
    ----------
    install
        Write it to the place where the shell looks for it, instead of printing it.
    """
    from stillframe.cli.app import app  # noqa: PLC0415 - that module registers this one

    if install:
        say(f"written to {app.install_completion(shell=shell)}; start a new shell to use it")
    else:
        sys.stdout.write(app.generate_completion(shell=shell))
