from collections.abc import AsyncIterator

import pytest

from tests.identity.home import BACKENDS, Home, open_home


@pytest.fixture(scope="module", params=BACKENDS)
async def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """The first accounts and nothing else; one for all tests of a file, which make the users they change."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    async with open_home(url, tmp_path_factory.mktemp("home")) as opened:
        yield opened
