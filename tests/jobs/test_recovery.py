"""A worker that ends, whichever way, and the one that comes after it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from dbos import DBOS

from stillframe.config import Settings
from stillframe.db.migrations import migrate
from stillframe.errors import ConflictError
from stillframe.jobs import engine, rows
from stillframe.jobs.checkpoints import forget_workflows_ended_before
from stillframe.jobs.model import LANE_LIMITS, Job, JobState, Lane
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from tests.jobs.test_engine import a_minute, forever, processes
from tests.jobs.workshop import Diary, Workshop, eventually, recipe, succeed

ROOT = Path(__file__).parents[2]


class Worker:
    """A process of `small_worker` on the workshop's database."""

    def __init__(self, workshop: Workshop) -> None:
        self.data_dir = workshop.settings.data_dir
        self.tool_seconds = a_minute()
        argv = [sys.executable, "-m", "tests.jobs.small_worker", str(self.data_dir), workshop.settings.database_url]
        self.process = subprocess.Popen([*argv, self.tool_seconds], cwd=ROOT, stdin=subprocess.DEVNULL)

    def diary(self) -> list[str]:
        """What this process did."""
        try:
            lines = [line.split() for line in (self.data_dir / "diary").read_text().splitlines()]
        except FileNotFoundError:
            return []
        return [entry for entry, pid in lines if int(pid) == self.process.pid]

    async def runs_its_tool(self) -> bool:
        return bool(processes("sleep", self.tool_seconds))

    async def left_no_tool(self) -> bool:
        return not processes("sleep", self.tool_seconds)

    async def does(self, entry: str) -> None:
        deadline = time.monotonic() + 60
        while entry not in self.diary():
            assert time.monotonic() < deadline, self.diary()
            assert self.process.poll() is None or entry in self.diary()
            await asyncio.sleep(0.02)

    async def ends_by(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)
        await asyncio.to_thread(self.process.wait, 60)


@pytest.fixture
async def workers(workshop: Workshop) -> AsyncIterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()


async def test_a_worker_killed_in_a_step_is_taken_over_and_the_step_runs_again(
    workshop: Workshop, workers: list[Worker]
) -> None:
    """Finished steps do not, and the tool the dead worker had started is gone with it."""
    first = Worker(workshop)
    workers.append(first)
    job_id = await workshop.submit("make")
    await first.does("long")
    await eventually(first.runs_its_tool)
    await first.ends_by(signal.SIGKILL)
    await eventually(first.left_no_tool)
    assert (await workshop.job(job_id)).state is JobState.RUNNING

    (first.data_dir / "go").touch()
    second = Worker(workshop)
    workers.append(second)
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    assert first.diary() == ["ready", "first", "long"]
    assert second.diary() == ["ready", "long", "last"]


async def test_a_worker_killed_after_the_last_commit_leaves_a_job_that_is_left_alone(
    workshop: Workshop, workers: list[Worker]
) -> None:
    first = Worker(workshop)
    workers.append(first)
    (first.data_dir / "go").touch()
    (first.data_dir / "die").touch()
    job_id = await workshop.submit("make")
    await asyncio.to_thread(first.process.wait, 60)
    ended = await workshop.job(job_id)
    assert ended.state is JobState.SUCCEEDED

    second = Worker(workshop)
    workers.append(second)
    await second.does("ready")
    await asyncio.sleep(3)
    assert second.diary() == ["ready"]
    assert await workshop.job(job_id) == ended


async def test_a_job_cancelled_while_no_worker_runs_is_undone_by_the_next(
    workshop: Workshop, workers: list[Worker]
) -> None:
    first = Worker(workshop)
    workers.append(first)
    job_id = await workshop.submit("make")
    await first.does("long")
    await first.ends_by(signal.SIGKILL)
    await workshop.cancel(job_id)
    second = Worker(workshop)
    workers.append(second)
    assert (await workshop.ended(job_id)).state is JobState.CANCELLED
    assert second.diary() == ["ready", "undo"]


async def test_a_worker_that_is_stopped_leaves_its_jobs_to_the_next(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", diary.writes("first"), forever, succeed, undo=diary.writes("undo")))
    job_id = await workshop.submit("make")
    await eventually(diary.has("first"))
    await asyncio.sleep(0.2)
    await workshop.stop()
    assert (await workshop.job(job_id)).state is JobState.RUNNING

    workshop.launch(recipe("make", diary.writes("first"), diary.writes("again"), succeed, undo=diary.writes("undo")))
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    assert diary.entries == ["first", "again"]


async def test_a_recorded_failure_is_the_same_failure_after_a_restart(workshop: Workshop) -> None:
    """The undo of the first worker never comes to its end; the second one's ends the job with the first error."""
    diary = Diary()
    workshop.launch(recipe("make", diary.fails("fail", ConflictError("The disk is taken.")), undo=forever))
    job_id = await workshop.submit("make")
    await eventually(diary.has("fail"))
    await asyncio.sleep(0.3)
    await workshop.stop()
    workshop.launch(recipe("make", diary.writes("never"), undo=diary.writes("undo")))
    job = await workshop.ended(job_id)
    assert (job.state, job.error_code, job.error_message) == (JobState.FAILED, "conflict", "The disk is taken.")
    assert diary.entries == ["fail", "undo"]


async def test_a_job_claimed_by_a_worker_that_died_before_it_began_is_begun(workshop: Workshop) -> None:
    job_id = await workshop.submit("make")
    async with workshop.database.writing() as tx:
        assert [job.id for job in await rows.claim_jobs(tx, Lane.SEAL, 8, utcnow())] == [job_id]
    workshop.launch(recipe("make", succeed))
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED


async def test_a_job_whose_deadline_passed_while_no_worker_ran_fails(workshop: Workshop) -> None:
    diary = Diary()
    workshop.launch(recipe("make", forever))
    job_id = await workshop.submit("make", timeout_s=1.0)
    await workshop.reaches(job_id, JobState.RUNNING)
    await workshop.stop()
    await asyncio.sleep(1.1)
    workshop.launch(recipe("make", diary.writes("never"), undo=diary.writes("undo")))
    job = await workshop.ended(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "job_timeout")
    assert diary.entries == ["undo"]


async def test_jobs_that_come_back_keep_their_places_in_the_lane(workshop: Workshop) -> None:
    """After a restart there are never more at once than before it."""
    limit = LANE_LIMITS[Lane.TRANSFER]
    now_running: set[str] = set()
    most = 0
    may_end = asyncio.Event()

    async def busy(resources: Resources, job: Job) -> None:
        nonlocal most
        now_running.add(job.id)
        most = max(most, len(now_running))
        await may_end.wait()
        now_running.remove(job.id)

    workshop.launch(recipe("make", forever))
    submitted = [await workshop.submit("make", lane=Lane.TRANSFER) for _ in range(limit + 3)]
    for job_id in submitted[:limit]:
        await workshop.reaches(job_id, JobState.RUNNING)
    await workshop.stop()
    workshop.launch(recipe("make", busy, succeed))

    async def all_places_are_taken() -> bool:
        return len(now_running) == limit

    await eventually(all_places_are_taken)
    await asyncio.sleep(2.5)
    assert now_running == set(submitted[:limit])
    may_end.set()
    for job_id in submitted:
        assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    assert most == limit


async def test_a_job_that_takes_every_worker_with_it_is_given_up(workshop: Workshop) -> None:
    """Not after the first time: a host may be restarted often. DBOS counts, and stops at twenty."""
    diary = Diary()
    workshop.launch(recipe("make", forever))
    job_id = await workshop.submit("make")
    await workshop.reaches(job_id, JobState.RUNNING)
    await asyncio.sleep(0.2)
    await workshop.stop()
    assert await workshop.in_checkpoints("UPDATE {schema}workflow_status SET recovery_attempts = 25") == 1
    workshop.launch(recipe("make", diary.writes("never"), undo=diary.writes("undo")))
    job = await workshop.ended(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "internal_error")
    assert diary.entries == ["undo"]


async def test_a_job_whose_checkpoint_cannot_be_written_goes_on_when_it_can(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: DBOS gives the workflow up and cannot even note that."""
    monkeypatch.setattr(engine, "RESUME_AFTER_S", 1.0)
    diary = Diary()
    workshop.launch(recipe("make", diary.writes("first"), succeed, undo=diary.writes("undo")))
    await workshop.in_checkpoints(*REFUSE[workshop.kind])
    job_id = await workshop.submit("make")
    await eventually(diary.has("first"))
    await asyncio.sleep(3)
    assert (await workshop.job(job_id)).state is JobState.RUNNING
    await workshop.in_checkpoints(*ACCEPT[workshop.kind])
    assert (await workshop.ended(job_id)).state is JobState.SUCCEEDED
    assert set(diary.entries) == {"first"}


REFUSE = {
    "sqlite": [
        "CREATE TRIGGER full BEFORE INSERT ON operation_outputs BEGIN SELECT RAISE(ABORT, 'disk full'); END",
        "CREATE TRIGGER more BEFORE UPDATE OF completed_at ON workflow_status BEGIN SELECT RAISE(ABORT, 'full'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION dbos.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$",
        "CREATE TRIGGER full_ BEFORE INSERT ON dbos.operation_outputs EXECUTE FUNCTION dbos.refuse()",
        "CREATE TRIGGER fuller BEFORE UPDATE OF completed_at ON dbos.workflow_status EXECUTE FUNCTION dbos.refuse()",
    ],
}
ACCEPT = {
    "sqlite": ["DROP TRIGGER full", "DROP TRIGGER more"],
    "postgresql": ["DROP FUNCTION dbos.refuse CASCADE"],
}


async def test_workflows_that_have_ended_are_forgotten_and_running_ones_are_not(workshop: Workshop) -> None:
    workshop.launch(recipe("make", succeed), recipe("long", forever))
    ended = await workshop.submit("make")
    await workshop.ended(ended)
    running = await workshop.submit("long")
    await workshop.reaches(running, JobState.RUNNING)

    async def known() -> set[str]:
        return {workflow.workflow_id for workflow in await DBOS.list_workflows_async()}

    async def both_are_on_record() -> bool:
        done = await DBOS.list_workflows_async(status="SUCCESS")
        return {workflow.workflow_id for workflow in done} == {ended} and await known() == {ended, running}

    await eventually(both_are_on_record)
    await forget_workflows_ended_before(utcnow() - timedelta(hours=1))
    assert await known() == {ended, running}
    await forget_workflows_ended_before(utcnow() + timedelta(hours=1))
    assert await known() == {running}


class RealWorker:
    """`stillframe worker`, on a data directory of its own."""

    def __init__(self, settings: Settings) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(settings.data_dir)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stillframe.cli", "worker", "--data-dir", str(settings.data_dir)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, expected: str) -> str:
        """The first line with it; what comes before is read over."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if expected in line:
                return line
        return ""

    def end(self, signum: signal.Signals) -> int:
        self.process.send_signal(signum)
        assert self.process.stderr is not None
        self.process.stderr.read()
        return self.process.wait(60)


async def test_a_data_directory_has_one_worker_and_a_killed_one_is_no_obstacle(tmp_path: Path) -> None:
    """Two of them would both run what DBOS has on record under the one executor id."""
    settings = Settings(data_dir=tmp_path)
    await migrate(settings.db_url)
    started = [RealWorker(settings)]
    try:
        assert await asyncio.to_thread(started[0].says, "worker.ready")
        started.append(RealWorker(settings))
        refusal = await asyncio.to_thread(started[1].says, "already runs")
        assert str(started[0].process.pid) in refusal
        assert await asyncio.to_thread(started[1].process.wait, 60) == 1
        started[0].end(signal.SIGKILL)
        started.append(RealWorker(settings))
        assert await asyncio.to_thread(started[2].says, "worker.ready")
        assert await asyncio.to_thread(started[2].end, signal.SIGTERM) == 0
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.wait()
