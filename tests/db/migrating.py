"""What a process that only migrates runs. It imports no more than that takes: each of them starts anew."""

import asyncio
from multiprocessing.synchronize import Barrier

from stillframe.db import migrations


def migrate(url: str) -> None:
    asyncio.run(migrations.migrate(url))


def migrate_at_once(url: str, at_once: Barrier) -> None:
    at_once.wait(60)
    migrate(url)
