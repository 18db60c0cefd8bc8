"""The machine of a server: what it is made of, and making sure that it runs or does not."""

import asyncio
import base64
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from stillframe.blobs.layout import DataLayout
from stillframe.db import Transaction
from stillframe.errors import ServerNotFoundError, StillframeError, ToolFailedError, UnavailableError
from stillframe.jobs.resources import Resources
from stillframe.layers import service as layers
from stillframe.networks import ports
from stillframe.networks.model import Port
from stillframe.qemu import accelerator, machine, throttle
from stillframe.qemu.configdrive import build_config_drive
from stillframe.qemu.machine_spec import DiskSpec, Firmware, MachineSpec, NicSpec, RunningMachine
from stillframe.qemu.throttle import DiskLimits
from stillframe.servers import rows
from stillframe.servers.documents import meta_data, network_data
from stillframe.servers.model import Server
from stillframe.volumes import service as volumes
from stillframe.volumes.model import Volume, VolumeStatus

_SERIAL_LENGTH = 20


async def find_machine(resources: Resources, server_id: str) -> RunningMachine | None:
    return await machine.find(resources.layout.machine_dir(server_id), server_id)


async def start_machine(resources: Resources, server_id: str) -> None:
    """Returns when the machine runs; one that runs already is left alone.

    Raises: UnavailableError when another try may succeed, ToolFailedError.
    """
    running = await find_machine(resources, server_id) or await _start(resources, server_id)
    await bound_disks(resources, running)


async def _start(resources: Resources, server_id: str) -> RunningMachine:
    spec = await _machine_spec(resources, server_id)
    try:
        return await machine.start(spec)
    except ToolFailedError as error:
        # A machine which a dying worker was just starting may have come up by itself.
        if running := await find_machine(resources, server_id):
            return running
        raise retryable(error, spec.disks) from error


async def bound_disks(resources: Resources, running: RunningMachine) -> None:
    """After every change of what disks there are. Raises: UnavailableError, ToolFailedError."""
    settings = resources.settings
    limits = DiskLimits(operations_per_s=settings.machine_disk_operations, bytes_per_s=settings.machine_disk_bytes)
    await throttle.bound_disks(running, limits)


def retryable(error: ToolFailedError, disks: Iterable[DiskSpec]) -> StillframeError:
    """A layer may have moved onto its flattened parent meanwhile, or a tool may still hold the disk for that: then an
    UnavailableError, since another try can succeed; else the error itself.
    """
    missing = [link.path for disk in disks for link in disk.chain if not link.path.exists()]
    if missing or "lock" in str(error.cause):
        return UnavailableError("The disk of the server is in use by another task.", cause=error.cause)
    return error


async def stop_machine(resources: Resources, server_id: str, patience_s: float) -> None:
    """Returns when there is no machine. The guest has `patience_s` to power off by itself; 0 does not ask it.

    Raises: ToolFailedError when the process cannot be ended.
    """
    running = await find_machine(resources, server_id)
    if running is not None:
        await machine.stop(running, patience_s)


async def _machine_spec(resources: Resources, server_id: str) -> MachineSpec:
    async with resources.database.reading() as tx:
        server = await rows.get_server(tx, server_id)
        if server is None:
            raise ServerNotFoundError
        attached = (await volumes.list_attached(tx, [server_id]))[server_id]
        kept = [one for one in attached if one.status is not VolumeStatus.DETACHING or one.job_id is None]
        disks = [await disk_spec(tx, resources.layout, volume) for volume in kept]
        cdrom = await _cdrom(tx, resources.layout, server)
        server = replace(server, nics=(await ports.list_nics(tx, [server_id]))[server_id])
    firmware = ((attached[0].image_metadata if attached else None) or {}).get("hw_firmware_type")
    return MachineSpec(
        server_id=server.id,
        run_dir=_made(resources.layout.machine_dir(server.id)),
        memory_mib=server.flavor.ram_mib,
        vcpus=server.flavor.vcpus,
        disks=tuple(disks),
        accelerator=await accelerator.choose(),
        firmware=Firmware.UEFI if firmware == Firmware.UEFI else Firmware.BIOS,
        config_drive=await _config_drive(resources, server),
        # Its turn comes after the disks', from which no machine starts before something is installed on them.
        cdrom=cdrom,
        nics=tuple(nic_spec(nic.port) for nic in server.nics),
    )


def nic_spec(port: Port) -> NicSpec:
    return NicSpec(port_id=port.id, mac=port.mac_address, device_index=port.device_index or 0)


async def _cdrom(tx: Transaction, layout: DataLayout, server: Server) -> Path | None:
    if server.cdrom_layer_id is None:
        return None
    (file,) = await layers.chain(tx, layout, server.cdrom_layer_id)
    return file.path


async def disk_spec(tx: Transaction, layout: DataLayout, volume: Volume) -> DiskSpec:
    """Raises: ToolFailedError when there is nothing to show to a guest."""
    if volume.layer_id is None or volume.attachment is None:
        raise ToolFailedError("A disk of the server is missing.", cause=f"volume {volume.id}")
    return DiskSpec(
        chain=await layers.chain(tx, layout, volume.layer_id),
        device_index=volume.attachment.device_index,
        serial=volume.id[:_SERIAL_LENGTH],
    )


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


async def _config_drive(resources: Resources, server: Server) -> Path | None:
    """Built once, before the first start: a guest is set up by what was true when its server was made."""
    if not server.config_drive:
        return None
    path = resources.layout.config_drive(server.id)
    if not await asyncio.to_thread(path.exists):
        await build_config_drive(
            path,
            meta_data=meta_data(server),
            user_data=base64.b64decode(server.user_data) if server.user_data else None,
            network_data=network_data(server),
        )
    return path
