"""GET /v2/cloudimages: filters, order, pages and refusals, through the door of a running system."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.ims.test_capture_door import refusal
from tests.system import System


@pytest.fixture(scope="module")
def listed(system: System) -> Iterator[list[dict[str, Any]]]:
    """Five images that differ in what can be asked for, oldest first."""
    described = [
        {"name": "list-a", "tags": ["team=blue"], "min_ram": 512, "__os_type": "Linux"},
        {"name": "list-b", "tags": ["team=blue", "nightly"], "min_ram": 1024, "__os_type": "Windows"},
        {"name": "list-c", "tags": ["nightly"], "min_ram": 99999, "__support_kvm": "true"},
        {"name": "list-d", "protected": True, "disk_format": "raw", "min_disk": 40},
        {"name": "list-e", "virtual_env_type": "DataImage", "__platform": "Debian"},
    ]
    with system.http("image") as image:
        made = [image.post("/v2/images", json={"disk_format": "qcow2"} | body).json() for body in described]
        yield made
        for one in made:
            if one["protected"]:
                image.patch(
                    f"/v2/images/{one['id']}",
                    json=[{"op": "replace", "path": "/protected", "value": False}],
                    headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
                )
            image.delete(f"/v2/images/{one['id']}")


def names(system: System, *parameters: tuple[str, str]) -> list[str]:
    """The names of our five that a list finds, in its order."""
    with system.http("image") as image:
        answer = image.get("/v2/cloudimages", params=list(parameters))
    assert answer.status_code == 200, answer.text
    return [found["name"] for found in answer.json()["images"] if (found["name"] or "").startswith("list-")]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([("name", "list-a")], "a"),
        ([("tag", "team=blue")], "ba"),
        ([("tag", "team=blue"), ("tag", "nightly")], "b"),
        ([("tag", "nightly")], "cb"),
        ([("__os_type", "Windows")], "b"),
        ([("__platform", "Debian")], "e"),
        ([("virtual_env_type", "DataImage")], "e"),
        ([("__support_kvm", "true")], "c"),
        ([("protected", "true")], "d"),
        ([("disk_format", "raw")], "d"),
        ([("min_disk", "40")], "d"),
        ([("min_ram", "512")], "a"),
        ([("status", "queued"), ("__imagetype", "private")], "edcba"),
        ([("status", "active")], ""),
        ([("__imagetype", "gold")], ""),
        ([("__imagetype", "market")], ""),
        ([("visibility", "private"), ("sort_key", "name"), ("sort_dir", "asc")], "abcde"),
        ([("flavor_id", "s3.small.1"), ("status", "queued"), ("name", "list-c")], ""),
        ([("flavor_id", "s3.small.1"), ("name", "list-a")], "a"),
        ([("created_at", "gt:2000-01-01T00:00:00Z"), ("name", "list-a")], "a"),
        ([("created_at", "lt:2000-01-01T00:00:00Z")], ""),
        ([("created_at", "gte:2000-01-01 00:00:00"), ("name", "list-a")], "a"),
        ([("enterprise_project_id", "0"), ("name", "list-a")], "a"),
        ([("enterprise_project_id", "all_granted_eps"), ("name", "list-a")], "a"),
        ([("__nobody_knows", "x"), ("name", "list-a")], "a"),
        ([("id", "877a2cda-ba63-4e1e-b95f-e67e48b6129a")], ""),
        ([("id", "no-uuid")], ""),
    ],
    ids=str,
)
def test_a_filter_finds_what_it_says(
    system: System, listed: list[dict[str, Any]], parameters: list[tuple[str, str]], found: str
) -> None:
    assert names(system, *parameters) == [f"list-{letter}" for letter in found]


def test_pages_follow_each_other_without_a_gap(system: System, listed: list[dict[str, Any]]) -> None:
    seen: list[str] = []
    marker: list[tuple[str, str]] = []
    with system.http("image") as image:
        while True:
            parameters = [("limit", "2"), ("status", "queued"), *marker]
            page = image.get("/v2/cloudimages", params=parameters).json()
            seen += [found["id"] for found in page["images"]]
            assert "next" not in page
            if page["page_info"]["next_marker"] is None:
                break
            marker = [("marker", page["page_info"]["next_marker"])]
    assert [an_id for an_id in seen if an_id in {one["id"] for one in listed}] == [
        one["id"] for one in reversed(listed)
    ]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        (("limit", "0"), "IMG.0001"),
        (("limit", "501"), "IMG.0001"),
        (("limit", "many"), "IMG.0001"),
        (("marker", "877a2cda-ba63-4e1e-b95f-e67e48b6129a"), "IMG.0001"),
        (("sort_key", "owner"), "IMG.0001"),
        (("sort_dir", "up"), "IMG.0001"),
        (("min_ram", "much"), "IMG.0001"),
        (("created_at", "gt:yesterday"), "IMG.0001"),
        (("__imagetype", "silver"), "IMG.0024"),
        (("flavor_id", "no.such.flavor"), "IMG.0192"),
    ],
    ids=str,
)
def test_a_parameter_that_makes_no_sense_is_refused(system: System, parameter: tuple[str, str], code: str) -> None:
    with system.http("image") as image:
        assert refusal(image.get("/v2/cloudimages", params=[parameter])) == code


def test_every_attribute_has_the_type_that_strict_clients_decode(system: System, listed: list[dict[str, Any]]) -> None:
    """One number where a string is due makes the whole list unreadable for a Go client."""
    with system.http("image") as image:
        found = image.get("/v2/cloudimages").json()["images"]
    integers = {"min_disk", "min_ram", "size", "virtual_size"}
    for one in found:
        for name, value in one.items():
            if name in integers:
                assert value is None or type(value) is int, (name, value)
            elif name in ("protected", "os_hidden", "__whole_image", "__system_support_market"):
                assert type(value) is bool, (name, value)
            elif name == "tags":
                assert all(type(tag) is str for tag in value)
            else:
                assert value is None or type(value) is str, (name, value)
        assert one["created_at"].endswith("Z")
        assert one["max_ram"] == str(int(one["max_ram"]))
