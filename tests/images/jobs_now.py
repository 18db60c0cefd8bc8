"""Carries out the image API's queued jobs in the test's own process, every step twice: a worker may die at any point
and its successor begins the step anew.
"""

from stillframe.errors import StillframeError
from stillframe.images.import_job import RECIPES
from stillframe.jobs import rows, service
from stillframe.jobs.model import FINAL, Job, JobState
from stillframe.jobs.resources import Resources

_BOOK = {recipe.kind: recipe for recipe in RECIPES}


async def run_jobs(resources: Resources) -> list[Job]:
    """The jobs as they ended."""
    async with resources.database.reading() as tx:
        queued = [
            job
            for job in await rows.list_jobs_in_state(tx, [JobState.QUEUED, JobState.CANCELLING])
            if job.kind in _BOOK
        ]
    return [await _run(resources, job) for job in queued]


async def _run(resources: Resources, job: Job) -> Job:
    recipe = _BOOK[job.kind]
    try:
        for step in recipe.steps:
            for _ in range(2):
                if (await _read(resources, job)).state not in FINAL:
                    await step.run(resources, job)
    except StillframeError as error:
        for _ in range(2):
            await recipe.undo(resources, job)
        async with resources.database.writing() as tx:
            await service.fail_job(tx, job.id, error)
    return await _read(resources, job)


async def _read(resources: Resources, job: Job) -> Job:
    async with resources.database.reading() as tx:
        found = await rows.get_job(tx, job.id)
    assert found is not None
    return found
