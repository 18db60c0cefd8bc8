"""PATCH /v2/cloudimages/{image_id}: what can be changed and how, what cannot, and in which order that is found out."""

import json
import uuid
from typing import Any

import pytest

from stillframe.images.model import ImageKind, ImageStatus
from stillframe.jobs import service as jobs
from stillframe.jobs.model import Lane, NewJob, Service
from stillframe.kit.units import GIB
from tests.api.ims.desk import Desk, code_of
from tests.api.ims.test_members import share
from tests.images.helpers import OURS, THEIRS

Change = dict[str, object]


def path_of(image_id: str) -> str:
    return f"/v2/cloudimages/{image_id}"


def put(path: str, value: object, operation: str = "replace") -> Change:
    return {"op": operation, "path": path, "value": value}


def drop(path: str) -> Change:
    return {"op": "remove", "path": path}


async def changed(desk: Desk, image_id: str, *changes: Change, **how: Any) -> dict[str, Any]:
    answer = await desk.ask("PATCH", path_of(image_id), list(changes), **how)
    assert answer.status_code == 200, answer.text
    assert answer.json() == await desk.shown(image_id)
    return answer.json()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("/name", "Größe 2.0", "Größe 2.0"),
        ("/__description", "", None),
        ("/__description", "words", "words"),
        ("/min_ram", 1024, 1024),
        ("/min_ram", "1024", 1024),
        ("/max_ram", "4096", "4096"),
        ("/max_ram", 4096, "4096"),
        ("/min_disk", "40", 40),
        ("/hw_firmware_type", "uefi", "uefi"),
        ("/architecture", "ARM", "arm"),
        ("/enterprise_project_id", "", "0"),
        ("/__os_version", "CentOS 7.3 64bit", "CentOS 7.3 64bit"),
        ("/__support_xen", "true", "true"),
        ("/__support_largememory", True, "true"),
        ("/__support_kvm_gpu_type", "V100", "V100"),
        ("/__is_config_init", False, "false"),
        ("/hw_vif_multiqueue_enabled", "true", "true"),
        ("/my_own:attribute", "x" * 1000, "x" * 1000),
        ("/with~1slash~0tilde", "x", "x"),
    ],
    ids=str,
)
async def test_what_can_be_changed_is(shared_desk: Desk, path: str, value: object, shown: object) -> None:
    for operation in ("add", "replace"):
        image = (await shared_desk.image(description="before", min_ram_mib=128)).id
        name = path[1:].replace("~1", "/").replace("~0", "~")
        assert (await changed(shared_desk, image, put(path, value, operation))).get(name) == shown


async def test_a_system_is_changed_as_a_whole(small_desk: Desk) -> None:
    image = (await small_desk.image()).id
    seen = await changed(small_desk, image, put("/__os_version", "Windows Server 2016 Standard 64bit"))
    assert (seen["__os_type"], seen["__platform"], seen["__os_bit"]) == ("Windows", "Windows", "64")
    small_desk.world.choose(extra_os_versions=("Alpine 3.20 64bit",))
    seen = await changed(small_desk, image, put("/__os_version", "Alpine 3.20 64bit"))
    assert (seen["__os_type"], seen["__platform"]) == ("Linux", "Other")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json;charset=utf-8",
        "application/openstack-images-v2.1-json-patch",
        "application/openstack-images-v2.0-json-patch",
    ],
)
async def test_every_media_type_and_both_spellings_are_taken(shared_desk: Desk, media_type: str) -> None:
    image = (await shared_desk.image(properties={"old": "1"})).id
    changes: list[Change] = [{"add": "/new", "value": "2"}, {"replace": "/name", "value": "n"}, {"remove": "/old"}]
    seen = await changed(shared_desk, image, *changes, headers={"Content-Type": media_type})
    assert (seen["new"], seen["name"], "old" in seen) == ("2", "n", False)


async def test_no_change_changes_nothing(desk: Desk) -> None:
    image = (await desk.image(protected=True, kind=ImageKind.DATA)).id
    before = await desk.shown(image)
    assert await changed(desk, image) == before
    assert await changed(desk, image, put("/name", before["name"])) == before
    assert (await changed(desk, image, put("/name", "renamed")))["name"] == "renamed"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "IMG.0007"),
        (b"null", "IMG.0007"),
        (b"{}", "IMG.0007"),
        (b"{", "IMG.0001"),
        (b'{"op":"add"}', "IMG.0001"),
        (b"[1]", "IMG.0001"),
        ([{}], "IMG.0001"),
        ([put("/name", "n", "move")], "IMG.0001"),
        ([put("name", "n")], "IMG.0001"),
        ([put("/", "n")], "IMG.0001"),
        ([put("/name/x", "n")], "IMG.0001"),
        ([put("/~2", "n")], "IMG.0001"),
        ([{"op": "add", "path": "/name"}], "IMG.0001"),
        ([put("/name", None)], "IMG.0001"),
        ([put("/name", 5)], "IMG.0001"),
        ([put("/name", " ")], "IMG.0062"),
        ([put("/name", "n" * 129)], "IMG.0002"),
        ([put("/name", "a/b")], "IMG.0003"),
        ([put("/__description", "d" * 1025)], "IMG.0004"),
        ([put("/__description", "<")], "IMG.0054"),
        ([put("/min_ram", -1)], "IMG.0055"),
        ([put("/min_ram", 10**30)], "IMG.0055"),
        ([put("/min_ram", True)], "IMG.0001"),
        ([put("/max_ram", "much")], "IMG.0055"),
        ([put("/max_ram", 256), put("/min_ram", 512)], "IMG.0055"),
        ([put("/min_disk", 0)], "IMG.0055"),
        ([put("/min_disk", 1025)], "IMG.0055"),
        ([put("/hw_firmware_type", "coreboot")], "IMG.0141"),
        ([put("/architecture", "mips")], "IMG.0212"),
        ([put("/enterprise_project_id", "x")], "IMG.0155"),
        ([put("/__os_version", "Plan 9")], "IMG.0056"),
        ([put("/__support_xen", 1)], "IMG.0001"),
        ([put("/own", ["x"])], "IMG.0001"),
        ([put("/own", "x" * 65536)], "IMG.0001"),
        ([put("/Own", "x")], "IMG.0001"),
        ([put("/" + "o" * 256, "x")], "IMG.0001"),
        ([put("/id", "6b1f2d0e-6d0f-4b53-9a53-0d9a5be1b0f1")], "IMG.0035"),
        ([put("/owner", THEIRS)], "IMG.0035"),
        ([put("/status", "active")], "IMG.0035"),
        ([put("/size", 1)], "IMG.0035"),
        ([put("/tags", [])], "IMG.0035"),
        ([put("/visibility", "public")], "IMG.0035"),
        ([put("/__imagetype", "gold")], "IMG.0035"),
        ([put("/__nobody_knows", "x")], "IMG.0035"),
        ([put("/os_glance_x", "x")], "IMG.0035"),
        ([put("/deleted", "x")], "IMG.0035"),
        ([drop("/own")], "IMG.0035"),
        ([drop("/name")], "IMG.0035"),
        ([drop("/min_ram")], "IMG.0035"),
        ([drop("/__description")], "IMG.0035"),
        ([put("/own", "x", "add"), drop("/own")], "IMG.0035"),
        ([put("/__support_xen", "true"), put("/__support_xen_hana", "true")], "IMG.0035"),
        ([put("/__support_xen", "true"), put("/__support_kvm_infiniband", "true")], "IMG.0035"),
    ],
    ids=lambda value: (value if isinstance(value, bytes) else json.dumps(value).encode())[:60].decode(),
)
async def test_a_change_that_cannot_be_is_told_by_its_code(shared_desk: Desk, body: Any, code: str) -> None:
    image = (await shared_desk.image()).id
    before = await shared_desk.shown(image)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert await shared_desk.refusal("PATCH", path_of(image), content=content) == code
    assert await shared_desk.shown(image) == before


async def test_attributes_that_exclude_each_other_do_so_whenever_they_were_set(small_desk: Desk) -> None:
    image = (await small_desk.image(properties={"__support_kvm": "true"})).id
    assert await small_desk.refusal("PATCH", path_of(image), [put("/__support_kvm_gpu_type", "V100")]) == "IMG.0035"
    await changed(small_desk, image, put("/__support_xen", "false"), put("/__support_kvm_infiniband", "true"))
    await changed(small_desk, image, put("/unrelated", "x"))


async def test_removing_gives_back_the_default(small_desk: Desk) -> None:
    image = (await small_desk.image(description="d", max_ram_mib=512, properties={"__support_amd": "true"})).id
    seen = await changed(small_desk, image, drop("/__description"), drop("/max_ram"), drop("/__support_amd"))
    assert (seen.get("__description"), seen["max_ram"], "__support_amd" in seen) == (None, "0", False)


async def test_a_disk_holds_what_is_on_it(small_desk: Desk) -> None:
    image = (await small_desk.image(virtual_size_bytes=40 * GIB)).id
    assert await small_desk.refusal("PATCH", path_of(image), [put("/min_disk", 39)]) == "IMG.0055"
    await changed(small_desk, image, put("/min_disk", 40))
    data = (await small_desk.image(kind=ImageKind.DATA)).id
    await changed(small_desk, data, put("/min_disk", 2048))


async def test_whose_image_and_in_which_state_is_asked_after_the_fields(small_desk: Desk) -> None:
    desk = small_desk
    good, bad = [put("/name", "n")], [put("/name", "/")]
    unknown = str(uuid.uuid4())
    assert await desk.refusal("PATCH", path_of(unknown), bad) == "IMG.0003"
    assert await desk.refusal("PATCH", path_of(unknown), good) == "IMG.0027"
    assert await desk.refusal("PATCH", path_of("x"), good) == "IMG.0066"
    assert await desk.refusal("PATCH", path_of(desk.world.image.id), good) == "IMG.0047"
    image = await desk.image()
    assert await desk.refusal("PATCH", path_of(image.id), good, project=THEIRS) == "IMG.0027"
    await share(desk, image.id)
    assert await desk.refusal("PATCH", path_of(image.id), good, project=THEIRS) == "IMG.0047"
    assert await desk.refusal("PATCH", path_of(image.id), good, role="readonly") == "IMG.0026"
    queued = await desk.image(status=ImageStatus.QUEUED, layer_id=None)
    assert await desk.refusal("PATCH", path_of(queued.id), good) == "IMG.0046"
    async with desk.world.database.writing() as tx:
        await jobs.submit_job(
            tx,
            NewJob(kind="image_export", service=Service.IMS, lane=Lane.TRANSFER, subject_id=image.id, project_id=OURS),
        )
    refused = await desk.ask("PATCH", path_of(image.id), good)
    assert (code_of(refused), refused.json()["error"]["message"]) == ("IMG.0148", "The image is being exported.")


async def test_an_image_takes_a_bounded_number_of_attributes(small_desk: Desk) -> None:
    image = (await small_desk.image()).id
    many = [put(f"/p{number}", "x", "add") for number in range(129)]
    assert await small_desk.refusal("PATCH", path_of(image), many) == "IMG.0001"
    await changed(small_desk, image, *many[:128])
