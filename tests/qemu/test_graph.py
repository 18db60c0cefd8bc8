import json
from pathlib import Path

import pytest

from stillframe.qemu.graph import blockdev, json_filename
from stillframe.qemu.model import ChainLink

TOP = ChainLink(Path("/layers/top.qcow2"), "qcow2")
MIDDLE = ChainLink(Path("/layers/middle.qcow2"), "qcow2")
BASE = ChainLink(Path("/layers/base.raw"), "raw")


def test_a_chain_for_qemu_img_names_every_driver_and_every_file() -> None:
    assert json.loads(json_filename((TOP, BASE)).removeprefix("json:")) == {
        "driver": "qcow2",
        "read-only": True,
        "file": {"driver": "file", "filename": "/layers/top.qcow2", "read-only": True},
        "backing": {
            "driver": "raw",
            "read-only": True,
            "file": {"driver": "file", "filename": "/layers/base.raw", "read-only": True},
        },
    }


def test_the_lowest_qcow2_file_has_no_backing_whatever_its_header_says() -> None:
    assert json.loads(json_filename((TOP,)).removeprefix("json:"))["backing"] is None


def test_only_the_top_of_a_machine_s_disk_can_be_written() -> None:
    top = json.loads(blockdev((TOP, MIDDLE, BASE), name="disk0", writable=True))
    middle, base = top["backing"], top["backing"]["backing"]
    assert [node["read-only"] for node in (top, top["file"])] == [False, False]
    assert [node["read-only"] for node in (middle, middle["file"], base, base["file"])] == [True] * 4
    assert [node["node-name"] for node in (top, middle, base)] == ["disk0", "disk0-1", "disk0-2"]
    assert (top["discard"], top["file"]["discard"]) == ("unmap", "unmap")


def test_files_can_be_named_as_descriptors() -> None:
    node = json.loads(blockdev((BASE,), name="d", writable=False, file_name=lambda path: f"/dev/fdset/{path.stem}"))
    assert node["file"]["filename"] == "/dev/fdset/base"


@pytest.mark.parametrize("chain", [(), (BASE, TOP), (ChainLink(Path("relative.qcow2"), "qcow2"),)])
def test_what_is_no_chain_is_refused(chain: tuple[ChainLink, ...]) -> None:
    with pytest.raises(ValueError, match=r"disk|qcow2|relative"):
        json_filename(chain)
