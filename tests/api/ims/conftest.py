"""Servers that many tests of this door look at, made once."""

import pytest

from tests.system import System


@pytest.fixture(scope="session")
def stopped_server(system: System) -> str:
    return system.stopped_server("shared-stopped")


@pytest.fixture(scope="session")
def captured_image(system: System, stopped_server: str) -> str:
    return system.capture(stopped_server, "shared-image")
