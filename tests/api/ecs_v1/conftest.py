from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stillframe.api import ecs_v1
from stillframe.db import Database
from tests.servers.world import Door, World, open_world


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    async with world.door(ecs_v1) as client:
        yield client
