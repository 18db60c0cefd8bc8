import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillframe.blobs import digests
from stillframe.blobs.digests import CHUNK_BYTES, Digests, StreamingDigests, file_digests

MIB = 1024 * 1024


def of_bytes(content: bytes) -> Digests:
    return Digests(
        md5=hashlib.md5(content).hexdigest(),  # noqa: S324 - what the image API calls checksum
        sha512=hashlib.sha512(content).hexdigest(),
        size_bytes=len(content),
    )


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17])
async def test_a_file_has_the_digests_of_its_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert await file_digests(path) == of_bytes(content)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extents=st.lists(st.tuples(st.integers(0, 12 * MIB), st.binary(min_size=1, max_size=9000)), max_size=4))
def test_a_file_with_holes_has_the_digests_of_its_bytes(tmp_path: Path, extents: list[tuple[int, bytes]]) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for offset, data in extents:
            file.seek(offset)
            file.write(data)
        file.truncate(13 * MIB)
    assert asyncio.run(file_digests(path)) == of_bytes(path.read_bytes())


async def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.seek(64 * MIB)
        file.write(b"end")
    read: list[int] = []
    real = digests._read
    monkeypatch.setattr(digests, "_read", lambda fd, offset, n: read.append(n) or real(fd, offset, n))
    assert (await file_digests(path)).size_bytes == 64 * MIB + 3
    assert sum(read) < MIB


async def test_progress_ends_at_the_whole_size_and_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(9 * MIB))
    seen: list[tuple[int, int]] = []
    await file_digests(path, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (9 * MIB, 9 * MIB)


async def test_a_file_cut_short_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * CHUNK_BYTES))
    with pytest.raises(OSError, match="ended at byte"):
        await file_digests(path, lambda _done, _total: os.truncate(path, CHUNK_BYTES))


@given(chunks=st.lists(st.binary(max_size=5000), max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_stream_has_the_digests_of_its_bytes_however_it_is_cut(chunks: list[bytes]) -> None:
    async def stream() -> Digests:
        async with StreamingDigests() as streaming:
            for chunk in chunks:
                await streaming.update(chunk)
            return await streaming.finish()

    assert asyncio.run(stream()) == of_bytes(b"".join(chunks))


async def test_a_producer_faster_than_the_digests_is_held_back() -> None:
    """Otherwise an upload from a fast client would pile up in memory."""
    chunk = bytes(8 * MIB)
    async with StreamingDigests() as streaming:
        for _ in range(12):
            await streaming.update(chunk)
            assert len(streaming._sha512._backlog) <= 8
        assert (await streaming.finish()).size_bytes == 96 * MIB
