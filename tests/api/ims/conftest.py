"""Servers that many tests of this door look at, made once; and the door by itself, on rows without machines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stillframe.db import Database
from tests.api.ims.desk import Desk, open_desk
from tests.servers.world import private_database
from tests.system import System


@pytest.fixture(scope="session")
def stopped_server(system: System) -> str:
    return system.stopped_server("shared-stopped")


@pytest.fixture(scope="session")
def captured_image(system: System, stopped_server: str) -> str:
    return system.capture(stopped_server, "shared-image")


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def small_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """For what the database makes no difference to."""
    async with private_database(tmp_path) as database, open_desk(database, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
async def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One for all the tests of a module that only make images of their own and look at those."""
    directory = tmp_path_factory.mktemp("desk")
    async with private_database(directory) as database, open_desk(database, directory) as opened:
        yield opened
