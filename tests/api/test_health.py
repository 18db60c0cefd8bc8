"""What a load balancer asks each service, without a token."""

import httpx
import pytest

from tests.system import System


@pytest.mark.parametrize("service", ["identity", "image", "compute", "volume", "network"])
def test_a_service_says_that_it_is_well(system: System, service: str) -> None:
    for headers in ({}, {"X-Auth-Token": "worthless"}):
        answer = httpx.get(f"{system.url(service)}/healthcheck", headers=headers)
        assert (answer.status_code, answer.text) == (200, "OK")
        assert answer.headers["content-type"].startswith("text/plain")
        assert httpx.head(f"{system.url(service)}/healthcheck", headers=headers).status_code == 204
    assert httpx.post(f"{system.url(service)}/healthcheck").status_code == 401


def test_versions_of_the_image_api_answer_to_head_too(system: System) -> None:
    for path, status in (("/", 300), ("/versions", 200), ("/v2/", 300)):
        answer = httpx.head(f"{system.url('image')}{path}")
        assert (answer.status_code, answer.content) == (status, b"")
