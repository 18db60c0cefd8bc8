"""The disks a job of this room works on, and its files before they are disks of ours."""

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from stillframe.db import Transaction
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Job
from stillframe.jobs.resources import Resources
from stillframe.transfers.model import Disk


def disks_of(job: Job) -> list[Disk]:
    """As the job was given them, or as its last step has left them."""
    return msgspec.convert(job.result.get("disks") or job.args["disks"], list[Disk])


async def note_disks(tx: Transaction, job: Job, disks: Iterable[Disk]) -> None:
    await jobs.report_result(tx, job.id, {"disks": [disk.encode() for disk in disks]})


def staging_dir(resources: Resources, job: Job) -> Path:
    return resources.layout.staging(job.id, 0)


def staged_file(resources: Resources, job: Job, disk: Disk) -> Path:
    return staging_dir(resources, job) / f"source-{disk.staged}"


async def clear_staging(resources: Resources, job: Job) -> None:
    await asyncio.to_thread(shutil.rmtree, staging_dir(resources, job), ignore_errors=True)
