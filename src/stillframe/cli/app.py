# ruff: noqa: D417 - tokens are not a parameter anybody types
"""The command line: which commands there are, the options all of them share, and how each run ends."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import platformdirs
from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.config import Toml

from stillframe import __version__
from stillframe.cli import operator
from stillframe.cli.context import Context
from stillframe.cli.errors import CliError, ExitCode, TerminatedError
from stillframe.cli.output import Format, tell_error

app = App(
    name="stillframe",
    help="Freeze servers into images; keep, export and boot them. Works with any cloud that has the same API.",
    version=__version__,
    help_format="plaintext",  # the Markdown reader is a third of the time --help takes
    help_flags=("--help", "-h"),
    default_parameter=Parameter(negative=(), show_default=False),
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
app.meta.default_parameter = app.default_parameter
app.config = app.meta.config = Toml(
    platformdirs.user_config_path("stillframe") / "cli.toml", must_exist=False, allow_unknown=True
)
_COMMON = Group("Options of every command", sort_key=100)
app.meta.group_parameters = _COMMON
app["--help"].group = app["--version"].group = _COMMON

_COMMANDS = Group("Use a system", sort_key=1)
for _name, _text in (
    ("server", "Servers: create, start, stop, look at their console, delete."),
    ("image", "Images: freeze a server into one, import, list, show, export, save to a file, delete."),
    ("job", "Jobs: long work of the image service, such as creating or exporting an image."),
    ("flavor", "Flavors: the sizes a server can have."),
    ("keypair", "Key pairs: the SSH keys put into servers."),
    ("token", "Tokens: print one for curl and other tools, or revoke it."),
):
    app.command(f"stillframe.cli.commands.{_name}:app", name=_name, help=_text, group=_COMMANDS)
app.command("stillframe.cli.commands.demo:run_demo", name="demo", help="Watch the whole story once.", group=_COMMANDS)
app.command(
    "stillframe.cli.commands.completion:print_completion",
    name="completion",
    help="Print or install shell completion.",
    group=_COMMANDS,
)
operator.register(app)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    output: Annotated[
        Format, Parameter(name=("--output", "-o"), env_var="STILLFRAME_OUTPUT", show_default=True)
    ] = "table",
    os_cloud: Annotated[str | None, Parameter(name="--os-cloud")] = None,
    verbose: Annotated[bool, Parameter(name=("--verbose", "-v"))] = False,
) -> object:
    """Run a command.

    Parameters
    ----------
    output
        How to print the result.
    os_cloud
        Which cloud of clouds.yaml to use.
    verbose
        Print every request as a curl command, without secrets.
    """
    command, bound, ignored = app.parse_args(tokens, exit_on_error=False, print_error=False)
    injected: dict[str, Any] = {}
    if "ctx" in ignored:
        injected["ctx"] = Context(output=output, os_cloud=os_cloud, verbose=verbose)
        signal.signal(signal.SIGTERM, _terminate)
    return command(*bound.args, **bound.kwargs, **injected)


def run(argv: Sequence[str] | None = None) -> int:
    """The exit code. Expected failures are told in a line or two on stderr, never with a traceback."""
    _tolerate_any_text()
    try:
        result = app.meta(
            argv if argv is not None else sys.argv[1:],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if (exit_code := _explain(error)) is None:
            raise
        return exit_code
    return result if isinstance(result, int) else ExitCode.OK


def _explain(error: BaseException) -> ExitCode | None:
    """None for what nobody expected: that deserves its traceback."""
    match error:
        case CliError():
            return _tell(error)
        case CycloptsError():
            return _tell(CliError(str(error), exit_code=ExitCode.USAGE, hint=_help_line(error)))
        case TerminatedError():
            return ExitCode.TERMINATED
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.PIPE_CLOSED
    told = _from_operator(error)
    return _tell(told) if told else None


def _tell(error: CliError) -> ExitCode:
    tell_error(error)
    return error.exit_code


def _help_line(error: CycloptsError) -> str:
    return " ".join(("stillframe", *(error.command_chain or ()), "--help"))


def _from_operator(error: BaseException) -> CliError | None:
    """The operator's commands raise the server's own errors; nothing else loads that module."""
    errors = sys.modules.get("stillframe.errors")
    if errors is None or not isinstance(error, errors.StillframeError):
        return None
    usage = isinstance(error, errors.InvalidInputError)
    return CliError(error.message, exit_code=ExitCode.USAGE if usage else ExitCode.FAILED)


def _terminate(_signal: int, _frame: object) -> None:
    raise TerminatedError


def _tolerate_any_text() -> None:
    """Names may hold what the terminal's encoding cannot show; in JSON the replacement is a valid escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
