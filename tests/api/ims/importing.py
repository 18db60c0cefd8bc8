"""Files to import, made by the tools themselves, and what a client does with them."""

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import httpx

from tests.qemu.disks import MIB, tool, write_pattern
from tests.system import System

BUCKET = "imports"
SIZE = 12 * MIB
DRIVERS = {
    "qcow2": ("qcow2", ()),
    "qcow2-v2": ("qcow2", ("-o", "compat=0.10")),
    "qcow": ("qcow", ()),
    "raw": ("raw", ()),
    "vmdk": ("vmdk", ("-o", "subformat=monolithicSparse")),
    "vmdk-stream": ("vmdk", ("-o", "subformat=streamOptimized")),
    "vhd": ("vpc", ("-o", "subformat=dynamic,force_size=on")),
    "vhd-fixed": ("vpc", ("-o", "subformat=fixed,force_size=on")),
    "vhdx": ("vhdx", ()),
    "vdi": ("vdi", ()),
    "qed": ("qed", ()),
}


def make_disks(directory: Path) -> dict[str, Path]:
    """The same disk in every format, by the format's name; `raw` is what the others are made of."""
    source = directory / "raw"
    tool("truncate", "-s", str(SIZE), str(source))
    write_pattern(source, 7, "1M", "64k", "raw")
    write_pattern(source, 9, str(SIZE - 512), "512", "raw")
    made = {"raw": source}
    for name, (driver, options) in DRIVERS.items():
        if name != "raw":
            made[name] = directory / name
            tool("qemu-img", "convert", "-f", "raw", "-O", driver, *options, str(source), str(made[name]))
    return made


def put(system: System, key: str, source: Path | bytes) -> str:
    """The object's address."""
    s3 = system.s3()
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=key, Body=source if isinstance(source, bytes) else source.read_bytes())
    return f"{BUCKET}:{key}"


def post(system: System, path: str, **body: Any) -> httpx.Response:
    with system.http("image") as image:
        return image.post(path, json=body)


def import_image(system: System, url: str, path: str = "/v2/cloudimages/action", **body: Any) -> dict[str, Any]:
    """The finished job."""
    answer = post(system, path, **{"name": "imported", "image_url": url, "min_disk": 1, **body})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"job_id"}
    return system.wait_for_job(answer.json()["job_id"])


def show(system: System, image_id: str) -> dict[str, Any]:
    with system.http("image") as image:
        (found,) = image.get("/v2/cloudimages", params={"id": image_id}).json()["images"]
    return dict(found)


def data_of(system: System, image_id: str) -> bytes:
    with system.http("image") as image:
        return image.get(f"/v2/images/{image_id}/file").content


def delete(system: System, *image_ids: str) -> None:
    with system.http("image") as image:
        for image_id in image_ids:
            assert image.delete(f"/v2/images/{image_id}").status_code == 204


def same_disk(system: System, image: dict[str, Any], expected: Path, directory: Path) -> bool:
    """Whether the image, downloaded, reads like the raw disk `expected`."""
    stored = directory / image["id"]
    stored.write_bytes(data_of(system, image["id"]))
    compared = system.compare_disks((image["disk_format"], stored), ("raw", expected))
    stored.unlink()
    return compared.returncode == 0


OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>{files}</References>
  <DiskSection><Info>disks</Info>{disks}</DiskSection>
  <VirtualSystem ovf:id="vm"><Info>a machine</Info></VirtualSystem>
</Envelope>
"""
FILE = '<File ovf:id="file{n}" ovf:href="{name}"/>'
DISK = '<Disk ovf:diskId="disk{n}" ovf:fileRef="file{n}" ovf:capacity="1"/>'


def make_ova(path: Path, disks: list[Path]) -> Path:
    named = [(number, f"disk{number}.vmdk", disk) for number, disk in enumerate(disks, start=1)]
    descriptor = path.with_suffix(".ovf")
    descriptor.write_text(
        OVF.format(
            files="".join(FILE.format(n=number, name=name) for number, name, _ in named),
            disks="".join(DISK.format(n=number) for number, _, _ in named),
        )
    )
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(descriptor, "machine.ovf")
        # Another order than the descriptor's, whose order counts.
        for _, name, disk in reversed(named):
            archive.add(disk, name)
    return path


def packed(source: Path, program: str) -> bytes:
    return subprocess.run([program, "-c", str(source)], check=True, capture_output=True).stdout


def leftovers(system: System) -> list[str]:
    """Staged files, and layers whose maker is gone or that have no file, once the sweeper has been round."""
    return [path.name for path in (system.data_dir / "staging").iterdir()]
