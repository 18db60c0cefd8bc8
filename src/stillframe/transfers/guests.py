"""What is done to a guest between its disk's conversion and its image's first use: looking what it is, preparing it.

Both get the disk as a file that is the job's own, with the name of its format.
"""

from pathlib import Path

from stillframe.images.model import OsInfo
from stillframe.jobs.model import Job
from stillframe.jobs.resources import Resources


def can_configure() -> bool:
    """Whether this deployment can prepare guests."""
    return False


async def detect_system(_resources: Resources, _job: Job, _disk: Path, _disk_format: str) -> OsInfo | None:
    """The operating system on the disk; None when it cannot be told."""
    return None


async def configure_guest(_resources: Resources, _job: Job, _disk: Path, _disk_format: str) -> None:
    """Changes the disk in its file. Safe to repeat."""
