"""OVA archives, whole and otherwise."""

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import StillframeError
from stillframe.qemu.inspection import Window
from stillframe.transfers import ova
from stillframe.transfers.errors import ImageFileInvalidError, TooManyFilesError
from stillframe.transfers.tar_index import list_members
from tests.api.ims.importing import DISK, FILE, OVF, make_ova


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"disk-{number}" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(str(number).encode() * (700 + number))
    return paths


def content(path: Path, window: Window) -> bytes:
    return path.read_bytes()[window.offset : window.offset + window.length]


def test_the_disks_are_found_in_the_order_of_the_descriptor(tmp_path: Path, disks: list[Path]) -> None:
    archive = make_ova(tmp_path / "machine.ova", disks)
    assert ova.begins_like_one(archive.read_bytes()[: ova.PREFIX_BYTES])
    found = ova.find_disks(archive)
    assert [content(archive, window) for window in found] == [disk.read_bytes() for disk in disks]


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_dialect_of_tar_is_read(tmp_path: Path, dialect: int) -> None:
    archive = tmp_path / "archive.tar"
    names = ["short", "d" * 90 + "/" + "n" * 60, "ünïcode" if dialect == tarfile.PAX_FORMAT else "plain"]
    with tarfile.open(archive, "w", format=dialect) as tar:
        for number, name in enumerate(names):
            member = tarfile.TarInfo(name)
            member.size = number * 511
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    with archive.open("rb") as file:
        found = list(list_members(file, archive.stat().st_size))
    assert [(one.name, one.length) for one in found] == [(name, n * 511) for n, name in enumerate(names)]


def archive_of(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def descriptor(files: str, disks: str) -> tuple[str, bytes]:
    return "machine.ovf", OVF.format(files=files, disks=disks).encode()


ONE_DISK = descriptor(FILE.format(n=1, name="disk1.vmdk"), DISK.format(n=1))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("readme", b"x"), ONE_DISK], "first member"),
        ([("machine.ovf", b"<a>")], "no XML"),
        ([("machine.ovf", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>')], "entities"),
        ([("machine.ovf", b"x" * 2_000_000)], "too large"),
        ([descriptor("", "")], "no disk"),
        ([descriptor("", DISK.format(n=1))], "refers to no file"),
        ([ONE_DISK], "does not hold the file disk1.vmdk"),
        ([descriptor(FILE.format(n=1, name="../../etc/passwd"), DISK.format(n=1))], "does not hold"),
        (
            [descriptor(FILE.format(n=1, name="a").replace("/>", ' ovf:compression="gzip"/>'), DISK.format(n=1))],
            "Compr",
        ),
        ([descriptor(FILE.format(n=1, name="a").replace("/>", ' ovf:chunkSize="5"/>'), DISK.format(n=1))], "split"),
        ([descriptor(FILE.format(n=1, name="a"), DISK.format(n=1).replace("/>", ' ovf:parentRef="d"/>'))], "depends"),
    ],
)
def test_an_archive_that_is_no_whole_ova_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes]], reason: str
) -> None:
    with pytest.raises(ImageFileInvalidError, match=reason):
        ova.find_disks(archive_of(tmp_path / "bad.ova", *members))


def test_an_ova_of_too_many_disks_is_refused(tmp_path: Path) -> None:
    numbers = range(ova.MAX_DISKS + 1)
    files = "".join(FILE.format(n=number, name=f"d{number}") for number in numbers)
    described = descriptor(files, "".join(DISK.format(n=number) for number in numbers))
    with pytest.raises(TooManyFilesError):
        ova.find_disks(archive_of(tmp_path / "many.ova", described, *((f"d{number}", b"x") for number in numbers)))


def test_an_archive_that_was_cut_is_refused(tmp_path: Path, disks: list[Path]) -> None:
    whole = make_ova(tmp_path / "machine.ova", disks).read_bytes()
    cut = tmp_path / "cut.ova"
    for length in (100, 600, 2000, 3000):
        cut.write_bytes(whole[:length])
        with pytest.raises(ImageFileInvalidError):
            ova.find_disks(cut)


@given(st.binary(max_size=600), st.integers(0, 4000))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    archive = tmp_path_factory.mktemp("noise") / "noise.ova"
    archive_of(archive, ONE_DISK, ("disk1.vmdk", b"x" * 600))
    data = bytearray(archive.read_bytes())
    data[at : at + len(noise)] = noise
    archive.write_bytes(data)
    with contextlib.suppress(StillframeError):
        ova.find_disks(archive)
