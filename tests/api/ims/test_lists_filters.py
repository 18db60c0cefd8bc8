"""Every filter of GET /v2/cloudimages: what it finds, and which of its values are refused."""

from typing import Any

import pytest

from stillframe.images import rows as image_rows
from stillframe.images.model import ImageKind, ImageStatus, MemberStatus, OsInfo, Visibility
from stillframe.kit.units import GIB
from tests.api.ims.desk import Desk
from tests.api.ims.test_members import answer, share
from tests.images.helpers import OURS, THEIRS

PROJECT = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"


@pytest.fixture
async def filled(desk: Desk) -> Desk:
    """Images a to g, each different in something, oldest first; x is another project's."""
    described: dict[str, dict[str, Any]] = {
        "a": {"tags": ("team=blue",), "min_ram_mib": 512, "min_disk_gib": 40, "protected": True},
        "b": {"tags": ("team=blue", "a=b=c"), "os": OsInfo(os_type="Windows", platform="Windows", bits="32")},
        "c": {"kind": ImageKind.ISO, "disk_format": "iso", "os": OsInfo(platform="Red Hat")},
        "d": {"properties": {"__whole_image": "true", "__system__cmkid": "k", "__support_kvm_gpu_type": "V100"}},
        "e": {"status": ImageStatus.IMPORTING, "enterprise_project_id": PROJECT, "architecture": "arm"},
        "f": {"status": ImageStatus.QUEUED, "layer_id": None, "container_format": None, "registered": False},
        "g": {"virtual_size_bytes": 40 * GIB, "visibility": Visibility.PUBLIC},
    }
    for name, fields in described.items():
        await desk.image(name=name, **fields)
    shared = await desk.image(THEIRS, name="x")
    await desk.job("POST", "/v1/cloudimages/members", {"images": [shared.id], "projects": [OURS]}, project=THEIRS)
    await answer(desk, shared.id, "accepted", OURS)
    return desk


async def names(desk: Desk, *parameters: tuple[str, str]) -> str:
    answered = await desk.ask("GET", "/v2/cloudimages", params=list(parameters))
    assert answered.status_code == 200, (parameters, answered.text)
    return "".join(one["name"] for one in answered.json()["images"] if len(one["name"]) == 1)


FOUND: list[tuple[dict[str, str], str]] = [
    ({}, "xgfedcba"),
    ({"name": "a"}, "a"),
    ({"owner": OURS}, "gfedcba"),
    ({"owner": THEIRS}, "x"),
    ({"owner": "nobody"}, ""),
    ({"status": "active"}, "xgdcba"),
    ({"status": "saving"}, "e"),
    ({"status": "queued"}, "f"),
    ({"status": "killed"}, ""),
    ({"status": "deleted"}, ""),
    ({"container_format": "bare", "__imagetype": "private"}, "edcba"),
    ({"disk_format": "iso"}, "c"),
    ({"disk_format": "zvhd2"}, ""),
    ({"min_ram": "512"}, "a"),
    ({"min_disk": "40"}, "a"),
    ({"__os_bit": "32"}, "b"),
    ({"__platform": "Windows"}, "b"),
    ({"__platform": "Red Hat"}, "c"),
    ({"__platform": "RedHat"}, "c"),
    ({"__os_type": "Windows"}, "b"),
    ({"__os_version": "Plan 9"}, ""),
    ({"__imagetype": "gold"}, "g"),
    ({"__imagetype": "private"}, "fedcba"),
    ({"__imagetype": "shared"}, "x"),
    ({"__imagetype": "market"}, ""),
    ({"__isregistered": "true", "__imagetype": "private"}, "edcba"),
    ({"__isregistered": "False"}, "f"),
    ({"__whole_image": "true"}, "d"),
    ({"__whole_image": "True", "protected": "false"}, "d"),
    ({"__whole_image": "false"}, "xgfecba"),
    ({"__system__cmkid": "k"}, "d"),
    ({"__support_kvm_gpu_type": "V100"}, "d"),
    ({"__support_kvm_gpu_type": "M60"}, ""),
    ({"virtual_env_type": "IsoImage"}, "c"),
    ({"virtual_env_type": "Ironic"}, ""),
    ({"visibility": "public"}, "g"),
    ({"visibility": "private"}, "fedcba"),
    ({"visibility": "shared"}, "x"),
    ({"protected": "true"}, "a"),
    ({"architecture": "arm"}, "e"),
    ({"enterprise_project_id": PROJECT.upper()}, "e"),
    ({"enterprise_project_id": "0", "__imagetype": "private"}, "fdcba"),
    ({"enterprise_project_id": "all_granted_eps"}, "xgfedcba"),
    ({"enterprise_project_id": ""}, "xgfedcba"),
    ({"tag": "team=blue"}, "ba"),
    ({"tag": "a=b=c"}, "b"),
    ({"tag": "team"}, ""),
    ({"size_min": str(GIB)}, "g"),
    ({"size_min": str(GIB), "size_max": str(2 * GIB)}, ""),
    ({"size_max": str(GIB)}, "xfedcba"),
    ({"created_at": "gt:2000-01-01T00:00:00Z", "name": "a"}, "a"),
    ({"created_at": "gte:2000-01-01 00:00:00", "name": "a"}, "a"),
    ({"created_at": "neq:2000-01-01T00:00:00Z", "name": "a"}, "a"),
    ({"updated_at": "lt:2000-01-01T00:00:00Z"}, ""),
    ({"updated_at": "lte:2000-01-01T00:00:00Z"}, ""),
    ({"updated_at": "eq:2000-01-01T00:00:00Z"}, ""),
    ({"flavor_id": "s3.small.1", "__imagetype": "private"}, "fedcba"),
    ({"sort_key": "name", "sort_dir": "asc"}, "abcdefgx"),
    ({"sort_key": "id", "name": "a"}, "a"),
    ({"sort_key": "created_at", "sort_dir": "asc"}, "abcdefgx"),
    ({"limit": "500"}, "xgfedcba"),
    ({"marker": ""}, "xgfedcba"),
    ({"__nobody_knows": "x", "nor_this": "y"}, "xgfedcba"),
]
REFUSED: list[tuple[str, str, str]] = [
    *(("limit", text, "IMG.0001") for text in ("0", "501", "-1", "many", "9" * 30, "1.5")),
    *(("sort_key", text, "IMG.0001") for text in ("owner",)),
    *(("sort_dir", text, "IMG.0001") for text in ("up",)),
    *(("marker", text, "IMG.0001") for text in ("x", PROJECT, "\x00")),
    *(("min_ram", text, "IMG.0001") for text in ("much", "9" * 30)),
    *(("min_disk", text, "IMG.0001") for text in ("much", "1e3")),
    *(("protected", text, "IMG.0001") for text in ("maybe",)),
    *(("__isregistered", text, "IMG.0001") for text in ("maybe",)),
    *(("__whole_image", text, "IMG.0001") for text in ("maybe",)),
    *(("visibility", text, "IMG.0001") for text in ("secret",)),
    *(("member_status", text, "IMG.0001") for text in ("maybe",)),
    *(("virtual_env_type", text, "IMG.0001") for text in ("Docker", "fusioncompute")),
    *(("__imagetype", text, "IMG.0024") for text in ("silver", "Gold")),
    *(("enterprise_project_id", text, "IMG.0155") for text in ("x", "00")),
    *(("created_at", text, "IMG.0001") for text in ("gt:yesterday", "after:2026-01-01T00:00:00Z", "gt:")),
    *(("updated_at", text, "IMG.0001") for text in ("lt:0", "99999-01-01T00:00:00Z")),
    *(("size_min", text, "IMG.0001") for text in ("much", "9" * 30)),
    *(("size_max", text, "IMG.0001") for text in ("1.5",)),
    *(
        ("flavor_id", text, code)
        for text, code in (("no.such", "IMG.0192"), ("\x00", "IMG.0191"), ("f" * 256, "IMG.0191"))
    ),
    *((name, "\x00", "IMG.0001") for name in ("name", "tag", "owner", "id", "__platform", "__support_kvm")),
]


async def test_every_filter_finds_what_it_says(filled: Desk) -> None:
    for parameters, found in FOUND:
        assert await names(filled, *parameters.items()) == found, parameters


async def test_filters_given_twice_must_both_hold(filled: Desk) -> None:
    assert await names(filled, ("tag", "team=blue"), ("tag", "a=b=c")) == "b"
    assert await names(filled, ("name", "a"), ("name", "b")) == ""


async def test_every_value_that_makes_no_sense_is_refused(filled: Desk) -> None:
    for name, text, code in REFUSED:
        assert await filled.refusal("GET", "/v2/cloudimages", params={name: text}) == code, (name, text)


async def test_what_is_empty_was_not_asked_for(filled: Desk) -> None:
    everything = await names(filled)
    for name in ("name", "id", "owner", "visibility", "__imagetype", "tag", "sort_key", "protected", "flavor_id"):
        assert await names(filled, (name, "")) == everything, name


async def test_no_filter_finds_anything_of_which_the_project_knows_nothing(desk: Desk) -> None:
    """Shared but unanswered, rejected, or simply another's."""
    private, pending, rejected = [(await desk.image(name=name)).id for name in ("p", "q", "r")]
    await share(desk, pending, rejected)
    await answer(desk, rejected, "rejected")
    for image in (private, pending, rejected):
        for parameters in ({"id": image}, {"owner": OURS}, {"name": "p"}, {"visibility": "shared"}, {}):
            found = await desk.ask("GET", "/v2/cloudimages", params=parameters, project=THEIRS)
            assert image not in [one["id"] for one in found.json()["images"]]
    for status, image in ((MemberStatus.PENDING, pending), (MemberStatus.REJECTED, rejected)):
        parameters = {"visibility": "shared", "member_status": str(status)}
        found = await desk.ask("GET", "/v2/cloudimages", params=parameters, project=THEIRS)
        assert [one["id"] for one in found.json()["images"]] == [image]


async def test_deleted_images_are_shown_only_when_asked_for_and_to_their_owner(desk: Desk) -> None:
    image = (await desk.image(name="z")).id
    await desk.ask("DELETE", f"/v2/images/{image}")
    assert await names(desk) == ""
    assert await names(desk, ("status", "deleted")) == "z"
    found = await desk.ask("GET", "/v2/cloudimages", params={"status": "deleted"}, project=THEIRS)
    assert found.json()["images"] == []


async def test_a_page_goes_on_after_its_marker_even_when_the_marker_is_gone_from_the_filter(desk: Desk) -> None:
    images = [await desk.image(name=str(number)) for number in range(5)]
    async with desk.world.database.writing() as tx:
        await image_rows.update_image_columns(tx, images[3].id, min_ram_mib=1)
    page = (await desk.ask("GET", "/v2/cloudimages", params={"marker": images[3].id, "min_ram": "128"})).json()
    assert [one["name"] for one in page["images"] if len(one["name"]) == 1] == ["2", "1", "0"]
