"""`stillframe image import` against the real system."""

import json
from pathlib import Path
from typing import Any

import pytest

from stillframe.cli.errors import ExitCode
from tests.cli.conftest import Cli, own_environment
from tests.qemu.disks import MIB, random_file, tool
from tests.system import System

pytestmark = pytest.mark.client


@pytest.fixture
def user(system: System, tmp_path: Path) -> Cli:
    home = tmp_path / "home"
    home.mkdir()
    return Cli(home, own_environment(home) | {"STILLFRAME_DATA_DIR": str(system.data_dir)})


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    raw, packed = random_file(tmp_path / "raw", 9 * MIB), tmp_path / "my disk.vmdk"
    tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", str(raw), str(packed))
    return packed


def own_bucket(system: System) -> str:
    return f"imports-{system.project_id()}"


def keys_in(system: System, bucket: str) -> list[str]:
    return [found["Key"] for found in system.s3().list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_a_local_file_becomes_an_image_and_is_gone_from_the_object_storage(
    system: System, user: Cli, disk: Path
) -> None:
    done = user.run(
        "image", "import", str(disk), "--name", "local", "--min-disk", "1", "--tag", "a=b", "--wait", "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    image: dict[str, Any] = json.loads(done.stdout)
    assert (image["name"], image["status"], image["virtual_size"], image["tags"]) == (
        "local",
        "active",
        9 * MIB,
        ["a=b"],
    )
    assert "uploading" in done.stderr
    assert "converting" in done.stderr or "SUCCESS" in done.stderr
    assert keys_in(system, own_bucket(system)) == []
    user.run("image", "delete", image["id"], check=0)


def test_an_object_becomes_a_data_disk_image_whose_job_can_be_watched(system: System, user: Cli, disk: Path) -> None:
    bucket = "cli-imports"
    if bucket not in {found["Name"] for found in system.s3().list_buckets()["Buckets"]}:
        system.s3().create_bucket(Bucket=bucket)
    system.s3().upload_file(str(disk), bucket, "data")
    wanted = ("image", "import", f"{bucket}:data", "--name", "data", "--min-disk", "1", "--type", "data", "-o", "json")
    job = json.loads(user.run(*wanted, check=0).stdout)
    ended = json.loads(user.run("job", "watch", job["job_id"], "-o", "json", check=0).stdout)
    assert (ended["status"], ended["job_type"]) == ("SUCCESS", "imsImportDataImageJob")
    user.run("image", "delete", ended["entities"]["image_id"], check=0)
    wrong = user.run(*wanted, "--checksum", "0" * 64, "--wait")
    assert wrong.returncode == ExitCode.FAILED
    assert "IMG.0057" in wrong.stderr
    assert keys_in(system, bucket) == ["data"]


def test_a_refused_import_leaves_nothing_and_no_object_is_replaced(system: System, user: Cli, disk: Path) -> None:
    refused = user.run("image", "import", str(disk), "--name", "a/b", "--min-disk", "1", check=ExitCode.USAGE)
    assert "IMG.0003" in refused.stderr
    assert keys_in(system, own_bucket(system)) == []
    system.s3().create_bucket(Bucket="cli-own")
    system.s3().put_object(Bucket="cli-own", Key="my-disk.vmdk", Body=b"precious")
    taken = user.run("image", "import", str(disk), "--name", "n", "--min-disk", "1", "--bucket", "cli-own", "--wait")
    assert (taken.returncode, "cli-own:my-disk.vmdk exists already" in taken.stderr) == (ExitCode.CONFLICT, True)
    assert system.s3().get_object(Bucket="cli-own", Key="my-disk.vmdk")["Body"].read() == b"precious"


def test_an_export_delivers_the_stored_file_where_that_is_asked_for(system: System, user: Cli, disk: Path) -> None:
    wanted = ("image", "import", str(disk), "--name", "as-it-is", "--min-disk", "1", "--type", "data", "--wait")
    image: dict[str, Any] = json.loads(user.run(*wanted, "-o", "json", check=0).stdout)
    system.s3().create_bucket(Bucket="cli-exports")
    user.run("image", "export", image["id"], "cli-exports:stored", "--quick", "--wait", check=0)
    assert system.s3().head_object(Bucket="cli-exports", Key="stored")["ContentLength"] == image["size"]
    user.run("image", "delete", image["id"], check=0)


def test_what_is_not_there_is_told(user: Cli, tmp_path: Path) -> None:
    missing = user.run("image", "import", str(tmp_path / "nothing"), "--name", "n", "--min-disk", "1")
    assert missing.returncode == ExitCode.NOT_FOUND
    assert "bucket:path/to/file" in missing.stderr
