"""The commands of whoever runs a Stillframe, as opposed to using one; their work is done by `stillframe.ops`.

To add one: name, import path of its function, one line of help. The function's signature is its command line (see
https://cyclopts.readthedocs.io); it is imported only when its command is called, so that the others start quickly.
"""

from cyclopts import App, Group

COMMANDS = (
    ("up", "stillframe.cli.commands.system:up", "Start a system on this machine."),
    ("down", "stillframe.cli.commands.system:down", "Stop it."),
    ("status", "stillframe.cli.commands.system:status", "Tell what runs and where."),
    (
        "doctor",
        "stillframe.cli.commands.system:doctor",
        "Check what this machine has: accelerator, tools, disk, ports.",
    ),
    ("serve", "stillframe.cli.commands.system:serve", "Run the API process alone."),
    ("worker", "stillframe.cli.commands.system:worker", "Run a worker process alone."),
)


def register(app: App) -> None:
    group = Group("Run a system", sort_key=2)
    for name, target, text in COMMANDS:
        app.command(target, name=name, help=text, group=group)
