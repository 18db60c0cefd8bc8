"""The `stillframe` command. It speaks the public HTTP API only, so it drives any cloud that has it."""

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    try:
        from stillframe.cli.app import run  # noqa: PLC0415 - importing the package must stay free
    except KeyboardInterrupt:
        return 130
    return run(argv)
