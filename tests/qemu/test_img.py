import asyncio
import os
from pathlib import Path

import pytest

from stillframe.errors import ToolFailedError
from stillframe.qemu import img
from stillframe.qemu.model import ChainLink
from tests.qemu.disks import GIB, MIB, qemu_img_info, random_file, tool, two_layers, write_pattern, write_random


async def test_an_overlay_shows_its_backing_disk(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    new = ChainLink(tmp_path / "new.qcow2", "qcow2")
    await img.create_overlay(new.path, chain, 64 * MIB)
    assert await img.compare((new, *chain), chain)
    tool("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", str(new.path), str(chain[0].path))
    assert (await img.info(new)).backing_file == "top.qcow2"


async def test_an_overlay_larger_than_its_raw_backing_disk_reads_as_zeros_beyond_it(tmp_path: Path) -> None:
    base = ChainLink(random_file(tmp_path / "base.raw", MIB), "raw")
    top = ChainLink(tmp_path / "top.qcow2", "qcow2")
    await img.create_overlay(top.path, (base,), 4 * MIB)
    assert await img.virtual_size(top) == 4 * MIB
    assert await img.compare((top, base), (base,))


async def test_what_an_overlay_holds_is_committed_into_its_base_as_often_as_wanted(tmp_path: Path) -> None:
    top, base = two_layers(tmp_path)
    shown = ChainLink(tmp_path / "shown.qcow2", "qcow2")
    await img.consolidate((top, base), shown.path)
    for _ in range(2):
        await img.commit(top, base)
        assert await img.compare((base,), (shown,))
        assert (await img.check(base)).is_sound


async def test_the_end_of_the_first_sector_tells_whether_a_pc_starts_from_a_disk(tmp_path: Path) -> None:
    disk = ChainLink(tmp_path / "disk.raw", "raw")
    disk.path.write_bytes(bytes(510) + b"\x55\xaa" + bytes(MIB))
    assert await img.has_boot_sector((disk,))
    for other in (bytes(MIB), b"\x55\xaa" + bytes(MIB), bytes(510)):
        disk.path.write_bytes(other)
        assert not await img.has_boot_sector((disk,))


async def test_no_disk_is_ever_overwritten(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    before = chain[0].path.read_bytes()
    with pytest.raises(FileExistsError):
        await img.create_overlay(chain[0].path, chain[1:], GIB)
    with pytest.raises(FileExistsError):
        await img.create_blank(chain[0].path, GIB)
    with pytest.raises(FileExistsError):
        await img.consolidate(chain[1:], chain[0].path)
    assert chain[0].path.read_bytes() == before


async def test_a_consolidated_disk_stands_alone_and_is_equal(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    out = ChainLink(tmp_path / "out.qcow2", "qcow2")
    await img.consolidate(chain, out.path)
    info = await img.info(out)
    assert (info.backing_file, info.compression, info.virtual_size_bytes) == (None, "zstd", 64 * MIB)
    assert await img.compare((out,), chain)
    assert (await img.check(out)).is_sound
    assert out.path.stat().st_size < 2 * MIB
    assert out.path.stat().st_uid == os.geteuid()


async def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    write_random(chain[0].path, random_file(tmp_path / "random", 16 * MIB), "20M")
    seen: list[tuple[int, int]] = []
    await img.consolidate(chain, tmp_path / "out.qcow2", lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] >= 32 * MIB


@pytest.mark.parametrize("driver", ["raw", "qcow2", "vpc", "vmdk"])
async def test_an_export_is_equal_to_the_disk_and_stands_alone(tmp_path: Path, driver: str) -> None:
    """70,003,200 bytes are no whole number of cylinders: a VHD without force_size would be longer."""
    chain = two_layers(tmp_path, "70003200")
    out = tmp_path / "out"
    await img.export(chain, out, driver)
    info = qemu_img_info(out, driver)
    assert info["virtual-size"] == 70003200
    assert "backing-filename" not in info
    assert "identical" in tool("qemu-img", "compare", "-f", driver, "-F", "qcow2", str(out), str(chain[0].path))
    if driver == "vmdk":
        assert info["format-specific"]["data"]["create-type"] == "streamOptimized"


async def test_a_header_is_never_followed(tmp_path: Path) -> None:
    """The header names a file with other content; the chain says what is below, so the chain is what is read."""
    chain = two_layers(tmp_path)
    other = tmp_path / "other.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(other), "64M")
    write_pattern(other, 99, "0", "64M")
    expected = ChainLink(tmp_path / "expected.qcow2", "qcow2")
    await img.consolidate(chain, expected.path)
    tool("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(other), str(chain[0].path))
    assert await img.compare(chain, (expected,))
    assert not await img.compare(chain[:1], (expected,))


async def test_a_raw_disk_that_looks_like_qcow2_is_read_as_raw(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    link = ChainLink(chain[0].path, "raw")
    assert await img.virtual_size(link) == chain[0].path.stat().st_size
    out = tmp_path / "out.raw"
    await img.export((link,), out, "raw")
    assert out.read_bytes() == chain[0].path.read_bytes()


async def test_damage_is_found(tmp_path: Path) -> None:
    chain = two_layers(tmp_path)
    assert (await img.check(chain[0])).is_sound
    with chain[0].path.open("r+b") as file:  # the first entries of the L2 table point nowhere
        file.seek(4 * 65536)
        file.write(b"\x80\0\0\0\0\xff\0\x01" * 200)
    assert not (await img.check(chain[0])).is_sound


async def test_what_is_no_qcow2_file_is_an_error(tmp_path: Path) -> None:
    link = ChainLink(random_file(tmp_path / "noise", MIB), "qcow2")
    with pytest.raises(ToolFailedError) as failed:
        await img.info(link)
    assert "Image is not in qcow2 format" in str(failed.value.cause)


async def test_a_measurement_tells_what_a_conversion_needs(tmp_path: Path) -> None:
    measured = await img.measure(two_layers(tmp_path), "raw")
    assert measured.fully_allocated_bytes == 64 * MIB
    assert 12 * MIB <= measured.required_bytes <= 64 * MIB


async def test_a_failed_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    noise = ChainLink(random_file(tmp_path / "noise", MIB), "qcow2")
    with pytest.raises(ToolFailedError):
        await img.consolidate((noise,), tmp_path / "out.qcow2")
    assert os.listdir(tmp_path) == ["noise"]  # noqa: PTH208 - not blocking for long


async def test_a_cancelled_conversion_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = ChainLink(random_file(tmp_path / "disk.raw", 192 * MIB), "raw")
    out = tmp_path / "out.vmdk"
    started = asyncio.Event()
    running = asyncio.create_task(img.export((disk,), out, "vmdk", lambda _done, _total: started.set()))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not out.exists()
    assert disk.path.stat().st_size == 192 * MIB
