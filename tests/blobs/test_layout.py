import contextlib
import shutil
import socket
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillframe.blobs.layout import DataLayout, DiskFormat
from stillframe.errors import ForbiddenError, InvalidInputError

ROOT = Path("/srv/stillframe")
LONGEST_PART = "p" * 32
LAYER = "5f0cbb5e-5f7b-4f0e-9c2b-0a2f3e7d9a11"
NAMED_BY_ID = ["machine_dir", "config_drive", "console_log", "obs_root"]


def test_a_layer_is_named_by_its_id_and_format() -> None:
    assert DataLayout(ROOT).layer(LAYER, DiskFormat.QCOW2) == ROOT / "layers" / f"{LAYER}.qcow2"


def test_two_attempts_of_a_job_never_share_a_directory() -> None:
    layout = DataLayout(ROOT)
    assert layout.staging(LAYER, 1) != layout.staging(LAYER, 2)


@pytest.mark.parametrize("method", NAMED_BY_ID)
@given(text=st.text() | st.sampled_from(["..", "../../etc", LAYER + "/..", LAYER + "\n", LAYER.upper(), ""]))
def test_text_which_is_no_uuid_never_becomes_a_path(method: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not a uuid"):
        getattr(DataLayout(ROOT), method)(text)


@pytest.mark.parametrize("method", NAMED_BY_ID)
@given(an_id=st.uuids(), dashes=st.booleans())
def test_every_uuid_gives_a_path_below_the_root(method: str, an_id: uuid.UUID, *, dashes: bool) -> None:
    path = getattr(DataLayout(ROOT), method)(str(an_id) if dashes else an_id.hex)
    assert path.is_relative_to(ROOT)
    assert ".." not in path.parts


def test_a_format_nobody_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="vmdk"):
        DataLayout(ROOT).layer(LAYER, "vmdk")  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["../x", "", "API", "a/b", "a.b"])
def test_a_log_is_named_by_a_part_of_ours_only(part: str) -> None:
    with pytest.raises(ValueError, match="part of the service"):
        DataLayout(ROOT).log(part)


def test_created_directories_are_private_and_creating_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    layout = DataLayout(tmp_path_factory.mktemp("d") / "data")
    layout.create()
    layout.layer(LAYER, DiskFormat.RAW).write_bytes(b"disk")
    layout.create()
    assert layout.layer(LAYER, DiskFormat.RAW).read_bytes() == b"disk"
    assert {oct(p.stat().st_mode & 0o777) for p in [layout.root, *layout.root.iterdir()]} == {"0o700"}


def test_sockets_of_a_deep_directory_live_where_they_can_be_bound(tmp_path: Path) -> None:
    layout = DataLayout(tmp_path / ("d" * 100))
    layout.create()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(layout.socket(LONGEST_PART)))
    shutil.rmtree(layout.runtime_dir)
    assert layout.runtime_dir != DataLayout(tmp_path / ("e" * 100)).runtime_dir


@pytest.mark.parametrize("name", ["short", "d" * 100])
def test_nothing_of_what_ran_stays_behind(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    layout = DataLayout(tmp_path_factory.mktemp("d") / name)
    layout.create()
    (layout.runtime_dir / "uplink").mkdir()
    for path in (layout.pid_file("up"), layout.socket("worker"), layout.runtime_dir / "uplink" / "nic.sock"):
        path.touch()
    layout.empty_runtime_dir("up")
    assert not layout.runtime_dir.exists() if name != "short" else list(layout.runtime_dir.iterdir()) == []
    layout.create()
    assert layout.runtime_dir.is_dir()


def test_a_place_of_sockets_prepared_by_somebody_else_is_refused(tmp_path: Path) -> None:
    layout = DataLayout(tmp_path / ("d" * 100))
    layout.runtime_dir.symlink_to(tmp_path)
    with pytest.raises(ForbiddenError, match="only this user"):
        layout.create()
    layout.runtime_dir.unlink()


def test_a_relative_data_directory_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="absolute"):
        DataLayout(Path("data")).create()


def test_the_deepest_root_which_keeps_its_own_sockets_has_room_for_the_longest_socket() -> None:
    root = Path("/" + "d" * (107 - 38 - len("/run") - 1))
    assert DataLayout(root).runtime_dir == root / "run"
    assert len(bytes(DataLayout(root).socket(LONGEST_PART))) == 107
    assert DataLayout(Path(f"{root}d")).runtime_dir.name.startswith("stillframe-")
