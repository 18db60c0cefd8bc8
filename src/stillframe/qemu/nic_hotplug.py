"""Plugs network cards into running machines and out of them.

As with disks, every function looks before it acts, and a guest has to let go of a card. A machine listens for the
switch on a socket that it has from its start (see `launch.SPARE_SOCKETS`): QEMU 7.2 binds in a thread which knows no
descriptor by the names that QMP gives them, only by their numbers. One socket serves one card, once.
"""

import asyncio
import time
from contextlib import suppress
from logging import getLogger
from pathlib import Path

from stillframe.errors import ConflictError, NicHeldByGuestError, ToolFailedError
from stillframe.qemu import qmp
from stillframe.qemu.hotplug import ASK_INTERVAL_S, LOOK_INTERVAL_S, has_device
from stillframe.qemu.machine_argv import nic_device
from stillframe.qemu.machine_spec import NicSpec, RunningMachine, nic_socket
from stillframe.qemu.qmp import Qmp

log = getLogger("stillframe.qemu")


async def plug(machine: RunningMachine, nic: NicSpec) -> None:
    """The guest finds the card in its slot. One that is there already is left alone.

    Raises: UnavailableError when the machine does not answer; ToolFailedError when QEMU refuses the card, and
    ConflictError when the machine has used up its sockets; then nothing of it is left in the machine.
    """
    async with qmp.connected(machine.run_dir) as client:
        if await has_device(client, nic.device_id):
            return
        try:
            await _listen(client, machine.run_dir, nic)
            await client.execute("device_add", dict(nic_device(nic)))
        except ToolFailedError as error:
            await _remove_netdev(client, machine.run_dir, nic.port_id)
            raise ToolFailedError(
                "The network card cannot be attached to the running server.", cause=error.cause
            ) from error
    log.info("machine %s has got the card of port %s", machine.server_id, nic.port_id)


async def unplug(machine: RunningMachine, port_id: str, deadline_s: float) -> None:
    """A card that is not there is none to be taken.

    Raises: NicHeldByGuestError when the guest does not let go in time; UnavailableError, ToolFailedError.
    """
    device_id = NicSpec(port_id=port_id, mac="00:00:00:00:00:00").device_id
    deadline, ask_at = time.monotonic() + deadline_s, 0.0
    while True:
        async with qmp.connected(machine.run_dir) as client:
            if not await has_device(client, device_id):
                await _remove_netdev(client, machine.run_dir, port_id)
                break
            now = time.monotonic()
            if now >= ask_at:
                with suppress(ToolFailedError):
                    await client.execute("device_del", {"id": device_id})
                ask_at = now + ASK_INTERVAL_S
        if now > deadline:
            raise NicHeldByGuestError
        await asyncio.sleep(LOOK_INTERVAL_S)
    log.info("machine %s has given the card of port %s back", machine.server_id, port_id)


async def _listen(client: Qmp, run_dir: Path, nic: NicSpec) -> None:
    """The spare socket gets its second name before QEMU takes it, and loses its first one after; so whatever a crash
    leaves behind is recognised.
    """
    named = run_dir / nic_socket(nic.port_id)
    spare = _spare_of(run_dir, named)
    if spare is None:
        if named.exists():
            return  # QEMU has it already
        spare = next(iter(_spares(run_dir)), None)
        if spare is None:
            raise ConflictError("No more cards can be attached before the server is stopped and started.")
        named.hardlink_to(spare)
    number = spare.name.removeprefix("spare-").removesuffix(".sock")
    address = {"type": "fd", "str": number}
    arguments = {"type": "stream", "id": nic.netdev_id, "server": True, "addr": address}
    try:
        await client.execute("netdev_add", arguments)
    except ToolFailedError as error:
        if "duplicate" not in str(error.cause).lower():
            raise
    spare.unlink()


def _spare_of(run_dir: Path, named: Path) -> Path | None:
    """The spare socket that has this second name."""
    if not named.exists():
        return None
    return next((path for path in _spares(run_dir) if path.samefile(named)), None)


def _spares(run_dir: Path) -> list[Path]:
    return sorted(run_dir.glob("spare-*.sock"))


async def _remove_netdev(client: Qmp, run_dir: Path, port_id: str) -> None:
    with suppress(ToolFailedError):
        await client.execute("netdev_del", {"id": f"net-{port_id}"})
    (run_dir / nic_socket(port_id)).unlink(missing_ok=True)
