"""The worker process: carries out jobs, looks after machines, sweeps layers. One per data directory."""

import asyncio
import contextlib
import os
import signal
from datetime import timedelta

import sqlalchemy as sa
import structlog

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import open_database
from stillframe.db.migrations import wait_until_current
from stillframe.errors import StillframeError
from stillframe.identity.tokens import TokenKeys
from stillframe.images import capture, consolidation, copying, disk_capture, import_job, member_batches, whole_capture
from stillframe.images.upload import take_back_dead_uploads
from stillframe.jobs import service as jobs
from stillframe.jobs.engine import JobEngine
from stillframe.jobs.recipes import RecipeBook
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import files
from stillframe.ops.logs import configure_logging
from stillframe.ops.pidlock import PidLock
from stillframe.ops.switchboard import Switchboard
from stillframe.ops.wake import listen_for_wakes
from stillframe.qemu.host import choose_machine_user
from stillframe.servers import attachment_jobs, growth, nic_jobs, rebuilding, resizing
from stillframe.servers import workflows as server_workflows
from stillframe.servers.watch import MachineWatch
from stillframe.transfers import importing
from stillframe.transfers import workflows as transfer_workflows
from stillframe.volumes import creation as volume_creation
from stillframe.volumes import evs_jobs, snapshots

log = structlog.get_logger("stillframe.worker")

SWEEP_INTERVAL_S = 30.0
SWEEP_PAUSE_S = 1.0
"""Sweeping waits this long after a wake, so that it stays out of the way of the job that was just submitted."""
RETENTION_INTERVAL_S = 3600.0


def recipe_book() -> RecipeBook:
    """Every kind of job there is."""
    return RecipeBook(
        capture.RECIPE,
        consolidation.RECIPE,
        copying.RECIPE,
        transfer_workflows.RECIPE,
        *importing.RECIPES,
        *import_job.RECIPES,
        *member_batches.RECIPES,
        *server_workflows.RECIPES,
        *resizing.RECIPES,
        *nic_jobs.RECIPES,
        *rebuilding.RECIPES,
        *attachment_jobs.RECIPES,
        *disk_capture.RECIPES,
        whole_capture.RECIPE,
        *volume_creation.RECIPES,
        snapshots.RECIPE,
        *evs_jobs.RECIPES,
        *growth.RECIPES,
    )


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises: ConflictError when a worker already runs for the data directory.
    """
    os.umask(0o077)
    configure_logging(settings.log_level)
    choose_machine_user(settings.machine_user)
    layout = DataLayout(settings.data_dir)
    layout.create()
    with PidLock(layout.pid_file("worker"), f"A worker already runs for {layout.root}"):
        asyncio.run(_serve(settings, layout))


async def _serve(settings: Settings, layout: DataLayout) -> None:
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    engine: JobEngine | None = None
    switchboard: Switchboard | None = None

    def wake() -> None:
        if engine is not None:
            engine.wake()
        if switchboard is not None:
            switchboard.wake()
        sweep_soon.set()

    sweep_soon = asyncio.Event()
    await wait_until_current(settings.db_url)
    database = open_database(settings.db_url, wake)
    resources = Resources(settings=settings, layout=layout, database=database, token_keys=TokenKeys.open(layout))
    engine = JobEngine(resources, recipe_book())
    switchboard = Switchboard(resources)
    watch = MachineWatch(resources)
    await watch.find_machines()
    engine.launch()
    transport = await listen_for_wakes(layout.socket("worker"), wake)
    log.info("worker.ready", pid=os.getpid())
    loops = [
        asyncio.create_task(engine.run()),
        asyncio.create_task(watch.run()),
        asyncio.create_task(switchboard.run()),
        asyncio.create_task(_sweep_forever(resources, sweep_soon)),
        asyncio.create_task(_forget_old_jobs_forever(resources)),
    ]
    stop = asyncio.ensure_future(_until(stopping))
    done, _ = await asyncio.wait([stop, *loops], return_when=asyncio.FIRST_COMPLETED)
    for task in loops:
        task.cancel()
    await asyncio.wait(loops)
    transport.close()
    engine.shut_down()
    await database.close()
    for task in done - {stop}:
        task.result()


async def _until(stopping: asyncio.Event) -> None:
    await stopping.wait()


async def _sweep_forever(resources: Resources, soon: asyncio.Event) -> None:
    while True:
        try:
            await take_back_dead_uploads(resources)
            await files.sweep(resources)
        except (StillframeError, sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("worker.sweep_failed", error=str(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(soon.wait(), SWEEP_INTERVAL_S)
        await asyncio.sleep(SWEEP_PAUSE_S)
        soon.clear()


async def _forget_old_jobs_forever(resources: Resources) -> None:
    while True:
        await asyncio.sleep(RETENTION_INTERVAL_S)
        before = utcnow() - timedelta(days=resources.settings.job_retention_days)
        try:
            async with resources.database.writing() as tx:
                await jobs.forget_jobs_finished_before(tx, before)
        except sa.exc.SQLAlchemyError as error:
            log.warning("worker.jobs_not_forgotten", error=str(error))
