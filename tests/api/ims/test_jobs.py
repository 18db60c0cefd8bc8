"""Jobs as IMS shows them: in every state, with and without sub jobs, and to nobody else."""

import uuid
from typing import Any

from stillframe.api.ims.jobs import JOB_TYPES
from stillframe.errors import ExportTooLargeError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job, Lane, NewJob, Service
from stillframe.ops.worker import recipe_book
from tests.api.ims.desk import Desk
from tests.images.helpers import OURS, THEIRS

FIELDS = {"status", "job_id", "job_type", "begin_time", "end_time", "error_code", "fail_reason", "entities"}


async def submit(desk: Desk, kind: str, **fields: Any) -> Job:
    new = NewJob(kind=kind, service=Service.IMS, lane=Lane.SEAL, subject_id=None, project_id=OURS, **fields)
    async with desk.world.database.writing() as tx:
        return await jobs.submit_job(tx, new)


async def test_a_job_is_shown_from_submission_to_success(desk: Desk) -> None:
    job = await submit(desk, "image_copy")
    waiting = await desk.show_job(job.id)
    assert waiting.keys() == FIELDS
    assert (waiting["status"], waiting["job_type"], waiting["end_time"]) == ("INIT", "imsCopyImageInRegionJob", None)
    assert (waiting["error_code"], waiting["fail_reason"]) == (None, None)
    assert waiting["entities"]["process_percent"] == 0
    assert waiting["begin_time"].endswith("Z")
    assert len(waiting["begin_time"]) == len("2024-11-06T06:19:43.195Z")
    async with desk.world.database.writing() as tx:
        await jobs.report_progress(tx, job.id, "copying", 1, 4)
    assert (await desk.show_job(job.id))["entities"]["process_percent"] == 25
    result = {"image_id": str(uuid.uuid4()), "image_name": "n"}
    async with desk.world.database.writing() as tx:
        await jobs.succeed_job(tx, job.id, result)
        await jobs.fail_job(tx, job.id, ExportTooLargeError())
    done = await desk.show_job(job.id)
    assert (done["status"], done["entities"], done["begin_time"]) == ("SUCCESS", result, waiting["begin_time"])
    assert done["end_time"] >= done["begin_time"]
    twin = await desk.ask("GET", f"/v1/cloudimages/job/{job.id}")
    assert twin.json() == done


async def test_a_failed_job_tells_the_code_and_the_documented_reason(desk: Desk) -> None:
    job = await submit(desk, "image_export")
    async with desk.world.database.writing() as tx:
        await jobs.fail_job(tx, job.id, ExportTooLargeError())
    failed = await desk.show_job(job.id)
    assert (failed["status"], failed["error_code"], failed["entities"]) == ("FAIL", "IMG.0160", {})
    assert failed["fail_reason"] == "Only images less than 128 GB can be exported."


async def test_sub_jobs_are_shown_in_the_job_and_by_themselves(desk: Desk) -> None:
    """Some clients read the image off the job, others off its first sub job."""
    job = await submit(desk, "image_copy")
    results = [{"image_id": str(uuid.uuid4()), "image_name": name} for name in ("system", "data")]
    async with desk.world.database.writing() as tx:
        parts = [("image_export", result) for result in results]
        await jobs.succeed_job(tx, job.id, {**results[0], **await jobs.record_sub_jobs(tx, job, parts)})
    done = await desk.show_job(job.id)
    assert {name: done["entities"][name] for name in ("image_id", "image_name")} == results[0]
    assert [part["entities"] for part in done["entities"]["sub_jobs_result"]] == results
    assert done["entities"]["sub_jobs_list"] == [part["job_id"] for part in done["entities"]["sub_jobs_result"]]
    for part in done["entities"]["sub_jobs_result"]:
        assert part.keys() == FIELDS
        assert (part["status"], part["job_type"]) == ("SUCCESS", "imsNativeExportImageJob")
        assert await desk.show_job(part["job_id"]) | {"end_time": None} == part | {"end_time": None}


async def test_a_job_is_shown_to_its_project_only(desk: Desk) -> None:
    job = await submit(desk, "image_copy")
    assert (await desk.ask("GET", f"/v1/{OURS}/jobs/{job.id}", role="readonly")).status_code == 200
    assert await desk.refusal("DELETE", f"/v1/{OURS}/jobs/{job.id}", role="readonly") == "IMG.0026"
    assert await desk.refusal("GET", f"/v1/{OURS}/jobs/{job.id}", project=THEIRS) == "IMG.0030"
    own = f"/v1/{THEIRS}/jobs"
    for path in (
        f"{own}/{job.id}",
        f"{own}/x",
        f"{own}/%00",
        f"/v1/cloudimages/job/{job.id}",
        "/v1/cloudimages/job/%00",
    ):
        assert await desk.refusal("GET", path, project=THEIRS) == "IMG.0023"


def test_every_kind_of_job_that_ims_submits_has_a_documented_type() -> None:
    """Servers' and volumes' jobs are shown by other doors, and internal ones by none."""
    kinds = {recipe.kind for recipe in recipe_book()}
    assert {kind for kind in JOB_TYPES if kind.endswith(("_part", "_sub"))} | kinds >= set(JOB_TYPES)
    assert {kind for kind in kinds if kind.startswith("image_")} - {"image_consolidate"} <= set(JOB_TYPES)
    assert all(name.startswith("ims") for name in JOB_TYPES.values())
