"""The commands of whoever runs a Stillframe, as opposed to using one; they live in `stillframe.ops`.

To add one: name, import path of its function, one line of help. The function's signature is its command line (see
https://cyclopts.readthedocs.io); it is imported only when its command is called, so that the others start quickly.
"""

from cyclopts import App, Group

COMMANDS = (
    ("up", "stillframe.ops.commands:up", "Start a system on this machine."),
    ("down", "stillframe.ops.commands:down", "Stop it."),
    ("status", "stillframe.ops.commands:status", "Tell what runs and where."),
    ("doctor", "stillframe.ops.commands:doctor", "Check what this machine has: accelerator, tools, disk, ports."),
    ("serve", "stillframe.ops.commands:serve", "Run the API process alone."),
    ("worker", "stillframe.ops.commands:worker", "Run a worker process alone."),
)


def register(app: App) -> None:
    group = Group("Run a system", sort_key=2)
    for name, target, text in COMMANDS:
        app.command(target, name=name, help=text, group=group)
