"""Tests of a group share what is expensive, so they have to run in one process."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="all tests run in one process")
@pytest.mark.xdist_group("house")
def test_the_runner_knows_groups(request: pytest.FixtureRequest) -> None:
    """pytest-xdist tells its scheduler by the name of the test, and says nothing when that has no effect."""
    assert request.node.nodeid.endswith("@house")
