from collections.abc import AsyncIterator

import pytest

from tests.api.identity_v3.admin import Admin
from tests.identity.home import BACKENDS, Home, open_home


@pytest.fixture(scope="module", params=BACKENDS)
async def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """The first accounts and nothing else; one for all tests of a file, which make the users they change."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    async with open_home(url, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture
async def admin(home: Home) -> AsyncIterator[Admin]:
    async with home.client((await home.token(home.admin)).text) as http:
        yield Admin(http)
