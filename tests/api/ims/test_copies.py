"""Copying an image within the region: whose, what comes along, what stands against it, and that no byte moves."""

from pathlib import Path

import pytest

from stillframe.db import Database
from stillframe.images import consolidation
from stillframe.images import rows as image_rows
from stillframe.images.model import ImageKind, ImageStatus, OsInfo, Visibility
from stillframe.kit.units import GIB
from stillframe.layers import files
from stillframe.layers import rows as layer_rows
from stillframe.layers.model import LayerState
from tests.api.ims.desk import Desk, open_desk
from tests.api.ims.test_members import answer, share
from tests.images.helpers import OURS, THEIRS


def path_of(image_id: str) -> str:
    return f"/v1/cloudimages/{image_id}/copy"


async def test_a_copy_keeps_what_the_image_is_and_not_what_it_is_called(desk: Desk) -> None:
    source = await desk.image(
        name="original",
        description="the first",
        tags=("team=blue",),
        properties={"__support_kvm": "true", "colour": "green"},
        os=OsInfo(version="Debian GNU/Linux 12.0.0 64bit", platform="Debian"),
        min_ram_mib=512,
        max_ram_mib=4096,
        protected=True,
        firmware="uefi",
    )
    job = await desk.job("POST", path_of(source.id), {"name": "copy", "description": "the second"})
    assert (job["status"], job["job_type"]) == ("SUCCESS", "imsCopyImageInRegionJob")
    assert job["entities"]["image_name"] == "copy"
    copy = await desk.shown(job["entities"]["image_id"])
    before = await desk.shown(source.id)
    differ = {name for name in before.keys() | copy.keys() if before.get(name) != copy.get(name)}
    assert differ - {"created_at", "updated_at"} == {
        *("id", "name", "tags", "protected", "self", "file"),
        *("__description", "__data_origin", "__originalimagename"),
    }
    assert copy["__data_origin"] == f"image,eu-de,{source.id}"
    assert (copy["tags"], copy["__description"], copy["status"]) == ([], "the second", "active")
    async with desk.world.database.reading() as tx:
        stored = await image_rows.get_image(tx, copy["id"])
        assert stored is not None
        assert stored.layer_id == source.layer_id


async def test_a_copy_lives_on_when_its_original_is_deleted_even_before_it_is_made(desk: Desk) -> None:
    source = await desk.image()
    submitted = await desk.ask("POST", path_of(source.id), {"name": "copy"})
    assert (await desk.ask("DELETE", f"/v2/images/{source.id}")).status_code == 204
    await desk.world.run_jobs()
    job = await desk.show_job(submitted.json()["job_id"])
    assert job["status"] == "SUCCESS"
    assert await layer_state(desk, source.layer_id) is LayerState.SEALED
    assert (await desk.ask("DELETE", f"/v2/images/{job['entities']['image_id']}")).status_code == 204
    assert await layer_state(desk, source.layer_id) is LayerState.DOOMED


async def test_a_cancelled_copy_leaves_nothing(desk: Desk) -> None:
    source = await desk.image()
    job_id = (await desk.ask("POST", path_of(source.id), {"name": "never"})).json()["job_id"]
    (copy,) = (await desk.ask("GET", "/v2/cloudimages", params={"name": "never"})).json()["images"]
    refused = await desk.ask("DELETE", f"/v2/images/{copy['id']}")
    assert refused.status_code == 409
    assert refused.json()["message"] == "IMG.0090 The image being created cannot be deleted."
    assert (await desk.ask("DELETE", f"/v1/{OURS}/jobs/{job_id}")).status_code == 204
    await desk.world.run_jobs()
    job = await desk.show_job(job_id)
    assert (job["status"], job["entities"]) == ("FAIL", {})
    assert job["fail_reason"].endswith(" The job was cancelled.")
    assert (await desk.ask("GET", "/v2/cloudimages", params={"name": "never"})).json()["images"] == []
    assert await layer_state(desk, source.layer_id) is LayerState.SEALED


async def layer_state(desk: Desk, layer_id: str | None) -> LayerState:
    async with desk.world.database.reading() as tx:
        layer = await layer_rows.get_layer(tx, layer_id or "")
    assert layer is not None
    return layer.state


async def test_a_member_copies_what_it_has_accepted(desk: Desk) -> None:
    source = await desk.image(name="shared")
    body = {"name": "mine"}
    assert await desk.refusal("POST", path_of(source.id), body, project=THEIRS) == "IMG.0027"
    await share(desk, source.id)
    assert await desk.refusal("POST", path_of(source.id), body, project=THEIRS) == "IMG.0196"
    await answer(desk, source.id, "rejected")
    assert await desk.refusal("POST", path_of(source.id), body, project=THEIRS) == "IMG.0196"
    await answer(desk, source.id, "accepted")
    job = await desk.job("POST", path_of(source.id), body, project=THEIRS)
    copy = await desk.shown(job["entities"]["image_id"], THEIRS)
    assert (copy["owner"], copy["visibility"], copy["__imagetype"]) == (THEIRS, "private", "private")
    # What the owner does from now on concerns the copy no more.
    await desk.job("DELETE", "/v1/cloudimages/members", {"images": [source.id], "projects": [THEIRS]})
    assert (await desk.ask("GET", f"/v2/images/{source.id}", project=THEIRS)).status_code == 404
    assert (await desk.ask("GET", f"/v2/images/{copy['id']}", project=THEIRS)).status_code == 200
    assert (await desk.ask("GET", f"/v2/images/{copy['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "IMG.0007"),
        ([], "IMG.0001"),
        ({"name": 5}, "IMG.0001"),
        ({"description": "d"}, "IMG.0013"),
        ({"name": ""}, "IMG.0013"),
        ({"name": "  "}, "IMG.0062"),
        ({"name": "n" * 129}, "IMG.0002"),
        ({"name": "a/b"}, "IMG.0003"),
        ({"name": "n", "description": "d" * 1025}, "IMG.0004"),
        ({"name": "n", "description": "<"}, "IMG.0054"),
        ({"name": "n", "enterprise_project_id": "x"}, "IMG.0155"),
        ({"name": "n", "cmk_id": "6b1f2d0e-6d0f-4b53-9a53-0d9a5be1b0f1"}, "IMG.0095"),
    ],
    ids=str,
)
async def test_a_field_that_breaks_its_rule_is_told_by_its_code(shared_desk: Desk, body: object, code: str) -> None:
    source = await shared_desk.image()
    assert await shared_desk.refusal("POST", path_of(source.id), body) == code


@pytest.mark.parametrize(
    ("fields", "body", "code"),
    [
        ({"properties": {"__whole_image": "true"}}, {}, "IMG.0130"),
        ({"kind": ImageKind.ISO}, {}, "IMG.0167"),
        ({"status": ImageStatus.DEACTIVATED}, {}, "IMG.0046"),
        ({"status": ImageStatus.QUEUED, "layer_id": None}, {}, "IMG.0046"),
        ({"kind": ImageKind.BARE_METAL}, {"cmk_id": "k"}, "IMG.0118"),
        ({"properties": {"__system__cmkid": "k"}}, {"cmk_id": "k"}, "IMG.0096"),
        ({"properties": {"__system__cmkid": "k"}}, {}, "IMG.0101"),
        ({"virtual_size_bytes": 128 * GIB + 1}, {}, "IMG.0059"),
        ({"visibility": Visibility.COMMUNITY, "project": THEIRS}, {}, "IMG.0106"),
        ({"visibility": Visibility.PUBLIC, "project": THEIRS}, {}, "IMG.0106"),
    ],
    ids=str,
)
async def test_an_image_that_cannot_be_copied_is_told_by_its_code(
    shared_desk: Desk, fields: dict[str, object], body: dict[str, object], code: str
) -> None:
    source = await shared_desk.image(**fields)  # type: ignore[arg-type]
    assert await shared_desk.refusal("POST", path_of(source.id), {"name": "n", **body}) == code
    assert await shared_desk.world.queued_jobs() == []


async def test_an_encrypted_image_is_not_copied_by_a_member(small_desk: Desk) -> None:
    source = await small_desk.image()
    await share(small_desk, source.id)
    await answer(small_desk, source.id, "accepted")
    async with small_desk.world.database.writing() as tx:
        await image_rows.update_image_columns(tx, source.id, properties={"__system__cmkid": "k"})
    assert await small_desk.refusal("POST", path_of(source.id), {"name": "n"}, project=THEIRS) == "IMG.0197"


async def test_quota_names_and_unfinished_copies_are_limited(small_desk: Desk) -> None:
    desk = small_desk
    source = await desk.image(name="original")
    assert await desk.refusal("POST", path_of(source.id), {"name": "n"}, role="readonly") == "IMG.0026"
    assert await desk.refusal("POST", path_of("no-uuid"), {"name": "n"}) == "IMG.0066"
    desk.world.choose(image_quota=1)
    assert await desk.refusal("POST", path_of(source.id), {"name": "n"}) == "IMG.0015"
    desk.world.choose(image_quota=50, unique_image_names=True)
    assert await desk.refusal("POST", path_of(source.id), {"name": "original"}) == "IMG.0009"
    for number in range(5):
        assert (await desk.ask("POST", path_of(source.id), {"name": f"n{number}"})).status_code == 200
    assert await desk.refusal("POST", path_of(source.id), {"name": "n5"}) == "IMG.0060"
    await desk.world.run_jobs()
    assert (await desk.ask("POST", "/v2.1" + path_of(source.id).removeprefix("/v1"), {"name": "n5"})).status_code == 200


async def test_images_are_not_copied_to_another_region(small_desk: Desk) -> None:
    source = await small_desk.image()
    body = {"name": "n", "region": "eu-nl", "project_name": "eu-nl", "agency_name": "a"}
    refused = await small_desk.ask("POST", f"/v1/cloudimages/{source.id}/cross_region_copy", body)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": {"code": "IMG.0105", "message": "The operation is not supported."}},
    )


async def test_a_copy_of_an_image_not_yet_flattened_gets_the_same_file(database: Database, tmp_path: Path) -> None:
    """The bytes are real here: flattened once, for the original and for the copy."""
    async with open_desk(database, tmp_path) as desk:
        world = desk.world
        source = await desk.image(bootable=True, os_hash_value=None)
        async with world.database.writing() as tx:
            await consolidation.submit(tx, source.id, source.layer_id or "", world.settings)
        answer = await desk.ask("POST", path_of(source.id), {"name": "early"})
        await world.run_jobs()
        await world.run_jobs()
        job = await desk.show_job(answer.json()["job_id"])
        original, copy = await desk.shown(source.id), await desk.shown(job["entities"]["image_id"])
        assert copy["os_hash_value"] == original["os_hash_value"] is not None
        assert (copy["__lazyloading"], copy["checksum"]) == ("false", original["checksum"])
        assert await layer_state(desk, source.layer_id) is LayerState.DOOMED
        await files.sweep(world.resources)
        assert len(list(world.resources.layout.root.rglob("layers/*.qcow2"))) == 1
