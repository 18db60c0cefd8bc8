"""Jobs on a real engine and a real database: what a caller sees in the row, and what the steps see."""

import asyncio
import contextlib
import random
import statistics
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from stillframe.errors import ConflictError, NotFoundError, StillframeError, ToolFailedError, UnavailableError
from stillframe.jobs import rows, service
from stillframe.jobs.model import FINAL, LANE_LIMITS, Job, JobState, Lane, Service
from stillframe.jobs.recipes import Step
from stillframe.jobs.resources import Resources
from stillframe.qemu.runner import ToolPolicy, run_tool
from tests.jobs.workshop import PROJECT, Diary, Workshop, eventually, recipe, succeed


async def forever(resources: Resources, job: Job) -> None:
    await asyncio.Event().wait()


# --- the ends a job can come to --------------------------------------------------------------------------------------


async def test_steps_run_in_their_order_and_the_last_one_ends_the_job(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", diary.writes("first"), diary.writes("second"), succeed, undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.phase, job.percent, job.result) == (JobState.SUCCEEDED, "done", 100.0, {"by": "test"})
    assert job.error_code is None
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    assert diary.entries == ["first", "second"]


async def test_a_failed_step_is_undone_and_its_code_and_message_are_the_job_s(workshop: Workshop) -> None:
    diary = Diary()
    failing = diary.fails("fail", ToolFailedError("The disk is damaged.", cause="secret stderr"))
    workshop.launch(recipe("make", diary.writes("first"), failing, succeed, undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code, job.error_message) == (JobState.FAILED, "tool_failed", "The disk is damaged.")
    assert diary.entries == ["first", "fail", "undo"]
    assert job.percent < 100


async def test_a_job_is_still_live_while_it_is_undone(workshop: Workshop) -> None:
    """Else its subject would look free while its effects are still being taken back."""
    seen: list[JobState] = []

    async def undo(resources: Resources, job: Job) -> None:
        seen.append((await workshop.job(job.id)).state)

    workshop.launch(recipe("make", Diary().fails("fail", ConflictError()), undo=undo))
    await workshop.ended(await workshop.submit("make"))
    assert seen == [JobState.RUNNING]


async def test_a_bug_ends_the_job_without_telling_its_text(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", diary.fails("fail", ValueError("a path or a secret")), undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")
    assert job.error_message == StillframeError.default_message
    assert diary.entries == ["fail", "undo"]


async def test_what_time_can_heal_is_tried_again(workshop: Workshop) -> None:
    diary = Diary()
    shaky = Step("shaky", diary.fails("try", UnavailableError(), UnavailableError()), attempts=3, first_pause_s=0.01)
    workshop.launch(recipe("make", shaky, succeed, undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert job.state is JobState.SUCCEEDED
    assert diary.entries == ["try", "try", "try"]


async def test_what_time_does_not_heal_fails_after_the_last_try(workshop: Workshop) -> None:
    diary = Diary()
    errors = [UnavailableError(f"No {n}.") for n in range(5)]
    workshop.launch(
        recipe("make", Step("shaky", diary.fails("try", *errors), attempts=3, first_pause_s=0.01)),
        recipe("once", diary.fails("once", *errors)),
    )
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code, job.error_message) == (JobState.FAILED, "unavailable", "No 2.")
    assert diary.entries == ["try"] * 3
    assert (await workshop.ended(await workshop.submit("once"))).error_code == "unavailable"
    assert diary.entries[3:] == ["once"]


async def test_other_errors_are_not_tried_again(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", Step("once", diary.fails("try", ConflictError()), attempts=5)))
    assert (await workshop.ended(await workshop.submit("make"))).error_code == "conflict"
    assert diary.entries == ["try"]


async def test_a_job_whose_undo_breaks_ends_all_the_same(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(
        recipe("make", diary.fails("fail", ConflictError("Taken.")), undo=diary.fails("undo", KeyError("x")))
    )
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code, job.error_message) == (JobState.FAILED, "conflict", "Taken.")
    assert diary.entries == ["fail", "undo"]


async def test_an_undo_waits_for_what_it_needs(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", diary.fails("fail", ConflictError()), undo=diary.fails("undo", UnavailableError())))
    assert (await workshop.ended(await workshop.submit("make"))).state is JobState.FAILED
    assert diary.entries == ["fail", "undo", "undo"]


async def test_a_job_of_a_kind_nobody_knows_fails(workshop: Workshop) -> None:
    workshop.launch()
    job = await workshop.ended(await workshop.submit("forgotten"))
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")


async def test_a_recipe_that_forgets_to_end_its_job_leaves_none_running(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", diary.writes("only"), undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")
    assert diary.entries == ["only", "undo"]


async def test_a_step_that_comes_again_after_the_job_has_ended_is_left_out(workshop: Workshop) -> None:
    """As after a kill between the step's last commit and the note that it is done: no second run, and never an undo,
    which would take back what the caller has been told is there."""
    diary = Diary()

    async def ends_and_breaks(resources: Resources, job: Job) -> None:
        diary.entries.append("last")
        await succeed(resources, job)
        raise ConflictError

    workshop.launch(recipe("make", ends_and_breaks, diary.writes("more"), undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    await workshop.idle()
    assert diary.entries == ["last"]
    assert (await workshop.job(job_id)).state is JobState.SUCCEEDED


# --- cancelling and deadlines ----------------------------------------------------------------------------------------


async def test_a_job_cancelled_in_the_queue_is_only_undone(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("long", forever), recipe("make", diary.writes("step"), undo=diary.writes("undo")))
    first = await workshop.submit("long", lane=Lane.CONSOLIDATE)
    await workshop.reaches(first, JobState.RUNNING)
    queued = await workshop.submit("make", lane=Lane.CONSOLIDATE)
    await workshop.cancel(queued)
    job = await workshop.ended(queued)
    assert (job.state, job.error_code) == (JobState.CANCELLED, "job_cancelled")
    assert diary.entries == ["undo"]
    assert (await workshop.job(first)).state is JobState.RUNNING


async def test_cancelling_a_running_job_ends_its_tool_before_it_is_undone(workshop: Workshop) -> None:
    diary = Diary()
    seconds = a_minute()

    async def tool(resources: Resources, job: Job) -> None:
        diary.entries.append("tool")
        await run_tool(["sleep", seconds], policy=ToolPolicy(), timeout_s=70)

    async def undo(resources: Resources, job: Job) -> None:
        diary.entries.append("alive" if processes("sleep", seconds) else "gone")

    async def tool_runs() -> bool:
        return bool(processes("sleep", seconds))

    workshop.launch(recipe("make", tool, succeed, undo=undo))
    job_id = await workshop.submit("make")
    await eventually(tool_runs)
    await workshop.cancel(job_id)
    job = await workshop.ended(job_id)
    assert (job.state, job.error_code, job.error_message) == (
        JobState.CANCELLED,
        "job_cancelled",
        "The job was cancelled.",
    )
    assert diary.entries == ["tool", "gone"]


async def test_a_step_that_is_cancelled_can_clean_up_in_peace(workshop: Workshop) -> None:
    """However often the worker is woken meanwhile."""
    diary = Diary()

    async def careful(resources: Resources, job: Job) -> None:
        diary.entries.append("working")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.3)
            diary.entries.append("cleaned up")

    engine = workshop.launch(recipe("make", careful, undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    await eventually(diary.has("working"))
    await workshop.cancel(job_id)
    for _ in range(10):
        engine.wake()
        await asyncio.sleep(0.02)
    assert (await workshop.ended(job_id)).state is JobState.CANCELLED
    assert diary.entries == ["working", "cleaned up", "undo"]


async def test_a_cancel_that_comes_too_late_changes_nothing(workshop: Workshop) -> None:
    """The step ends the job although it has been cancelled: it was quicker."""
    diary = Diary()

    async def stubborn(resources: Resources, job: Job) -> None:
        diary.entries.append("working")
        try:
            await asyncio.Event().wait()
        finally:
            await succeed(resources, job)

    workshop.launch(recipe("make", stubborn, undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    await eventually(diary.has("working"))
    await workshop.cancel(job_id)
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    await workshop.idle()
    assert diary.entries == ["working"]


async def test_a_step_that_cancels_itself_has_failed(workshop: Workshop) -> None:
    async def gives_up(resources: Resources, job: Job) -> None:
        raise asyncio.CancelledError

    diary = Diary()
    workshop.launch(recipe("make", gives_up, undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")
    assert diary.entries == ["undo"]


async def test_a_job_past_its_deadline_fails_and_is_undone(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", forever, undo=diary.writes("undo")))
    job = await workshop.ended(await workshop.submit("make", timeout_s=0.2))
    assert (job.state, job.error_code) == (JobState.FAILED, "job_timeout")
    assert job.error_message == "The job took longer than its deadline."
    assert diary.entries == ["undo"]


async def test_a_step_that_waits_for_its_next_try_is_cancelled_too(workshop: Workshop) -> None:
    diary = Diary()
    errors = [UnavailableError() for _ in range(9)]
    workshop.launch(
        recipe("make", Step("shaky", diary.fails("try", *errors), attempts=9), succeed, undo=diary.writes("undo"))
    )
    job_id = await workshop.submit("make")
    await eventually(diary.has("try"))
    await workshop.cancel(job_id)
    assert (await workshop.ended(job_id)).state is JobState.CANCELLED
    assert diary.entries[-1] == "undo"


@pytest.mark.parametrize("end", FINAL)
async def test_a_job_that_has_ended_never_changes(workshop: Workshop, end: JobState) -> None:
    job_id = await workshop.submit("make")
    async with workshop.database.writing() as tx:
        if end is JobState.SUCCEEDED:
            await service.succeed_job(tx, job_id, {"n": 1})
        else:
            await service.fail_job(tx, job_id, ConflictError(), cancelled=end is JobState.CANCELLED)
    before = await workshop.job(job_id)
    assert before.state is end
    async with workshop.database.writing() as tx:
        await service.succeed_job(tx, job_id, {"n": 2})
        await service.fail_job(tx, job_id, NotFoundError())
        await service.fail_job(tx, job_id, NotFoundError(), cancelled=True)
        await service.report_progress(tx, job_id, "again", 1, 2)
        await rows.cancel_running(tx, job_id, "x", "y")
    with pytest.raises(ConflictError):
        await workshop.cancel(job_id)
    assert await workshop.job(job_id) == before


async def test_jobs_of_other_projects_and_services_are_unknown(workshop: Workshop) -> None:
    job_id = await workshop.submit("make")
    for project_id, owner in (("b" * 32, Service.IMS), (PROJECT, Service.ECS)):
        async with workshop.database.writing() as tx:
            with pytest.raises(NotFoundError):
                await service.get_job(tx, job_id, project_id=project_id, service=owner)
            with pytest.raises(NotFoundError):
                await service.cancel_job(tx, job_id, project_id=project_id, service=owner)
    assert (await workshop.job(job_id)).state is JobState.QUEUED


# --- submitting and starting -----------------------------------------------------------------------------------------


async def submit_and_fail(workshop: Workshop) -> None:
    with contextlib.suppress(ConflictError):
        async with workshop.database.writing() as tx:
            await service.submit_job(tx, workshop.new_job("make"))
            raise ConflictError


async def test_a_submit_that_is_rolled_back_leaves_no_job_and_wakes_nobody(workshop: Workshop) -> None:
    woken: list[bool] = []
    workshop.database._wake_worker = lambda: woken.append(True)
    await submit_and_fail(workshop)
    async with workshop.database.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(rows.jobs)) == 0
    assert woken == []
    await workshop.submit("make")
    assert woken == [True]


async def test_a_job_nobody_was_woken_for_is_found_all_the_same(workshop: Workshop) -> None:
    workshop.launch(recipe("make", succeed))
    await workshop.idle()
    workshop.database._wake_worker = lambda: None
    assert (await workshop.ended(await workshop.submit("make"))).state is JobState.SUCCEEDED


async def test_a_job_starts_within_milliseconds(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    """The figure is printed, not judged: this machine is shared."""
    started: dict[str, float] = {}

    async def first(resources: Resources, job: Job) -> None:
        started[job.id] = time.perf_counter()

    workshop.launch(recipe("make", first, succeed))
    waited = []
    for _ in range(30):
        submitted = time.perf_counter()
        job_id = await workshop.submit("make")
        await workshop.ended(job_id)
        waited.append(1000 * (started[job_id] - submitted))
    with capsys.disabled():
        p50, worst = statistics.median(waited), max(waited)
        sys.stdout.write(f"\nsubmit to first step, {workshop.kind}: p50 {p50:.1f} ms, worst of 30 {worst:.1f} ms\n")


async def test_a_lane_runs_no_more_jobs_at_once_than_its_limit_and_the_oldest_first(workshop: Workshop) -> None:
    order: list[str] = []
    now_running = 0
    most = 0

    async def busy(resources: Resources, job: Job) -> None:
        nonlocal now_running, most
        order.append(job.id)
        now_running += 1
        most = max(most, now_running)
        await asyncio.sleep(0.05)
        now_running -= 1

    engine = workshop.launch(recipe("make", busy, succeed))
    workshop.database._wake_worker = lambda: None
    submitted = [await workshop.submit("make", lane=Lane.TRANSFER) for _ in range(6)]
    engine.wake()
    for job_id in submitted:
        await workshop.ended(job_id)
    assert most == LANE_LIMITS[Lane.TRANSFER]
    assert sorted(order[:2]) == sorted(submitted[:2])
    assert sorted(order[2:4]) == sorted(submitted[2:4])


async def test_a_full_lane_holds_up_no_other_however_long_its_queue(workshop: Workshop) -> None:
    workshop.launch(recipe("long", forever), recipe("quick", succeed))
    async with workshop.database.writing() as tx:
        for _ in range(600):
            await service.submit_job(tx, workshop.new_job("long", lane=Lane.CONSOLIDATE))
    assert (await workshop.ended(await workshop.submit("quick"))).state is JobState.SUCCEEDED


# --- a database that is away -----------------------------------------------------------------------------------------


async def test_a_step_waits_for_a_database_that_is_away(workshop: Workshop) -> None:
    """It has one try only, and keeps it: a database that is away is not the step's failure."""
    diary = Diary()
    away = asyncio.Event()

    async def writes_during_the_outage(resources: Resources, job: Job) -> None:
        diary.entries.append("try")
        await away.wait()
        await succeed(resources, job)

    workshop.launch(recipe("make", diary.writes("first"), writes_during_the_outage, undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    await eventually(diary.has("try"))
    async with workshop.outage():
        away.set()
        await asyncio.sleep(1.5)
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    assert diary.entries[0] == "first"
    assert set(diary.entries[1:]) == {"try"}
    after = await workshop.submit("make")
    assert (await workshop.ended(after)).state is JobState.SUCCEEDED


async def test_an_undo_waits_for_a_database_that_is_away(workshop: Workshop) -> None:
    diary = Diary()
    away = asyncio.Event()

    async def fails_during_the_outage(resources: Resources, job: Job) -> None:
        diary.entries.append("try")
        await away.wait()
        raise ConflictError

    workshop.launch(recipe("make", fails_during_the_outage, undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    await eventually(diary.has("try"))
    async with workshop.outage():
        away.set()
        await asyncio.sleep(1.5)
    job = await workshop.ended(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "conflict")


async def test_an_error_in_a_statement_is_a_bug_and_not_an_outage(workshop: Workshop) -> None:
    async def misspelt(resources: Resources, job: Job) -> None:
        async with resources.database.reading() as tx:
            await tx.execute(sa.text("SELECT no_such_column FROM jobs"))

    workshop.launch(recipe("make", misspelt))
    job = await workshop.ended(await workshop.submit("make"))
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")


def a_minute() -> str:
    """As nobody else on this machine writes it: the test finds its own `sleep` among all processes by this."""
    return f"61.{random.randrange(10**9)}1"


def processes(*argv: str) -> list[int]:
    """Those with that command line: the tool itself, and not a wrapper that has yet to tie it to the worker's life."""
    wanted = "\0".join(argv) + "\0"
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "cmdline").read_text() == wanted:
                found.append(int(directory.name))
        except OSError:
            continue
    return found
