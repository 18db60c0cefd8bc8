"""Objects on their way to the disk: in ranges, unpacked, bounded."""

import asyncio
import bz2
import gzip
import hashlib
import lzma
import os
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from stillframe.blobs.compression import Compression, Unpacked, detect_compression
from stillframe.blobs.object_store import ObjectStore, ObjectStoreSettings
from stillframe.blobs.object_stream import RANGE_BYTES, RANGES_AT_ONCE
from stillframe.blobs.staging import Staged, stage
from stillframe.errors import BucketUnreachableError, InvalidInputError, LimitExceededError
from tests.blobs.other_store import OtherStore, running_store

MIB = 1024 * 1024
PACK = {
    Compression.GZIP: gzip.compress,
    Compression.XZ: lzma.compress,
    Compression.ZSTD: zstd.compress,
    Compression.BZIP2: bz2.compress,
}


async def chunks_of(data: bytes, length: int = 100_000) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), length):
        yield data[start : start + length]


async def staged(data: bytes, path: Path, *, limit: int = 100 * MIB, length: int = 100_000) -> Staged:
    return await stage(
        chunks_of(data, length),
        path,
        source_bytes=len(data),
        max_unpacked_bytes=limit,
        which_digests=lambda _prefix: ["sha256"],
    )


@pytest.mark.parametrize("kind", PACK)
async def test_what_is_compressed_is_told_by_its_content_and_unpacked(tmp_path: Path, kind: Compression) -> None:
    content = os.urandom(MIB) + bytes(5 * MIB) + b"end"
    data = PACK[kind](content[: 2 * MIB]) + PACK[kind](content[2 * MIB :]) + bytes(1024)
    found = await staged(data, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content
    assert (found.compression, found.size_bytes, found.source_bytes) == (kind, len(content), len(data))
    assert found.digests == {"sha256": hashlib.sha256(data).hexdigest()}
    assert (tmp_path / "out").stat().st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize("kind", PACK)
async def test_what_is_cut_off_or_damaged_is_refused_and_leaves_nothing(tmp_path: Path, kind: Compression) -> None:
    data = PACK[kind](os.urandom(MIB))
    for bad in (data[:-5], data[:40], data[: len(data) // 2] + b"?" * (len(data) // 2)):
        with pytest.raises(InvalidInputError, match=r"cut off|damaged"):
            await staged(bad, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD])
async def test_a_bomb_stops_at_the_limit_and_is_never_in_memory(tmp_path: Path, kind: Compression) -> None:
    bomb = PACK[kind](bytes(128 * MIB))
    tracemalloc.start()
    with pytest.raises(LimitExceededError, match="more than the 33554432 bytes"):
        await staged(bomb, tmp_path / "out", limit=32 * MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * MIB
    assert not (tmp_path / "out").exists()


class Source:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int, /) -> bytes:
        piece, self.data = self.data[:size], self.data[size:]
        return piece


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.sampled_from(Compression), st.integers(1, 5000))
def test_any_members_are_read_one_after_the_other_in_pieces_of_any_size(
    members: list[bytes], kind: Compression, size: int
) -> None:
    data = b"".join(PACK[kind](member) for member in members)
    assert detect_compression(data[:8]) is kind
    unpacked = Unpacked(Source(data), kind)
    pieces = []
    while piece := unpacked.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert b"".join(pieces) == b"".join(members)


@given(st.binary(max_size=2000), st.sampled_from(Compression))
def test_no_bytes_break_it(data: bytes, kind: Compression) -> None:
    unpacked = Unpacked(Source(data), kind)
    try:
        while unpacked.read(1000):
            pass
    except InvalidInputError:
        pass


@pytest.fixture
def other_store() -> Iterator[OtherStore]:
    with running_store() as store:
        store.regions["bucket"] = "eu-de"
        yield store


def reader(store: OtherStore) -> ObjectStore:
    return ObjectStore(ObjectStoreSettings(endpoint=store.url, region="eu-de", access_key="AK", secret_key="SK"))


async def fetched(store: OtherStore, path: Path) -> Staged:
    info, chunks = await reader(store).open_object("bucket", "disk")
    return await stage(
        chunks, path, source_bytes=info.size_bytes, max_unpacked_bytes=0, which_digests=lambda _prefix: ["sha512"]
    )


async def test_several_ranges_are_fetched_at_a_time_and_written_in_order(
    other_store: OtherStore, tmp_path: Path
) -> None:
    data = os.urandom(9 * RANGE_BYTES // 2)
    other_store.objects["bucket/disk"] = data
    found = await fetched(other_store, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert found.digests["sha512"] == hashlib.sha512(data).hexdigest()
    assert len(other_store.ranges) == 5
    assert 1 < other_store.most_at_once <= RANGES_AT_ONCE


@pytest.mark.parametrize("size", [0, 1, RANGE_BYTES - 1, RANGE_BYTES, RANGE_BYTES + 1])
async def test_an_object_of_any_size_comes_whole(other_store: OtherStore, tmp_path: Path, size: int) -> None:
    other_store.objects["bucket/disk"] = os.urandom(size)
    assert (await fetched(other_store, tmp_path / "out")).size_bytes == size
    assert (tmp_path / "out").read_bytes() == other_store.objects["bucket/disk"]


async def test_an_object_that_changes_while_it_is_fetched_is_not_mixed(other_store: OtherStore, tmp_path: Path) -> None:
    other_store.objects["bucket/disk"] = bytes(3 * RANGE_BYTES)

    def change() -> None:
        if other_store.ranges:
            other_store.objects["bucket/disk"] = b"x" * 3 * RANGE_BYTES

    other_store.when_read = change
    with pytest.raises(BucketUnreachableError):
        await fetched(other_store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_a_cancelled_fetch_leaves_no_file_and_asks_for_no_more(other_store: OtherStore, tmp_path: Path) -> None:
    other_store.objects["bucket/disk"] = bytes(30 * RANGE_BYTES)
    loop, under_way = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        if len(other_store.ranges) >= 3:
            loop.call_soon_threadsafe(under_way.set)

    other_store.when_read = tell
    task = asyncio.create_task(fetched(other_store, tmp_path / "out"))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (tmp_path / "out").exists()
    assert len(other_store.ranges) < 30
