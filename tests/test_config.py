import pytest

from stillframe.config import load_settings
from stillframe.errors import InvalidInputError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_quota", "-1"),
        ("job_timeout_s", "nan"),
        ("job_timeout_s", "inf"),
        ("floating_range", "8.8.0.0/16"),
        ("floating_range", "127.77.1.0/16"),
        ("password_pattern", "("),
        ("log_level", "shout"),
        ("database_url", "mysql://host/name"),
        ("obs_endpoint", "host:9000"),
        ("public_host", "a b"),
        ("host", "a/b"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_at_the_start(name: str, value: str) -> None:
    """And not in the middle of a request, hours later."""
    with pytest.raises(InvalidInputError, match=name):
        load_settings(environ={f"STILLFRAME_{name.upper()}": value})


def test_an_ipv6_address_stands_in_brackets_in_urls() -> None:
    assert load_settings(environ={}, host="::1").url("identity") == "http://[::1]:5000"
