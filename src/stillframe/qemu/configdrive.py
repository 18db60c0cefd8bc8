"""The config drive: an ISO labelled `config-2` from which a guest reads its metadata when it first boots.

Source: https://docs.openstack.org/nova/latest/user/metadata.html
"""

import asyncio
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LABEL = "config-2"
# cloud-init takes the newest version it knows, others look for `latest` only; the content is the same in each.
VERSIONS = ("2018-08-27", "latest")

_NO_NETWORK: Mapping[str, Any] = {"links": [], "networks": [], "services": []}


async def build_config_drive(
    path: Path,
    *,
    meta_data: Mapping[str, Any],
    user_data: bytes | None = None,
    network_data: Mapping[str, Any] = _NO_NETWORK,
    vendor_data: Mapping[str, Any] | None = None,
) -> None:
    """Writes the file anew, readable by us only: user data may hold secrets. In place, whole or not at all."""
    files = {
        "meta_data.json": _json(meta_data),
        "network_data.json": _json(network_data),
        "vendor_data.json": _json(vendor_data or {}),
    }
    if user_data is not None:
        files["user_data"] = user_data
    await asyncio.to_thread(_write, path, files)


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        _write_iso(file, files)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)


def _write_iso(file: io.BufferedWriter, files: Mapping[str, bytes]) -> None:
    """ISO 9660 names are short and upper case, so guests see the Rock Ridge (Linux) or Joliet (Windows) ones."""
    import pycdlib  # noqa: PLC0415 - takes a tenth of what all of the service takes to load

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    iso.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    for version_number, version in enumerate(VERSIONS):
        directory = f"/OPENSTACK/V{version_number}"
        iso.add_directory(directory, rr_name=version, joliet_path=f"/openstack/{version}")
        for number, (name, content) in enumerate(files.items()):
            iso.add_fp(
                io.BytesIO(content),
                len(content),
                f"{directory}/FILE{number};1",
                rr_name=name,
                joliet_path=f"/openstack/{version}/{name}",
            )
    iso.write_fp(file)
    iso.close()
