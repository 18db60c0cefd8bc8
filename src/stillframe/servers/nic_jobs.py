"""What the jobs of network cards do: plugging one into a server's machine and out of it.

The port's row says from the request on that the server has the card, and until the end of a detachment that it has it
still; so a machine that is started meanwhile has what it should.
"""

import contextlib

from stillframe.db import Transaction
from stillframe.errors import JobCancelledError, StillframeError
from stillframe.jobs import service as jobs
from stillframe.jobs.model import FINAL, Job
from stillframe.jobs.recipes import Recipe, Step
from stillframe.jobs.resources import Resources
from stillframe.networks import ports
from stillframe.networks.model import Port
from stillframe.qemu import nic_hotplug
from stillframe.servers.machines import find_machine, nic_spec
from stillframe.servers.nics import PLUG_KIND, UNPLUG_KIND

_UNDO_PATIENCE_S = 10.0


async def _plug(resources: Resources, job: Job) -> None:
    async with resources.database.reading() as tx:
        port = await _port(tx, job)
    machine = await find_machine(resources, job.args["server_id"])
    if machine is not None:
        await nic_hotplug.plug(machine, nic_spec(port))
    async with resources.database.writing() as tx:
        await jobs.succeed_job(tx, job.id, {"server_id": job.args["server_id"], "nic_id": job.args["port_id"]})
        tx.wake_worker_on_commit()


async def _undo_plug(resources: Resources, job: Job) -> None:
    """A guest that does not let go of the card keeps it until its machine ends, and no frame goes through it."""
    if job.state in FINAL:
        return
    with contextlib.suppress(StillframeError):
        await _take_out(resources, job, _UNDO_PATIENCE_S)
    async with resources.database.writing() as tx:
        await _release(tx, job)


async def _unplug(resources: Resources, job: Job) -> None:
    await _take_out(resources, job, resources.settings.machine_stop_timeout_s)
    async with resources.database.writing() as tx:
        await _release(tx, job)
        await jobs.succeed_job(tx, job.id, {"server_id": job.args["server_id"], "nic_id": job.args["port_id"]})


async def _undo_unplug(_resources: Resources, _job: Job) -> None:
    """The server keeps the card."""


async def _take_out(resources: Resources, job: Job, patience_s: float) -> None:
    machine = await find_machine(resources, job.args["server_id"])
    if machine is not None:
        await nic_hotplug.unplug(machine, job.args["port_id"], patience_s)


async def _port(tx: Transaction, job: Job) -> Port:
    """Raises: JobCancelledError when the server, or the port, has gone meanwhile."""
    port = await ports.find_nic(tx, job.args["server_id"], job.args["port_id"])
    if port is None:
        raise JobCancelledError
    return port


async def _release(tx: Transaction, job: Job) -> None:
    port = await ports.find_nic(tx, job.args["server_id"], job.args["port_id"])
    if port is not None:
        await ports.release_nic(tx, port)


RECIPES = (
    Recipe(kind=PLUG_KIND, steps=(Step("plug", _plug, attempts=4),), undo=_undo_plug),
    Recipe(kind=UNPLUG_KIND, steps=(Step("unplug", _unplug, attempts=4),), undo=_undo_unplug),
)
