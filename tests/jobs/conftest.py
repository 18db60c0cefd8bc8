from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stillframe.db import Database
from tests.jobs.workshop import Workshop


@pytest.fixture
async def workshop(database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    made = Workshop(database, tmp_path / "data")
    await made.forget_workflows()
    yield made
    await made.stop()
