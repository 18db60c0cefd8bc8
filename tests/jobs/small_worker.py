"""A worker process with one recipe: note, long, note. `python -m tests.jobs.small_worker DIRECTORY URL SECONDS`.

What it does it writes to `<data dir>/diary`, one line each: the step and the process.
"""

import asyncio
import os
import sys
from pathlib import Path

from stillframe.db import open_database
from stillframe.jobs import service
from stillframe.jobs.model import Job
from stillframe.jobs.recipes import Recipe, Step, StepFunction
from stillframe.jobs.resources import Resources
from stillframe.qemu.runner import ToolPolicy, run_tool
from tests.jobs.workshop import Workshop, succeed

DATA_DIR, URL = Path(sys.argv[1]), sys.argv[2]
TOOL = ("sleep", sys.argv[3])


def note(entry: str) -> None:
    with (DATA_DIR / "diary").open("a") as diary:
        diary.write(f"{entry} {os.getpid()}\n")


def noting(entry: str) -> StepFunction:
    async def step(resources: Resources, job: Job) -> None:
        note(entry)

    return step


async def long(resources: Resources, job: Job) -> None:
    """Until `<data dir>/go` is there: a tool that runs for a minute."""
    note("long")
    if not (DATA_DIR / "go").exists():
        await run_tool(TOOL, policy=ToolPolicy(), timeout_s=70)


async def last(resources: Resources, job: Job) -> None:
    """Dies after its commit where `<data dir>/die` asks for it."""
    note("last")
    await succeed(resources, job)
    if (DATA_DIR / "die").exists():
        os._exit(9)


async def undo(resources: Resources, job: Job) -> None:
    note("undo")
    async with resources.database.writing() as tx:
        await service.report_progress(tx, job.id, "undone")


RECIPE = Recipe(kind="make", steps=(Step("first", noting("first")), Step("long", long), Step("last", last)), undo=undo)


async def main() -> None:
    workshop = Workshop(open_database(URL), DATA_DIR)
    workshop.launch(RECIPE)
    note("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
