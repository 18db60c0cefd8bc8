"""Everything an import can be refused with when it is asked for, in the documented order."""

from typing import Any

import pytest

from tests.api.ims.desk import Desk
from tests.api.ims.importing import BUCKET, post, put
from tests.api.ims.test_capture_door import refusal
from tests.system import System

ACTION = "/v2/cloudimages/action"
DATA = "/v1/cloudimages/dataimages/action"
QUICK = "/v2/cloudimages/quickimport/action"
GOOD = {"name": "imported", "image_url": "imports:disk", "min_disk": 1}
OS = {"os_version": "CentOS 7.3 64bit"}
KEY = "0d0466b0-e727-4d9c-b35d-f84bb474a37f"
DATA_IMAGE = {"image_url": "imports:data", "min_disk": 1}

IN_ORDER: list[tuple[dict[str, Any], str]] = [
    ({"min_disk": None}, "IMG.0001"),
    ({"tags": ["a.b"], "image_tags": [{"key": "a", "value": "b"}]}, "IMG.0001"),
    ({"checksum": "md5:x"}, "IMG.0001"),
    ({"checksum": "sha256:" + "0" * 32}, "IMG.0001"),
    ({"name": ""}, "IMG.0013"),
    ({"name": "n" * 129}, "IMG.0002"),
    ({"name": " n"}, "IMG.0003"),
    ({"description": "d" * 1025}, "IMG.0004"),
    ({"description": "<d>"}, "IMG.0054"),
    ({"tags": ["a b.c"]}, "IMG.0115"),
    ({"tags": [f"a{n}.b" for n in range(11)]}, "IMG.0116"),
    ({"image_url": "https://imports.example/disk"}, "IMG.0017"),
    ({"image_url": "disk"}, "IMG.0017"),
    ({"image_url": ":disk"}, "IMG.0017"),
    ({"image_url": "imports:"}, "IMG.0017"),
    ({"image_url": "imports:a/../b"}, "IMG.0017"),
    ({"image_url": "imports:a\x01b"}, "IMG.0017"),
    ({"image_url": "imports:a b"}, "IMG.0175"),
    ({"image_url": "Imports_:disk"}, "IMG.0109"),
    ({"image_url": "imports:" + "a" * 256}, "IMG.0074"),
    ({"min_disk": 0}, "IMG.0055"),
    ({"min_disk": "many"}, "IMG.0055"),
    ({"min_disk": 10**30}, "IMG.0055"),
]
OF_SYSTEM_IMAGES: list[tuple[dict[str, Any], str]] = [
    ({"min_disk": 1025}, "IMG.0055"),
    ({"min_ram": 4096, "max_ram": 1024}, "IMG.0055"),
    ({"os_type": "linux"}, "IMG.0122"),
    ({"os_version": "CentOS 7.3"}, "IMG.0056"),
    ({"os_version": "CentOS 7.3 64bit", "os_type": "Windows"}, "IMG.0056"),
    ({"os_version": None, "type": "IsoImage"}, "IMG.0166"),
    ({"cmk_id": KEY, "type": "BMS"}, "IMG.0118"),
    ({"cmk_id": KEY}, "IMG.0095"),
    ({"type": "VHD"}, "IMG.0024"),
    ({"hw_firmware_type": "efi"}, "IMG.0141"),
    ({"hw_firmware_type": "bios", "architecture": "arm"}, "IMG.0141"),
    ({"architecture": "sparc"}, "IMG.0212"),
    ({"data_images": [DATA_IMAGE | {"image_url": f"imports:data{n}"} for n in range(4)]}, "IMG.0194"),
    ({"data_images": [DATA_IMAGE | {"min_disk": 2049}]}, "IMG.0055"),
    ({"data_images": [DATA_IMAGE, DATA_IMAGE]}, "IMG.0123"),
    ({"data_images": [DATA_IMAGE | {"image_url": "imports:disk"}]}, "IMG.0123"),
    ({"data_images": [DATA_IMAGE | {"os_type": "Other"}]}, "IMG.0122"),
    ({"data_images": [DATA_IMAGE | {"os_type": "Windows"}]}, "IMG.0122"),
    ({"enterprise_project_id": "x"}, "IMG.0155"),
]
OF_DATA_IMAGES: list[tuple[dict[str, Any], str]] = [
    ({"min_disk": 2049}, "IMG.0055"),
    ({"os_type": "Other"}, "IMG.0122"),
    ({"cmk_id": KEY}, "IMG.0095"),
    ({"enterprise_project_id": "x"}, "IMG.0155"),
]


async def refusals(desk: Desk, path: str, base: dict[str, Any], cases: list[tuple[dict[str, Any], str]]) -> None:
    for change, code in cases:
        assert await desk.refusal("POST", path, base | change) == code, change


async def test_a_field_that_is_wrong_is_told_by_its_code(small_desk: Desk) -> None:
    for path in (ACTION, "/v2.1/cloudimages/action", "/v1/cloudimages/action"):
        await refusals(small_desk, path, GOOD | OS, IN_ORDER + OF_SYSTEM_IMAGES)
    of_quick_imports = [case for case in OF_SYSTEM_IMAGES if "type" not in case[0]]
    for path in (QUICK, "/v2.1/cloudimages/quickimport/action"):
        await refusals(small_desk, path, GOOD | OS, IN_ORDER + of_quick_imports)
    for path in (DATA, "/v2.1/cloudimages/dataimages/action"):
        await refusals(small_desk, path, GOOD, IN_ORDER + OF_DATA_IMAGES)


async def test_of_several_wrong_fields_the_first_in_the_documented_order_is_told(small_desk: Desk) -> None:
    """Each case is joined with every later one, and still is the one that is told."""
    for path, own in ((ACTION, OF_SYSTEM_IMAGES), (DATA, OF_DATA_IMAGES)):
        base = GOOD | (OS if path == ACTION else {})
        cases = IN_ORDER + own
        for place, (change, code) in enumerate(cases):
            for later, _ in cases[place + 1 :]:
                if not later.keys() & change.keys():
                    told = await small_desk.refusal("POST", path, base | later | change)
                    assert told == code, (later, change)


async def test_a_quick_import_needs_the_version_and_knows_fewer_types(small_desk: Desk) -> None:
    assert await small_desk.refusal("POST", QUICK, GOOD) == "IMG.0056"
    assert await small_desk.refusal("POST", ACTION, GOOD | {"is_quick_import": True}) == "IMG.0056"
    assert await small_desk.refusal("POST", QUICK, GOOD | OS | {"type": "FusionCompute"}) == "IMG.0117"
    assert await small_desk.refusal("POST", QUICK, GOOD | OS | {"type": "VHD"}) == "IMG.0024"
    of_data = GOOD | {"type": "DataImage"}
    assert await small_desk.refusal("POST", QUICK, of_data | {"min_disk": 2049}) == "IMG.0055"
    assert await small_desk.refusal("POST", QUICK, of_data | {"hw_firmware_type": "efi"}) == "IMG.0141"
    assert await small_desk.refusal("POST", QUICK, of_data | {"architecture": "sparc"}) == "IMG.0212"


async def test_a_type_may_say_that_the_file_is_a_data_disk(small_desk: Desk) -> None:
    """Of these two only data disks may have 2 TB, and only systems may be "Other"."""
    for path, more in ((ACTION, {"type": "DataImage"}), ("/v1/cloudimages/action", {"type": "", "os_version": ""})):
        assert await small_desk.refusal("POST", path, GOOD | more | {"min_disk": 2049}) == "IMG.0055"
        assert await small_desk.refusal("POST", path, GOOD | more | {"os_type": "Other"}) == "IMG.0122"


async def test_data_disks_do_not_come_with_an_iso(small_desk: Desk) -> None:
    wanted = GOOD | OS | {"type": "IsoImage", "data_images": [DATA_IMAGE]}
    assert await small_desk.refusal("POST", ACTION, wanted) == "IMG.0001"


@pytest.mark.parametrize("path", [ACTION, DATA, QUICK])
async def test_a_body_that_is_none_is_told_and_so_is_who_may_not(small_desk: Desk, path: str) -> None:
    assert await small_desk.refusal("POST", path, {}) == "IMG.0007"
    assert await small_desk.refusal("POST", path, content=b"[") == "IMG.0001"
    assert await small_desk.refusal("POST", path, GOOD | OS | {"name": 5}) == "IMG.0001"
    assert await small_desk.refusal("POST", path, GOOD | OS, role="readonly") == "IMG.0026"


async def test_an_image_that_data_cannot_be_registered_for_is_told(small_desk: Desk) -> None:
    ours = (await small_desk.ask("POST", "/v2/images", {"name": "mine"})).json()["id"]
    active = await small_desk.image()
    theirs = await small_desk.image(project="9" * 32, visibility="public")
    body = {"image_url": "imports:disk"}
    for image_id, code in [
        ("no-uuid", "IMG.0066"),
        ("877a2cda-ba63-4e1e-b95f-e67e48b6129a", "IMG.0027"),
        (theirs.id, "IMG.0047"),
        (active.id, "IMG.0046"),
    ]:
        assert await small_desk.refusal("PUT", f"/v1/cloudimages/{image_id}/upload", body) == code
    path = f"/v1/cloudimages/{ours}/upload"
    assert await small_desk.refusal("PUT", path, {}) == "IMG.0007"
    assert await small_desk.refusal("PUT", path, {"image_url": ""}) == "IMG.0001"
    assert await small_desk.refusal("PUT", path, {"image_url": "disk"}) == "IMG.0017"
    assert await small_desk.refusal("PUT", path, body, role="readonly") == "IMG.0026"


@pytest.mark.parametrize("path", [ACTION, DATA, QUICK])
def test_a_bucket_or_object_that_is_not_there_is_told(system: System, path: str) -> None:
    put(system, "empty", b"")
    for url, code in [
        ("no-such-bucket:disk", "IMG.0069"),
        (f"{BUCKET}:no-such-object", "IMG.0057"),
        (f"{BUCKET}:empty", "IMG.0057"),
    ]:
        assert refusal(post(system, path, **GOOD | OS | {"image_url": url})) == code


def test_what_registering_needs_is_asked_of_the_bucket_too(system: System) -> None:
    with system.http("image") as image:
        made = image.post("/v2/images", json={"name": "waits"}).json()["id"]
        for url, code in [("no-such-bucket:disk", "IMG.0069"), (f"{BUCKET}:no-such-object", "IMG.0057")]:
            assert refusal(image.put(f"/v1/cloudimages/{made}/upload", json={"image_url": url})) == code
        assert image.get(f"/v2/images/{made}").json()["status"] == "queued"
        image.delete(f"/v2/images/{made}")
