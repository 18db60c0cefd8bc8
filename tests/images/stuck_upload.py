"""An upload that stops in the middle: in this process until it is let on, or in one of its own until it is killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import open_database
from stillframe.identity.tokens import TokenKeys
from stillframe.images import upload
from stillframe.jobs.resources import Resources
from tests.images.helpers import caller

CONTENT = bytes(range(256)) * 20_000


class Gate:
    """A body that stops in the middle until it is let on."""

    def __init__(self, *, breaks: BaseException | None = None) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._breaks = breaks

    async def chunks(self) -> AsyncIterator[bytes]:
        yield CONTENT
        self.reached.set()
        await self.opened.wait()
        if self._breaks:
            raise self._breaks
        yield CONTENT


async def start_upload(resources: Resources, image_id: str, gate: Gate) -> "asyncio.Task[None]":
    task = asyncio.create_task(upload.upload_data(resources, caller(), image_id, gate.chunks(), announced_bytes=None))
    await gate.reached.wait()
    return task


async def _main(database_url: str, data_dir: str, image_id: str) -> None:
    layout = DataLayout(Path(data_dir))
    settings = Settings(data_dir=layout.root)
    resources = Resources(settings, layout, open_database(database_url), TokenKeys.open(layout))
    task = await start_upload(resources, image_id, Gate())
    os.write(1, b"stuck\n")
    await task


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
