"""The host that machines run on, and whether one more fits into its memory."""

import os

from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import HostMemoryError, UnavailableError
from stillframe.kit.clock import utcnow
from stillframe.kit.units import MIB
from stillframe.servers import rows

LOCAL_HOST = "local"
"""The one host there is: the worker's. Its row is the lock under which memory is counted."""


def host_memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB


async def register_host(tx: Transaction, memory_mib: int) -> None:
    """Called by the worker when it starts. Safe to repeat."""
    await rows.put_host(tx, LOCAL_HOST, memory_mib, utcnow())


async def require_host_memory(tx: Transaction, settings: Settings, ram_mib: int) -> None:
    """Counts the memory of every machine there is or will be, of all projects, and what QEMU takes for each; the host
    keeps a reserve for itself.

    Raises: HostMemoryError; UnavailableError when no worker has ever started.
    """
    memory_mib = await rows.lock_host_memory(tx, LOCAL_HOST)
    if memory_mib is None:
        raise UnavailableError("No host is ready to run servers yet.")
    count, used_mib = await rows.ram_of_machines(tx)
    taken_mib = settings.host_memory_reserve_mib + used_mib + (count + 1) * settings.machine_overhead_mib
    free_mib = max(0, memory_mib - taken_mib)
    if ram_mib > free_mib:
        raise HostMemoryError(
            f"Quota exceeded for the memory of the host: the flavor needs {ram_mib} MiB, {free_mib} MiB are left. "
            "Stop or delete a server, or choose a smaller flavor."
        )
