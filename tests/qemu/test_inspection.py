"""Files from outside: what QEMU writes passes, what could reach beyond the file or is not whole does not."""

import contextlib
import shutil
import struct
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.errors import InvalidInputError
from stillframe.qemu import img
from stillframe.qemu.configdrive import build_config_drive
from stillframe.qemu.inspection import ForeignFormat, InspectedImage, Window, inspect_image
from stillframe.qemu.inspection.detection import _inspect
from stillframe.qemu.model import ChainLink
from tests.qemu.disks import GIB, MIB, random_file, tool, write_pattern

KINDS = {
    "qcow2": ("qcow2", "qcow2", ()),
    "qcow2 compressed": ("qcow2", "qcow2", ("-c", "-o", "compression_type=zstd")),
    "qcow2 v2": ("qcow2", "qcow2", ("-o", "compat=0.10")),
    "qcow": ("qcow", "qcow", ()),
    "raw": ("raw", "raw", ()),
    "vmdk": ("vmdk", "vmdk", ("-o", "subformat=monolithicSparse")),
    "vmdk stream": ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")),
    "vhd": ("vpc", "vhd", ("-o", "subformat=dynamic,force_size=on")),
    "vhd fixed": ("vpc", "vhd", ("-o", "subformat=fixed,force_size=on")),
    "vhdx": ("vhdx", "vhdx", ("-o", "subformat=dynamic")),
    "vhdx fixed": ("vhdx", "vhdx", ("-o", "subformat=fixed")),
    "vdi": ("vdi", "vdi", ()),
    "qed": ("qed", "qed", ()),
}
SIZE = 24 * MIB + 512


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One disk in every format there is: some random bytes, some equal ones, a last sector that is used."""
    directory = tmp_path_factory.mktemp("samples")
    source = directory / "source"
    random_file(source, MIB)
    tool("truncate", "-s", str(SIZE), str(source))
    write_pattern(source, 7, "4M", "3M", "raw")
    write_pattern(source, 9, str(SIZE - 512), "512", "raw")
    made = {}
    for name, (driver, _, options) in KINDS.items():
        made[name] = directory / name.replace(" ", "-")
        tool("qemu-img", "convert", "-f", "raw", "-O", driver, *options, str(source), str(made[name]))
    return made


async def inspect(path: Path, limit: int = GIB, declared: ForeignFormat | None = None) -> InspectedImage:
    return await inspect_image(path, max_virtual_size_bytes=limit, declared_format=declared)


async def refusal(path: Path, limit: int = GIB, declared: ForeignFormat | None = None) -> str:
    with pytest.raises(InvalidInputError) as refused:
        await inspect(path, limit, declared)
    assert refused.value.field == "file"
    return refused.value.message


def changed(sample: Path, into: Path, offset: int, data: bytes) -> Path:
    content = bytearray(sample.read_bytes())
    content[offset : offset + len(data)] = data
    path = into / "changed"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", KINDS)
async def test_what_qemu_writes_passes(samples: dict[str, Path], kind: str) -> None:
    found = await inspect(samples[kind])
    assert (found.format, found.virtual_size_bytes) == (KINDS[kind][1], SIZE)
    assert found.file_size_bytes == samples[kind].stat().st_size


@pytest.mark.parametrize("kind", KINDS)
async def test_what_passed_becomes_a_disk_of_ours(samples: dict[str, Path], tmp_path: Path, kind: str) -> None:
    found = await inspect(samples[kind])
    out = ChainLink(tmp_path / "out.qcow2", "qcow2")
    await img.import_disk(samples[kind], found.format, out.path)
    assert await img.virtual_size(out) == SIZE
    assert await img.compare((out,), (ChainLink(samples["raw"], "raw"),))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"raw"}))
async def test_a_file_that_was_cut_is_refused(samples: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Not only by half: the last cluster is used, so a cut of 64 KiB takes something away."""
    content = samples[kind].read_bytes()
    cut = tmp_path / "cut"
    for length in (len(content) // 2, len(content) - 64 * 1024 - 512):
        cut.write_bytes(content[:length])
        if kind == "vhd fixed":  # without its footer it is a raw disk, and one cannot tell
            assert await refusal(cut, declared=ForeignFormat.VHD)
        else:
            assert "truncated" in await refusal(cut) or "damaged" in await refusal(cut)


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="sfdisk is not installed")
async def test_a_partitioned_raw_disk_that_was_cut_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(8 * MIB))
    subprocess.run(["sfdisk", "-q", str(disk)], input="label: gpt\n,4M\n", text=True, check=True)  # noqa: ASYNC221
    assert (await inspect(disk)).format == "raw"
    disk.write_bytes(disk.read_bytes()[: 6 * MIB])
    assert "truncated" in await refusal(disk)


async def test_what_is_declared_to_be_a_raw_disk_may_hold_anything(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for content in (b"x", bytes(MIB), b"just text\n" * 1000, bytes(510) + b"\x55\xaa" + bytes(1000)):
        disk.write_bytes(content)
        assert (await inspect(disk, declared=ForeignFormat.RAW)).virtual_size_bytes == len(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"just text\n" * 1000, "no known format"),
        (b"# Disk DescriptorFile\nversion=1\n" + bytes(2048), "other files"),
        (b"COWD" + bytes(508), "several files"),
        (b"PK\x03\x04" + bytes(508), "zip"),
        (b"\x1f\x8b\x08" + bytes(509), "gzip"),
        (bytes(257) + b"ustar" + bytes(250), "tar"),
    ],
)
async def test_what_nobody_declared_must_look_like_a_disk(tmp_path: Path, content: bytes, reason: str) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(content)
    assert reason in await refusal(disk)


async def test_a_part_of_a_file_is_judged_and_read_like_a_file(samples: dict[str, Path], tmp_path: Path) -> None:
    """As the members of an archive are, which need no file of their own for that."""
    for kind in ("vmdk stream", "qcow2", "raw", "vhd fixed"):
        content = samples[kind].read_bytes()
        archive = tmp_path / kind
        archive.write_bytes(b"x" * 1536 + content + b"y" * 1024)
        window = Window(1536, len(content))
        found = await inspect_image(archive, max_virtual_size_bytes=GIB, window=window)
        assert (found.virtual_size_bytes, found.file_size_bytes) == (SIZE, len(content))
        out = ChainLink(archive.with_suffix(".out"), "qcow2")
        await img.import_disk(archive, found.format, out.path, window=window)
        assert await img.compare((out,), (ChainLink(samples["raw"], "raw"),))
        with pytest.raises(InvalidInputError, match="truncated"):
            await inspect_image(archive, max_virtual_size_bytes=GIB, window=Window(1536, len(content) + 4096))


async def test_an_iso_passes_and_a_cut_one_does_not(tmp_path: Path) -> None:
    iso = tmp_path / "disk.iso"
    await build_config_drive(iso, meta_data={"x": "y" * 5000})
    found = await inspect(iso)
    assert (found.format, found.virtual_size_bytes) == ("iso", iso.stat().st_size)
    assert (await inspect(iso, declared=ForeignFormat.RAW)).format == "raw"
    iso.write_bytes(iso.read_bytes()[:-4096])
    assert "truncated" in await refusal(iso)


async def test_an_iso_that_boots_from_a_stick_passes(tmp_path: Path) -> None:
    iso = tmp_path / "disk.iso"
    await build_config_drive(iso, meta_data={})
    partition = struct.pack("<B3sB3sII", 0x80, b"\0\1\0", 0x17, b"\0\0\0", 0, 1000)
    assert (await inspect(changed(iso, tmp_path, 446, partition + bytes(48) + b"\x55\xaa"))).format == "iso"


async def test_a_file_which_is_not_what_it_is_said_to_be_is_refused(samples: dict[str, Path]) -> None:
    assert await refusal(samples["qcow2"], declared=ForeignFormat.RAW) == "The image file is not raw but qcow2."
    assert await refusal(samples["raw"], declared=ForeignFormat.QCOW2) == "The image file is not qcow2 but raw."


async def test_a_disk_larger_than_allowed_is_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    assert "larger than" in await refusal(samples["qcow2"], limit=SIZE - 1)
    bomb = tmp_path / "bomb"
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(bomb), "8T")
    assert "larger than" in await refusal(bomb)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert await refusal(tmp_path / "empty") == "The image file is empty."


@pytest.mark.parametrize("driver", ["qcow2", "vmdk", "qed"])
async def test_a_disk_upon_another_file_is_refused(tmp_path: Path, driver: str) -> None:
    base, top = tmp_path / "base", tmp_path / "top"
    tool("qemu-img", "create", "-q", "-f", driver, str(base), "16M")
    tool("qemu-img", "create", "-q", "-f", driver, "-b", str(base), "-F", driver, str(top))
    assert "refers to a" in await refusal(top) or "descriptor" in await refusal(top)


@pytest.mark.parametrize("options", ["data_file={}", "extended_l2=on"])
async def test_qcow2_with_other_files_or_unknown_features_is_refused(tmp_path: Path, options: str) -> None:
    disk = tmp_path / "disk"
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", options.format(tmp_path / "data"), str(disk), "16M")
    reason = await refusal(disk)
    assert "another file" in reason or "not supported" in reason


@pytest.mark.parametrize("method", [1, 2], ids=["AES", "LUKS"])
async def test_encrypted_qcow2_is_refused(samples: dict[str, Path], tmp_path: Path, method: int) -> None:
    disk = changed(samples["qcow2"], tmp_path, 32, struct.pack(">I", method))
    assert await refusal(disk) == "The image file is encrypted."


async def test_internal_snapshots_are_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    disk = changed(samples["qcow2"], tmp_path, 0, b"")
    tool("qemu-img", "snapshot", "-c", "before", str(disk))
    assert "snapshots" in await refusal(disk)


async def test_luks_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    names = struct.pack(">32s32s32s", b"aes", b"xts-plain64", b"sha256")
    disk.write_bytes(b"LUKS\xba\xbe\0\1" + names + bytes(MIB))
    assert await refusal(disk) == "The image file is encrypted."


async def test_a_vmdk_of_several_files_is_refused(tmp_path: Path) -> None:
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        disk = tmp_path / f"{subformat}.vmdk"
        tool("qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", str(disk), "16M")
        assert await refusal(disk)


async def test_a_vmdk_without_a_capacity_is_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    """QEMU would then open whatever files its descriptor names."""
    assert await refusal(changed(samples["vmdk"], tmp_path, 12, bytes(8))) == "The image file refers to other files."


async def test_a_vmdk_with_a_parent_hint_is_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    hint = b'parentFileNameHint="/etc/passwd"\n#'
    at = samples["vmdk"].read_bytes().index(b"# The Disk Data Base")
    assert "parent" in await refusal(changed(samples["vmdk"], tmp_path, at, hint))


@pytest.mark.parametrize(
    ("kind", "offset", "data"),
    [
        ("vhd", -512 + 60, b"\0\0\0\4"),  # a differencing disk
        ("vdi", 0x1A8, b"x" * 16),  # an image it depends on
    ],
)
async def test_other_formats_with_a_parent_are_refused(
    samples: dict[str, Path], tmp_path: Path, kind: str, offset: int, data: bytes
) -> None:
    at = offset if offset >= 0 else samples[kind].stat().st_size + offset
    assert "parent" in await refusal(changed(samples[kind], tmp_path, at, data))


async def test_a_vhdx_with_a_parent_or_an_open_log_is_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    content = samples["vhdx"].read_bytes()
    item = content.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    (offset,) = struct.unpack_from("<I", content, item + 16)
    region = content.rindex(b"metadata", 0, item)
    assert "parent" in await refusal(changed(samples["vhdx"], tmp_path, region + offset + 4, b"\2"))
    log = b"x" * 16
    open_log = changed(samples["vhdx"], tmp_path, 64 * 1024 + 48, log)
    assert "closed" in await refusal(changed(open_log, tmp_path, 128 * 1024 + 48, log))


async def test_two_formats_in_one_file_are_refused(samples: dict[str, Path], tmp_path: Path) -> None:
    both = changed(samples["qcow2"], tmp_path, 32 * 1024, b"\1CD001\1")
    assert "several formats" in await refusal(both)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_the_bytes_the_answer_is_yes_or_a_refusal(
    samples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    sample = samples[data.draw(st.sampled_from(sorted(KINDS)))].read_bytes()
    content = bytearray(sample[: 3 * MIB])
    tail = bytearray(sample[-4096:])
    for _ in range(data.draw(st.integers(1, 6))):
        target = data.draw(st.sampled_from([content, tail]))
        near = data.draw(st.sampled_from([0, 0, 512, 1024, 64 * 1024, 192 * 1024, MIB, 2 * MIB])) % len(target)
        at = min(near + data.draw(st.integers(0, 600)), len(target) - 8)
        new = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=8),
                st.sampled_from([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, b"\0\0\0\1", b"\x80" + bytes(7)]),
            )
        )
        target[at : at + len(new)] = new
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(content))))
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(content[:cut] + (tail if data.draw(st.booleans()) else b""))
    with contextlib.suppress(InvalidInputError):
        assert 0 < _inspect(path, GIB, None).virtual_size_bytes <= GIB


@settings(max_examples=100, deadline=None)
@given(
    magic=st.sampled_from(
        [b"QFI\xfb", b"KDMV", b"conectix", b"vhdxfile", b"QED\0", b"LUKS\xba\xbe", b"# Disk DescriptorFile\n", b""]
    ),
    rest=st.binary(max_size=2000),
)
def test_noise_behind_a_magic_number_is_no_accident(
    tmp_path_factory: pytest.TempPathFactory, magic: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(magic + rest)
    with contextlib.suppress(InvalidInputError):
        assert _inspect(path, GIB, None).format == "raw"


def _many_tables(cluster_bits: int, tables: int) -> bytes:
    """A qcow2 file whose second-level tables lie on top of each other, a sector apart."""
    cluster = 1 << cluster_bits
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, cluster_bits, GIB, 0, tables, cluster, 0, 0, 0, 0)
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    first = b"".join(struct.pack(">Q", 2 * cluster + 512 * number) for number in range(tables))
    return header.ljust(cluster, b"\0") + first.ljust(cluster, b"\0") + bytes(cluster + 512 * tables)


async def test_a_small_file_with_large_tables_is_refused_at_once(tmp_path: Path) -> None:
    """Else a file of a megabyte would keep the service busy for days."""
    path = tmp_path / "tables"
    path.write_bytes(_many_tables(21, 4000))
    started = time.process_time()
    assert await refusal(path) == "The image file is damaged: its tables overlap."
    assert time.process_time() - started < 5


@pytest.mark.parametrize("kind", ["vdi", "vhd", "vhdx", "qed", "vmdk"])
async def test_a_disk_whose_parts_are_in_one_place_is_refused(
    samples: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """A few megabytes would become a disk of any size, every part of it the same bytes."""
    path = tmp_path / "disk"
    driver = KINDS[kind][0]
    tool("qemu-img", "create", "-q", "-f", driver, *KINDS[kind][2], str(path), "1G")
    write_pattern(path, 7, "0", "1M", driver)
    content = bytearray(path.read_bytes())
    table, entry, count = _table_of(kind, content)
    content[table : table + len(entry) * count] = entry * count
    path.write_bytes(content)
    assert "parts of the disk are in the same place" in await refusal(path)


def _table_of(kind: str, content: bytearray) -> tuple[int, bytes, int]:
    """Where the table of the disk's blocks is, its first entry, and how many it has room for."""
    match kind:
        case "vdi":
            (table,) = struct.unpack_from("<I", content, 0x154)
            width, count = 4, 1024
        case "vhd":
            (header,) = struct.unpack_from(">Q", content, 16)
            (table,) = struct.unpack_from(">Q", content, header + 16)
            width, count = 4, 512
        case "vhdx":
            number = 0 if uuid_at(content, 192 * 1024 + 16) == "2dc27766-f623-4200-9d64-115e9bfd4a08" else 1
            (table,) = struct.unpack_from("<Q", content, 192 * 1024 + 16 + 32 * number + 16)
            width, count = 8, 16
        case "qed":
            (l1,) = struct.unpack_from("<Q", content, 40)
            (table,) = struct.unpack_from("<Q", content, l1)
            width, count = 8, 16384
        case _:
            (directory,) = struct.unpack_from("<Q", content, 56)
            (table_sector,) = struct.unpack_from("<I", content, directory * 512)
            table, width, count = table_sector * 512, 4, 512
    return table, bytes(content[table : table + width]), count


def uuid_at(content: bytearray, offset: int) -> str:
    return str(uuid.UUID(bytes_le=bytes(content[offset : offset + 16])))
