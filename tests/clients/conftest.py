"""A stopped server whose disk holds a marker, made once; the clients capture it one after the other."""

import pytest

from tests.system import System


@pytest.fixture(scope="session")
def marked_server(system: System) -> str:
    return system.stopped_server("marked", user_data="#!/bin/sh\necho from-a-client > /root/marker\n")


@pytest.fixture(scope="session")
def bucket(system: System) -> str:
    system.s3().create_bucket(Bucket="client-exports")
    return "client-exports"
