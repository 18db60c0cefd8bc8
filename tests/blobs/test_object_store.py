import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.blobs.digests import Progress
from stillframe.blobs.object_store import ObjectStore, ObjectStoreSettings
from stillframe.blobs.staging import Staged, stage
from stillframe.blobs.upload_parts import MIN_PART_BYTES, UploadParts, part_size_for
from stillframe.errors import (
    BucketNameInvalidError,
    BucketRefusedError,
    BucketUnreachableError,
    InvalidInputError,
    ObjectNotFoundError,
)
from tests.blobs.obs_endpoint import ALICE, ObsEndpoint, free_port, running_endpoint

MIB = 1024 * 1024
PART = 5 * MIB
BUCKET = "images"


@pytest.fixture(scope="module")
async def endpoint() -> AsyncIterator[ObsEndpoint]:
    async with running_endpoint() as started:
        await started.store().create_bucket(BUCKET)
        yield started


@pytest.fixture
def store(endpoint: ObsEndpoint) -> ObjectStore:
    return endpoint.store()


def file_of(path: Path, size_bytes: int) -> Path:
    path.write_bytes(os.urandom(size_bytes))
    return path


async def download(
    store: ObjectStore,
    key: str,
    target: Path,
    on_progress: Progress | None = None,
    *,
    max_unpacked_bytes: int = 100 * MIB,
) -> Staged:
    info, chunks = await store.open_object(BUCKET, key)
    return await stage(
        chunks,
        target,
        source_bytes=info.size_bytes,
        max_unpacked_bytes=max_unpacked_bytes,
        which_digests=lambda _prefix: ["sha256"],
        on_progress=on_progress,
    )


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 4 * PART + 17])
async def test_a_file_comes_back_as_it_went(store: ObjectStore, tmp_path: Path, size: int) -> None:
    source, target = file_of(tmp_path / "source", size), tmp_path / "target"
    sent = await store.upload_file(source, BUCKET, f"disks/{size}", part_size=PART)
    got = await download(store, f"disks/{size}", target)
    assert sent.size_bytes == got.size_bytes == size
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600


async def test_progress_never_goes_back_and_is_whole_only_at_the_end(store: ObjectStore, tmp_path: Path) -> None:
    size = 6 * PART + 1
    source = file_of(tmp_path / "source", size)
    up: list[tuple[int, int]] = []
    down: list[tuple[int, int]] = []
    await store.upload_file(source, BUCKET, "progress", lambda *seen: up.append(seen), part_size=PART)
    await download(store, "progress", tmp_path / "target", lambda *seen: down.append(seen))
    for seen in (up, down):
        assert seen == sorted(seen)
        assert seen[-1] == (size, size)
        assert all(done < size for done, _ in seen[:-1])
        assert len(seen) > 2


async def test_an_object_is_not_there_before_it_is_whole(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path
) -> None:
    source = file_of(tmp_path / "source", 6 * PART)
    keys: list[list[str]] = []

    def look(_done: int, _total: int) -> None:
        listed = endpoint.client("AKALICE").list_objects_v2(Bucket=BUCKET, Prefix="whole")
        keys.append([found["Key"] for found in listed.get("Contents", [])])

    await store.upload_file(source, BUCKET, "whole", look, part_size=PART)
    assert len(keys) == 7
    assert not any(keys[:-1])
    assert keys[-1] == ["whole"]


async def test_a_cancelled_upload_leaves_nothing(endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 12 * PART)
    before = endpoint.files(ALICE, BUCKET)
    under_way = asyncio.Event()

    def when_parts_have_arrived(done: int, _total: int) -> None:
        if done >= 2 * PART:
            under_way.set()

    task = asyncio.create_task(store.upload_file(source, BUCKET, "cancelled", when_parts_have_arrived, part_size=PART))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert endpoint.files(ALICE, BUCKET) == before


async def test_an_upload_whose_file_shrinks_fails_and_leaves_nothing(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path
) -> None:
    source = file_of(tmp_path / "source", 8 * PART)
    before = endpoint.files(ALICE, BUCKET)
    with pytest.raises(OSError, match="the file ended"):
        await store.upload_file(source, BUCKET, "shrunk", lambda *_: os.truncate(source, PART + 1), part_size=PART)
    assert endpoint.files(ALICE, BUCKET) == before


async def test_an_etag_not_made_of_md5s_is_no_failure_when_the_bytes_are_right(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 gives objects it encrypts such an ETag."""
    monkeypatch.setattr(UploadParts, "expected_etag", "something else")
    source = file_of(tmp_path / "source", 3 * PART)
    await store.upload_file(source, BUCKET, "encrypted", part_size=PART)
    assert await store.object_exists(BUCKET, "encrypted")


async def test_an_object_store_which_kept_other_bytes_is_found_out(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UploadParts, "expected_etag", "something else")
    source = file_of(tmp_path / "source", 7 * PART)

    def spoil(done: int, total: int) -> None:
        """While the parts come; what rclone has been sent it writes a little later."""
        deadline = time.monotonic() + 20
        while not (written := [part for part in parts_of_rclone() if part.stat().st_size > MIB]) and 0 < done < total:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for part in written:
            with part.open("r+b") as file:
                file.write(b"spoiled")

    def parts_of_rclone() -> list[Path]:
        return list((endpoint.obs.layout.obs_root(ALICE) / BUCKET).glob(".rclone_temp_*"))

    with pytest.raises(BucketUnreachableError, match="did not keep"):
        await store.upload_file(source, BUCKET, "spoiled", spoil, part_size=PART)
    assert not await store.object_exists(BUCKET, "spoiled")


async def test_holes_come_back_as_holes(store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.seek(3 * MIB)
        file.write(b"data")
        file.truncate(40 * MIB)
    await store.upload_file(source, BUCKET, "sparse")
    await download(store, "sparse", target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < MIB


async def test_an_object_damaged_in_the_store_is_found_out(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path
) -> None:
    await store.upload_file(file_of(tmp_path / "source", 70_000), BUCKET, "damaged")
    kept = endpoint.obs.layout.obs_root(ALICE) / BUCKET / "damaged"
    times = kept.stat()
    with kept.open("r+b") as file:
        file.seek(500)
        file.write(b"rot")
    os.utime(kept, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(BucketUnreachableError, match="damaged"):
        await download(store, "damaged", tmp_path / "target")
    assert not (tmp_path / "target").exists()


async def test_a_cancelled_download_leaves_no_file(store: ObjectStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    await store.upload_file(file_of(tmp_path / "source", 60 * MIB), BUCKET, "long")
    task = asyncio.create_task(download(store, "long", target, lambda *_: task.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not target.exists()


async def test_a_prefix_is_as_long_as_asked_or_as_the_object(store: ObjectStore, tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 3 * MIB)
    await store.upload_file(source, BUCKET, "prefix")
    assert (await store.peek(BUCKET, "prefix", 70_000))[1] == source.read_bytes()[:70_000]
    assert (await store.peek(BUCKET, "prefix", 9 * MIB))[1] == source.read_bytes()


async def test_what_is_known_of_an_object_without_reading_it(store: ObjectStore, tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 2 * PART)
    await store.upload_file(source, BUCKET, "known", part_size=PART)
    info = await store.head(BUCKET, "known")
    assert info is not None
    assert info.size_bytes == 2 * PART
    assert info.etag == hashlib.md5(source.read_bytes()).hexdigest()  # noqa: S324
    assert await store.head(BUCKET, "unknown") is None
    assert await store.head("no-such-bucket", "known") is None


async def test_deleting_twice_is_as_good_as_once(store: ObjectStore, tmp_path: Path) -> None:
    await store.upload_file(file_of(tmp_path / "source", 10), BUCKET, "gone")
    await store.delete_object(BUCKET, "gone")
    await store.delete_object(BUCKET, "gone")
    assert not await store.object_exists(BUCKET, "gone")


async def test_what_is_not_there(store: ObjectStore, tmp_path: Path) -> None:
    source = file_of(tmp_path / "source", 10)
    with pytest.raises(ObjectNotFoundError):
        await download(store, "nothing", tmp_path / "target")
    with pytest.raises(ObjectNotFoundError):
        await store.peek(BUCKET, "nothing", 10)
    with pytest.raises(BucketRefusedError):
        await store.upload_file(source, "no-such-bucket", "key")
    assert not await store.bucket_exists("no-such-bucket")


async def test_another_projects_bucket_is_not_there_and_its_name_is_free(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path
) -> None:
    await store.upload_file(file_of(tmp_path / "source", 10), BUCKET, "alices")
    bob = endpoint.store("AKBOB")
    assert not await bob.bucket_exists(BUCKET)
    await bob.create_bucket(BUCKET)
    await bob.create_bucket(BUCKET)
    assert await bob.bucket_exists(BUCKET)
    assert not await bob.object_exists(BUCKET, "alices")


async def test_a_wrong_secret_is_refused(endpoint: ObsEndpoint, tmp_path: Path) -> None:
    stranger = endpoint.store("AKALICE", secret="wrong")
    assert not await stranger.bucket_exists(BUCKET)
    with pytest.raises(BucketRefusedError):
        await stranger.head(BUCKET, "key")
    with pytest.raises(BucketRefusedError):
        await stranger.create_bucket("another")
    with pytest.raises(BucketRefusedError):
        await stranger.upload_file(file_of(tmp_path / "source", 10), BUCKET, "key")


async def test_a_store_that_is_down_is_told_apart_from_one_that_refuses(tmp_path: Path) -> None:
    down = ObjectStore(ObjectStoreSettings(f"http://127.0.0.1:{free_port()}", "eu-de", "AK", "secret"))
    with pytest.raises(BucketUnreachableError):
        await down.bucket_exists(BUCKET)
    with pytest.raises(BucketUnreachableError):
        await down.upload_file(file_of(tmp_path / "source", 10), BUCKET, "key")


@pytest.mark.parametrize("key", ["", "/lead", "trail/", "a//b", "new\nline"])
async def test_a_key_that_clients_would_not_agree_about_is_refused(
    store: ObjectStore, tmp_path: Path, key: str
) -> None:
    with pytest.raises(InvalidInputError, match="object key"):
        await store.upload_file(file_of(tmp_path / "source", 10), BUCKET, key)


@pytest.mark.parametrize("key", ["a b", "ü/ö", "a%2Fb", "a?b=c", "x#y", "back\\slash", "*[]{}", "+plus", "😀"])
async def test_any_other_key_is_the_one_that_other_clients_see(
    endpoint: ObsEndpoint, store: ObjectStore, tmp_path: Path, key: str
) -> None:
    await store.upload_file(file_of(tmp_path / "source", 10), BUCKET, key)
    listed = await asyncio.to_thread(endpoint.client("AKALICE").list_objects_v2, Bucket=BUCKET)
    assert key in {found["Key"] for found in listed["Contents"]}


@pytest.mark.parametrize("bucket", ["UPPER", "a/b", "..", "x", "-lead"])
async def test_a_bucket_name_is_checked_before_it_becomes_part_of_a_url(store: ObjectStore, bucket: str) -> None:
    with pytest.raises(BucketNameInvalidError):
        await store.bucket_exists(bucket)


async def test_a_proxy_of_the_environment_is_not_asked_for_our_own_endpoint(
    endpoint: ObsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    store = endpoint.store()
    assert await store.bucket_exists(BUCKET)
    assert not await store.object_exists(BUCKET, "nothing")


def test_settings_do_not_print_their_secrets() -> None:
    text = repr(ObjectStoreSettings("http://s3", "eu-de", "AK", "hidden-secret", "hidden-token"))
    assert "hidden" not in text


@given(size=st.integers(0, 50 * 1024**4))
def test_no_object_has_more_parts_than_s3_takes(size: int) -> None:
    part = part_size_for(size)
    assert part >= MIN_PART_BYTES
    assert -(-size // part) <= 10_000
    assert part == MIN_PART_BYTES or part < size // 8_000
