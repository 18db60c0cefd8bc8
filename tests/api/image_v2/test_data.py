"""Data of images: upload, download, and what is left when either goes wrong."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from stillframe.api.image_v2 import data
from stillframe.blobs.layout import DiskFormat
from stillframe.errors import UnavailableError
from stillframe.images import download, rows, service, upload
from stillframe.images.errors import ImageGoneError, ImageNotBootableError, UploadConflictError, UploadIncompleteError
from stillframe.images.model import ImageStatus
from stillframe.jobs.resources import Resources
from stillframe.kit.clock import utcnow
from stillframe.layers import rows as layer_rows
from stillframe.layers import service as layers
from stillframe.layers.model import LayerState
from tests.api.image_v2.conftest import Door, build_door
from tests.images.helpers import EPOCH, OURS, THEIRS, caller
from tests.images.stuck_upload import CONTENT, Gate, start_upload

OCTETS = {"content-type": "application/octet-stream"}
PAYLOAD = bytes(range(256)) * 40_000


async def put(door: Door, image_id: str, content: Any = PAYLOAD, **headers: str) -> httpx.Response:
    sent = OCTETS | {name.replace("_", "-"): value for name, value in headers.items()}
    return await door.put(f"/v2/images/{image_id}/file", content=content, headers=sent)


async def uploaded(door: Door, content: bytes = PAYLOAD, disk_format: str = "raw") -> dict[str, Any]:
    image = await door.create(disk_format=disk_format)
    answer = await put(door, image["id"], content)
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    return dict((await door.get(f"/v2/images/{image['id']}")).json())


def files(resources: Resources) -> list[str]:
    return sorted(path.name for path in resources.layout.layers_dir.iterdir())


async def assert_nothing_left(door: Door, resources: Resources, image_id: str) -> None:
    """The image waits for data again, and neither a file nor a layer that would keep one is there."""
    image = (await door.get(f"/v2/images/{image_id}")).json()
    assert (image["status"], image["size"], image["checksum"]) == ("queued", None, None)
    assert files(resources) == []
    async with resources.database.reading() as tx:
        assert await rows.list_uploads(tx) == []
        doomed = [layer.state for layer in await layer_rows.list_doomed(tx)]
        assert await layer_rows.list_abandoned(tx, EPOCH + timedelta(days=36500)) == []
    assert set(doomed) <= {LayerState.DOOMED}


async def test_what_was_uploaded_is_what_is_downloaded(door: Door, resources: Resources) -> None:
    image = await uploaded(door)
    assert image["status"] == "active"
    assert (image["size"], image["virtual_size"]) == (len(PAYLOAD), len(PAYLOAD))
    assert image["__image_size"] == str(len(PAYLOAD))
    assert image["checksum"] == hashlib.md5(PAYLOAD, usedforsecurity=False).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(PAYLOAD).hexdigest())
    answer = await door.get(f"/v2/images/{image['id']}/file")
    assert answer.status_code == 200
    assert answer.content == PAYLOAD
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(len(PAYLOAD))
    assert answer.headers["content-md5"] == image["checksum"]
    assert len(files(resources)) == 1


async def test_a_body_in_pieces_without_a_length_is_taken(door: Door) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(PAYLOAD), 70_001):
            yield PAYLOAD[start : start + 70_001]

    image = await door.create(disk_format="raw")
    answer = await put(door, image["id"], pieces(), x_openstack_image_size=str(len(PAYLOAD)))
    assert answer.status_code == 204
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == PAYLOAD


RANGES: list[tuple[str, int, bytes | None, str | None]] = [
    ("bytes=0-0", 206, PAYLOAD[:1], f"bytes 0-0/{len(PAYLOAD)}"),
    ("bytes=5-99", 206, PAYLOAD[5:100], f"bytes 5-99/{len(PAYLOAD)}"),
    ("bytes=10239000-", 206, PAYLOAD[10239000:], f"bytes 10239000-{len(PAYLOAD) - 1}/{len(PAYLOAD)}"),
    ("bytes=-7", 206, PAYLOAD[-7:], f"bytes {len(PAYLOAD) - 7}-{len(PAYLOAD) - 1}/{len(PAYLOAD)}"),
    ("bytes=5-99999999999", 206, PAYLOAD[5:], f"bytes 5-{len(PAYLOAD) - 1}/{len(PAYLOAD)}"),
    ("bytes=-99999999999", 206, PAYLOAD, f"bytes 0-{len(PAYLOAD) - 1}/{len(PAYLOAD)}"),
    ("bytes=99999999999-", 416, None, f"bytes */{len(PAYLOAD)}"),
    ("bytes=-0", 416, None, f"bytes */{len(PAYLOAD)}"),
    ("bytes=9-5", 200, PAYLOAD, None),
    ("bytes=-", 200, PAYLOAD, None),
    ("Bytes=0-0", 206, PAYLOAD[:1], f"bytes 0-0/{len(PAYLOAD)}"),
    ("bytes=5-" + "9" * 40, 206, PAYLOAD[5:], f"bytes 5-{len(PAYLOAD) - 1}/{len(PAYLOAD)}"),
    ("bytes=" + "9" * 40 + "-", 416, None, f"bytes */{len(PAYLOAD)}"),
    ("bytes=0-1,4-5", 200, PAYLOAD, None),
    ("lines=0-1", 200, PAYLOAD, None),
    ("bytes=" + "9" * 5000 + "-", 200, PAYLOAD, None),
]


async def test_ranges(door: Door) -> None:
    image = await uploaded(door)
    for asked, status, expected, content_range in RANGES:
        answer = await door.get(f"/v2/images/{image['id']}/file", headers={"range": asked})
        assert answer.status_code == status, asked[:40]
        assert answer.headers.get("content-range") == content_range
        if expected is not None:
            assert answer.content == expected
            assert answer.headers["content-length"] == str(len(expected))


async def test_an_image_without_data_has_nothing_to_download(door: Door) -> None:
    image = await door.create(disk_format="raw")
    answer = await door.get(f"/v2/images/{image['id']}/file")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_no_data_at_all_is_data_where_a_format_demands_none(door: Door, resources: Resources) -> None:
    """As in Glance; but no server can be made of it."""
    image = await door.create(disk_format="raw")
    assert (await put(door, image["id"], b"")).status_code == 204
    shown = (await door.get(f"/v2/images/{image['id']}")).json()
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", 0, None)
    assert shown["checksum"] == hashlib.md5(b"").hexdigest()  # noqa: S324 - what the image API says
    got = await door.get(f"/v2/images/{image['id']}/file")
    assert (got.status_code, got.content, got.headers["content-length"]) == (200, b"", "0")
    async with resources.database.reading() as tx:
        with pytest.raises(ImageNotBootableError):
            await service.get_bootable_image(tx, caller(), image["id"])
    image = await door.create(disk_format="qcow2")
    assert (await put(door, image["id"], b"")).status_code == 400


async def test_data_is_given_once(door: Door) -> None:
    image = await uploaded(door)
    assert (await put(door, image["id"], b"other")).status_code == 409
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == PAYLOAD


async def test_an_announced_length_must_be_true(door: Door, resources: Resources) -> None:
    image = await door.create(disk_format="raw")
    for announced in ("5", "99999999", "x", "-1", "9" * 40):
        answer = await put(door, image["id"], _in_pieces(PAYLOAD), x_openstack_image_size=announced)
        assert answer.status_code == 400, announced
        await assert_nothing_left(door, resources, image["id"])
    assert (await put(door, image["id"], PAYLOAD, x_openstack_image_size="5")).status_code == 400


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


async def test_data_larger_than_the_limit_is_refused_announced_or_not(door: Door, resources: Resources) -> None:
    small = replace(resources.settings, upload_limit_bytes=1000)
    limited = type(resources)(small, resources.layout, resources.database, resources.token_keys)
    async with Door(build_door(limited)) as strict:
        image = await strict.create(disk_format="raw")
        assert (await put(strict, image["id"], PAYLOAD)).status_code == 413
        assert (await put(strict, image["id"], _in_pieces(PAYLOAD))).status_code == 413
        await assert_nothing_left(strict, resources, image["id"])
        assert (await put(strict, image["id"], PAYLOAD[:1000])).status_code == 204


async def test_formats_must_be_known_before_data_comes(door: Door) -> None:
    for described in ({}, {"disk_format": "raw", "container_format": None}):
        image = await door.create(**described)
        assert (await put(door, image["id"])).status_code == 400


async def test_formats_are_fixed_once_there_is_data(door: Door) -> None:
    image = await uploaded(door)
    for name, value in (("disk_format", "qcow2"), ("container_format", "ovf")):
        answer = await door.patch_image(image["id"], {"op": "replace", "path": f"/{name}", "value": value})
        assert answer.status_code == 403


async def test_only_octets_are_data(door: Door, resources: Resources) -> None:
    image = await door.create(disk_format="raw")
    for content_type in ("application/json", "text/plain", ""):
        assert (await put(door, image["id"], b"x", content_type=content_type)).status_code == 415
    assert (
        await put(door, image["id"], b"x", content_type="application/octet-stream; x=y", accept="")
    ).status_code == 204


def disk(path: Path, driver: str, *options: str) -> bytes:
    subprocess.run(["qemu-img", "create", "-q", "-f", driver, *options, path, "5M"], check=True)
    return path.read_bytes()


async def test_a_qcow2_tells_its_virtual_size(door: Door, tmp_path: Path) -> None:
    content = disk(tmp_path / "disk.qcow2", "qcow2")
    image = await uploaded(door, content, "qcow2")
    assert (image["size"], image["virtual_size"]) == (len(content), 5 * 1024**2)
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == content


async def test_content_that_is_not_what_was_declared_or_could_harm_is_refused(
    door: Door, resources: Resources, tmp_path: Path
) -> None:
    base = tmp_path / "base.qcow2"
    good = disk(base, "qcow2")
    backed = disk(tmp_path / "top.qcow2", "qcow2", "-b", "/etc/passwd", "-F", "raw", "-u")
    outside = disk(tmp_path / "outside.qcow2", "qcow2", "-o", f"data_file={tmp_path / 'd.raw'}")
    for declared, content in [
        ("qcow2", PAYLOAD),
        ("qcow2", b""),
        ("qcow2", backed),
        ("qcow2", outside),
        ("qcow2", good[:70_000]),
        ("raw", good),
        ("iso", good),
        ("iso", PAYLOAD),
        ("vmdk", good),
        ("vhd", PAYLOAD),
    ]:
        image = await door.create(disk_format=declared)
        answer = await put(door, image["id"], content)
        assert answer.status_code == 400, (declared, content[:8], answer.text)
        await assert_nothing_left(door, resources, image["id"])


async def test_a_vmdk_is_kept_as_it_is(door: Door, tmp_path: Path) -> None:
    content = disk(tmp_path / "disk.vmdk", "vmdk", "-o", "subformat=streamOptimized")
    image = await uploaded(door, content, "vmdk")
    assert image["disk_format"] == "vmdk"
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == content


async def test_of_two_uploads_at_once_the_second_is_refused(door: Door, resources: Resources) -> None:
    image, gate = await door.create(disk_format="raw"), Gate()
    first = await start_upload(resources, image["id"], gate)
    assert (await door.get(f"/v2/images/{image['id']}")).json()["status"] == "saving"
    assert (await put(door, image["id"])).status_code == 409
    assert (await door.get(f"/v2/images/{image['id']}/file")).status_code == 204
    gate.opened.set()
    await first
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == CONTENT * 2


async def test_a_client_that_goes_away_leaves_nothing(door: Door, resources: Resources) -> None:
    image, gate = await door.create(disk_format="raw"), Gate(breaks=UploadIncompleteError())
    task = await start_upload(resources, image["id"], gate)
    gate.opened.set()
    with pytest.raises(UploadIncompleteError):
        await task
    await assert_nothing_left(door, resources, image["id"])
    assert (await put(door, image["id"])).status_code == 204


async def test_a_server_that_stops_in_the_middle_leaves_nothing(door: Door, resources: Resources) -> None:
    image, gate = await door.create(disk_format="raw"), Gate()
    task = await start_upload(resources, image["id"], gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_nothing_left(door, resources, image["id"])


async def test_a_client_that_falls_silent_is_given_up(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "IDLE_TIMEOUT_S", 0.1)
    image = await door.create(disk_format="raw")

    async def stalling() -> AsyncIterator[bytes]:
        yield PAYLOAD
        await asyncio.sleep(1)
        yield PAYLOAD

    assert (await put(door, image["id"], stalling())).status_code == 400
    await assert_nothing_left(door, resources, image["id"])


async def test_a_slow_upload_is_not_taken_for_a_dead_one(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "TOUCH_INTERVAL_S", 0.05)
    image, gate = await door.create(disk_format="raw"), Gate()
    task = await start_upload(resources, image["id"], gate)
    await asyncio.sleep(0.1)
    seen = utcnow()
    await asyncio.sleep(0.3)
    async with resources.database.reading() as tx:
        assert await layer_rows.list_abandoned(tx, seen) == []
    gate.opened.set()
    await task


async def test_an_upload_whose_layer_was_swept_away_fails_and_does_not_lose_data_silently(
    door: Door, resources: Resources
) -> None:
    image, gate = await door.create(disk_format="raw"), Gate()
    task = await start_upload(resources, image["id"], gate)
    async with resources.database.writing() as tx:
        started = await rows.get_upload(tx, image["id"])
        assert started
        await layers.release(tx, started.layer_id)
    gate.opened.set()
    with pytest.raises(UploadConflictError):
        await task
    await assert_nothing_left(door, resources, image["id"])


async def test_an_image_deleted_meanwhile_takes_its_data_with_it(door: Door, resources: Resources) -> None:
    image, gate = await door.create(disk_format="raw"), Gate()
    task = await start_upload(resources, image["id"], gate)
    assert (await door.delete(f"/v2/images/{image['id']}")).status_code == 204
    gate.opened.set()
    with pytest.raises(ImageGoneError):
        await task
    assert files(resources) == []


async def test_the_death_of_the_process_is_noticed_and_undone(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the process lives its upload is respected, however old; once it is dead the image takes data anew."""
    monkeypatch.setattr(upload, "START_GRACE", timedelta(0))
    image = await door.create(disk_format="raw")
    url = resources.database.engine.url.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.images.stuck_upload", url, str(resources.layout.root), image["id"]),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await process.stdout.readline() == b"stuck\n"
    await upload.take_back_dead_uploads(resources)
    assert (await put(door, image["id"])).status_code == 409
    process.kill()
    await process.wait()
    await upload.take_back_dead_uploads(resources)
    async with resources.database.reading() as tx:
        [doomed] = await layer_rows.list_doomed(tx)
    assert files(resources) == [f"{doomed.id}.raw"]
    assert (await door.get(f"/v2/images/{image['id']}")).json()["status"] == "queued"
    assert (await put(door, image["id"])).status_code == 204


@pytest.mark.parametrize("path", ["file", "stage"])
async def test_an_upload_lives_until_its_image_has_the_data(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Also while the last bytes are written already, however long what follows takes."""
    monkeypatch.setattr(upload, "START_GRACE", timedelta(0))

    def swept_before(step: Any) -> Any:
        async def run(*arguments: Any) -> Any:
            await upload.take_back_dead_uploads(resources)
            return await step(*arguments)

        return run

    for name in ("_finish", "_keep_staged"):
        monkeypatch.setattr(upload, name, swept_before(getattr(upload, name)))
    image = await door.create(disk_format="raw")
    answer = await door.put(f"/v2/images/{image['id']}/{path}", content=PAYLOAD, headers=OCTETS)
    assert answer.status_code == 204, answer.text
    assert (await door.get(f"/v2/images/{image['id']}")).json()["status"] in {"active", "uploading"}


async def test_a_dead_upload_does_not_stand_against_a_new_one(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "START_GRACE", timedelta(0))
    image = await door.create(disk_format="raw")
    await upload._begin(resources, caller(), image["id"], ImageStatus.SAVING)
    assert (await put(door, image["id"])).status_code == 204
    staged = await door.create(disk_format="raw")
    await upload._begin(resources, caller(), staged["id"], ImageStatus.UPLOADING)
    await upload.take_back_dead_uploads(resources)
    assert (await door.get(f"/v2/images/{staged['id']}")).json()["status"] == "queued"


async def test_a_disk_that_cannot_be_written_is_said_and_leaves_nothing(door: Door, resources: Resources) -> None:
    image = await door.create(disk_format="raw")
    away = resources.layout.layers_dir.rename(resources.layout.root / "away")
    answer = await put(door, image["id"])
    away.rename(resources.layout.layers_dir)
    assert answer.status_code == 503
    await assert_nothing_left(door, resources, image["id"])


async def test_a_deactivated_image_gives_its_data_to_nobody(door: Door) -> None:
    image = await uploaded(door)
    path = f"/v2/images/{image['id']}"
    for _ in range(2):
        assert (await door.post(f"{path}/actions/deactivate")).status_code == 204
    assert (await door.get(path)).json()["status"] == "deactivated"
    assert (await door.get(f"{path}/file")).status_code == 403
    door.speak_as(THEIRS, "admin")
    assert (await door.get(f"{path}/file")).status_code == 200
    door.speak_as(OURS)
    for _ in range(2):
        assert (await door.post(f"{path}/actions/reactivate")).status_code == 204
    assert (await door.get(f"{path}/file")).status_code == 200
    queued = await door.create()
    assert (await door.post(f"/v2/images/{queued['id']}/actions/deactivate")).status_code == 403


async def test_deleting_an_image_releases_its_layer(door: Door, resources: Resources) -> None:
    image = await uploaded(door)
    await door.delete(f"/v2/images/{image['id']}")
    async with resources.database.reading() as tx:
        [doomed] = await layer_rows.list_doomed(tx)
    assert files(resources) == [f"{doomed.id}.raw"]


async def test_a_download_survives_the_deletion_of_its_image(door: Door, resources: Resources) -> None:
    image = await uploaded(door)
    stored = await download.open_data(resources, caller(), image["id"])
    assert stored
    await door.delete(f"/v2/images/{image['id']}")
    for path in resources.layout.layers_dir.iterdir():
        path.unlink()
    chunks = [chunk async for chunk in download.read_range(stored.file, 0, stored.size_bytes)]
    assert b"".join(chunks) == PAYLOAD
    assert stored.file.closed


async def test_data_that_is_lost_is_said_not_hidden(door: Door, resources: Resources) -> None:
    image = await uploaded(door)
    for path in resources.layout.layers_dir.iterdir():
        path.unlink()
    with pytest.raises(UnavailableError):
        await download.open_data(resources, caller(), image["id"])
    assert (await door.get(f"/v2/images/{image['id']}/file")).status_code == 503


async def test_a_captured_image_is_downloaded_once_it_is_flattened(
    door: Door, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await uploaded(door)
    digest = image["os_hash_value"]
    async with resources.database.writing() as tx:
        await rows.update_image_columns(tx, image["id"], checksum=None, os_hash_value=None)
    shown = (await door.get(f"/v2/images/{image['id']}")).json()
    assert (shown["status"], shown["__lazyloading"], shown["os_hash_algo"]) == ("active", "true", None)

    async def flatten() -> None:
        await asyncio.sleep(0.3)
        async with resources.database.writing() as tx:
            await rows.update_image_columns(tx, image["id"], os_hash_value=digest)

    flattening = asyncio.create_task(flatten())
    assert (await door.get(f"/v2/images/{image['id']}/file")).content == PAYLOAD
    await flattening
    async with resources.database.writing() as tx:
        await rows.update_image_columns(tx, image["id"], os_hash_value=None)
    monkeypatch.setattr(download, "FLATTENING_WAIT_S", 0.1)
    answer = await door.get(f"/v2/images/{image['id']}/file")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_an_image_being_captured_takes_no_upload(door: Door, resources: Resources) -> None:
    image = await door.create(disk_format="qcow2")
    async with resources.database.writing() as tx:
        await rows.update_image_columns(tx, image["id"], origin="instance,x", status=ImageStatus.QUEUED)
    assert (await put(door, image["id"])).status_code == 409
    refused = await door.delete(f"/v2/images/{image['id']}")
    assert refused.status_code == 409
    assert refused.json()["message"].startswith("IMG.0090 ")


def test_formats_without_a_reader_are_kept_as_plain_bytes() -> None:
    assert upload.stored_format("vmdk") is DiskFormat.RAW
    assert upload.stored_format("qcow2") is DiskFormat.QCOW2
    assert UploadConflictError.code != ImageGoneError.code


async def test_a_client_that_has_the_data_is_not_sent_it_again(door: Door) -> None:
    image = await uploaded(door)
    path = f"/v2/images/{image['id']}/file"
    first = await door.get(path)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert etag == f'"{image["checksum"]}"'
    long_ago, ahead = "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    cases: list[tuple[dict[str, str], int]] = [
        ({"if-none-match": etag}, 304),
        ({"if-none-match": f'"x", W/{etag}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"', "if-modified-since": ahead}, 200),
        ({"if-modified-since": modified}, 304),
        ({"if-modified-since": long_ago}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-match": etag}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-match": etag, "if-unmodified-since": long_ago}, 200),
        ({"if-unmodified-since": long_ago}, 412),
        ({"if-unmodified-since": ahead}, 200),
        ({"range": "bytes=0-9", "if-range": etag}, 206),
        ({"range": "bytes=0-9", "if-range": modified}, 206),
        ({"range": "bytes=0-9", "if-range": '"x"'}, 200),
        ({"range": "bytes=0-9", "if-range": long_ago}, 200),
    ]
    for headers, status in cases:
        answer = await door.get(path, headers=headers)
        assert answer.status_code == status, headers
        assert answer.headers["etag"] == etag
        if status == 304:
            assert answer.content == b""
        if status == 206:
            assert answer.content == PAYLOAD[:10]
