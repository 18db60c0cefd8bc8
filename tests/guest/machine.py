"""Starts the public image in a bare QEMU, as far from our own machine code as possible, and listens to its console."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pycdlib
from qemu.qmp import QMPClient

_BOOT_TIMEOUT_S = 120.0
_POWER_OFF_TIMEOUT_S = 20.0


class Machine:
    """A running guest. `console` is everything its serial port has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, qmp_socket: Path) -> None:
        self._process = process
        self._qmp_socket = qmp_socket
        self.console = ""

    async def wait_for(self, text: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(_BOOT_TIMEOUT_S):
            while text not in self.console:
                chunk = await self._process.stdout.read(65536)
                assert chunk, f"the machine ended before it said {text!r}:\n{self.console}"
                self.console += chunk.decode(errors="replace").replace("\r", "")

    async def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def press_power_button(self) -> None:
        """Returns when the machine is off, which only the guest's own doing can bring about."""
        client = QMPClient("test")
        await client.connect(str(self._qmp_socket))
        await client.execute("system_powerdown")
        async with asyncio.timeout(_POWER_OFF_TIMEOUT_S):
            await self._process.wait()
        with suppress(EOFError):  # the other end has gone, as it should
            await client.disconnect()


@asynccontextmanager
async def running_machine(disk: Path, *, config_drive: Path | None = None) -> AsyncIterator[Machine]:
    qmp_socket = disk.with_suffix(".qmp")
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-m", "256"]
    argv += ["-display", "none", "-serial", "stdio", "-qmp", f"unix:{qmp_socket},server=on,wait=off"]
    if config_drive:  # named first, so that the root disk is not the first one the guest finds
        argv += ["-drive", f"if=none,id=seed,format=raw,readonly=on,file={config_drive}"]
        argv += ["-device", "virtio-blk-pci,drive=seed"]
    argv += ["-drive", f"if=none,id=root,format=qcow2,file={disk}"]
    argv += ["-device", "virtio-blk-pci,drive=root,bootindex=1"]
    argv += ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    try:
        yield Machine(process, qmp_socket)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        qmp_socket.unlink(missing_ok=True)


def write_config_drive(path: Path, metadata: Mapping[str, object], user_data: str) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    iso.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    iso.add_directory("/OPENSTACK/LATEST", rr_name="latest", joliet_path="/openstack/latest")
    files = {"meta_data.json": json.dumps(metadata), "user_data": user_data}
    for number, (name, text) in enumerate(files.items()):
        content = text.encode()
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"/OPENSTACK/LATEST/FILE{number};1",
            rr_name=name,
            joliet_path=f"/openstack/latest/{name}",
        )
    iso.write(str(path))
    iso.close()
