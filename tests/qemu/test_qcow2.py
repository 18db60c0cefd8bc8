from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.qemu.qcow2 import MAX_SIZE_BYTES, encode_empty, rename_backing
from tests.qemu.disks import GIB, qemu_img_info, tool

NAME = "6b1f2d0e-6d0f-4b53-9a53-0d9a5be1b0f1.qcow2"


@pytest.mark.parametrize("size_bytes", [512, 513, GIB, 100 * GIB, 3 * 1024 * GIB + 5, 64 * 1024 * GIB])
def test_the_bytes_are_those_of_qemu_img(tmp_path: Path, size_bytes: int) -> None:
    made = tmp_path / "made"
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", NAME, "-F", "qcow2", str(made), str(size_bytes))
    assert encode_empty(size_bytes, backing_name=NAME, backing_format="qcow2") == made.read_bytes()


def test_the_bytes_of_a_disk_without_a_backing_file_are_those_of_qemu_img(tmp_path: Path) -> None:
    tool("qemu-img", "create", "-q", "-f", "qcow2", str(tmp_path / "made"), str(GIB))
    assert encode_empty(GIB) == (tmp_path / "made").read_bytes()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, MAX_SIZE_BYTES))
def test_every_size_gives_a_sound_empty_disk(tmp_path_factory: pytest.TempPathFactory, size_bytes: int) -> None:
    path = tmp_path_factory.mktemp("disk") / "disk"
    path.write_bytes(encode_empty(size_bytes))
    assert qemu_img_info(path, "qcow2")["virtual-size"] == -(-size_bytes // 512) * 512
    assert "No errors" in tool("qemu-img", "check", "-f", "qcow2", str(path))


@pytest.mark.parametrize("size_bytes", [0, -1, MAX_SIZE_BYTES + 1])
def test_a_size_no_disk_has_is_refused(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="no size"):
        encode_empty(size_bytes)


def test_a_name_longer_than_the_header_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        encode_empty(GIB, backing_name="x" * 70000)


def test_another_backing_name_is_written_over_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path, other = tmp_path / "disk", NAME.replace("6", "7")
    path.write_bytes(encode_empty(GIB, backing_name=NAME, backing_format="qcow2"))
    rename_backing(path, other)
    assert qemu_img_info(path, "qcow2")["backing-filename"] == other
    assert path.read_bytes() == encode_empty(GIB, backing_name=other, backing_format="qcow2")


@pytest.mark.parametrize("name", ["short.qcow2", NAME + "x"])
def test_a_backing_name_of_another_length_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "disk"
    path.write_bytes(encode_empty(GIB, backing_name=NAME, backing_format="qcow2"))
    with pytest.raises(ValueError, match="no backing name"):
        rename_backing(path, name)
    assert path.read_bytes() == encode_empty(GIB, backing_name=NAME, backing_format="qcow2")
