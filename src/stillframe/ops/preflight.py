"""What must be true before anything is started, each failure a sentence that says what to do."""

import os
import shutil
import socket

from stillframe.blobs.layout import DataLayout
from stillframe.config import PORTS, Settings
from stillframe.errors import StillframeError, UnavailableError
from stillframe.ops.sockets import family_of, is_port_free

TOOLS = {
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""Programs we run, and the Debian packages that have them."""

MIN_FREE_BYTES = 256 * 1024**2


def prepare_data_dir(settings: Settings) -> DataLayout:
    """Raises: UnavailableError with a sentence when the directory cannot be made, written or used."""
    layout = DataLayout(settings.data_dir)
    try:
        layout.create()
        probe = layout.root / f".write-test.{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except StillframeError:
        raise
    except OSError as error:
        raise UnavailableError(
            f"The data directory {settings.data_dir} cannot be used: {error.strerror}. Choose another with --data-dir."
        ) from None
    free = shutil.disk_usage(layout.root).free
    if free < MIN_FREE_BYTES:
        raise UnavailableError(
            f"The disk of {layout.root} is full: {free // 1024**2} MiB are free, "
            f"{MIN_FREE_BYTES // 1024**2} are needed."
        )
    return layout


def require_tools() -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({TOOLS[tool] for tool in missing}))
        raise UnavailableError(f"{', '.join(missing)} not found. Install them with: apt-get install {packages}")


def require_ports(settings: Settings) -> None:
    try:
        with socket.socket(family_of(settings.host)) as probe:
            probe.bind((settings.host, 0))
    except OSError as error:
        raise UnavailableError(f"{settings.host} is no address of this machine: {error.strerror}.") from None
    for service in PORTS:
        if service == "obs" and settings.obs_endpoint:
            continue
        port = settings.port(service)
        if not 1 <= port <= 65535:
            raise UnavailableError(f"Port {port} of the {service} service does not exist. Change --port-offset.")
        if not is_port_free(settings.host, port):
            raise UnavailableError(
                f"Port {port} of the {service} service is taken on {settings.host}. "
                "Choose another set with --port-offset, for example --port-offset 10000."
            )
