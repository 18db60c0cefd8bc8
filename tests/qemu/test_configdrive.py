import io
import json
from pathlib import Path

import pycdlib
import pytest

from stillframe.qemu.configdrive import build_config_drive
from tests.qemu.disks import tool


def read(path: Path, name: str, how: str = "rr_path") -> bytes:
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    out = io.BytesIO()
    iso.get_file_from_iso_fp(out, **{how: name})
    iso.close()
    return out.getvalue()


@pytest.mark.parametrize("how", ["rr_path", "joliet_path"])
@pytest.mark.parametrize("version", ["latest", "2018-08-27"])
async def test_a_guest_finds_its_metadata(tmp_path: Path, how: str, version: str) -> None:
    drive = tmp_path / "drive.iso"
    meta = {"uuid": "6b1f2d0e", "name": "München", "public_keys": {"mykey": "ssh-ed25519 AAAA"}}
    await build_config_drive(drive, meta_data=meta, user_data=b"#cloud-config\n\xff\0")
    assert json.loads(read(drive, f"/openstack/{version}/meta_data.json", how)) == meta
    assert read(drive, f"/openstack/{version}/user_data", how) == b"#cloud-config\n\xff\0"
    assert json.loads(read(drive, f"/openstack/{version}/network_data.json", how))["links"] == []
    assert json.loads(read(drive, f"/openstack/{version}/vendor_data.json", how)) == {}


async def test_its_label_is_the_one_guests_look_for(tmp_path: Path) -> None:
    await build_config_drive(tmp_path / "drive.iso", meta_data={})
    assert "config-2" in tool("blkid", "-o", "value", "-s", "LABEL", str(tmp_path / "drive.iso"))
    assert tool("blkid", "-o", "value", "-s", "TYPE", str(tmp_path / "drive.iso")) == "iso9660\n"


async def test_nobody_else_can_read_it_and_it_can_be_written_again(tmp_path: Path) -> None:
    drive = tmp_path / "drive.iso"
    for name in ("one", "two"):
        await build_config_drive(drive, meta_data={"name": name}, user_data=None)
    assert drive.stat().st_mode & 0o777 == 0o600
    assert json.loads(read(drive, "/openstack/latest/meta_data.json")) == {"name": "two"}
    assert [entry.name for entry in drive.parent.iterdir()] == ["drive.iso"]
