from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stillframe.db import Database
from tests.servers.world import World, open_world


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Servers with rows and no machines, on each of the two databases."""
    async with open_world(database, tmp_path) as opened:
        yield opened
