"""Keeps the way out of the host as the plan wants it: the stack's process, and the ports of floating addresses.

The process is there only while a server may use it.
"""

import asyncio
import itertools
import subprocess
from collections.abc import Collection
from pathlib import Path

import structlog

from stillframe.errors import StillframeError
from stillframe.jobs.resources import Resources
from stillframe.networks.outside import HOST_ADDRESS, NAME_SERVER, RANGE, Forward, InnerAddresses
from stillframe.networks.planning import Outside
from stillframe.qemu import uplink
from stillframe.qemu.host import host_sandbox

log = structlog.get_logger("stillframe.outside")

PRIVILEGED_PORTS = 1024
INSTEAD = 10_000
"""A port that only root may listen on is found this much higher, where we may not."""


class WayOut:
    """One per worker."""

    def __init__(self, resources: Resources) -> None:
        self._run_dir = resources.layout.runtime_dir / "uplink"
        self._is_open = resources.settings.guest_outbound
        self._inner = InnerAddresses()
        self._process: subprocess.Popen[bytes] | None = None
        self._listening: dict[Forward, str] = {}
        self._given_up: set[Forward] = set()

    def as_planned(self) -> Outside:
        return Outside(
            socket=str(self._run_dir / uplink.NIC_SOCKET),
            inner=self._inner,
            is_open=self._is_open,
            closed=tuple(f"{address}/32" for address in host_addresses()),
        )

    async def follow(self, forwards: Collection[Forward], *, is_used: bool) -> None:
        """Safe to repeat; what fails is tried again with the next plan."""
        try:
            if not is_used:
                await self.end()
                return
            if self._process is None or self._process.poll() is not None:
                await self._start()
            await self._forward(set(forwards))
        except (StillframeError, OSError) as error:
            log.warning("outside.failed", error=str(error), cause=str(getattr(error, "cause", "")))

    async def _start(self) -> None:
        self._listening, self._given_up = {}, set()
        self._run_dir.mkdir(mode=0o700, exist_ok=True)
        self._process = uplink.start(self._run_dir, await host_sandbox(), RANGE, HOST_ADDRESS, NAME_SERVER)
        log.info("outside.started", pid=self._process.pid)

    async def _forward(self, wanted: set[Forward]) -> None:
        gone = set(self._listening) - wanted
        new = wanted - set(self._listening) - self._given_up
        self._given_up &= wanted
        if not gone and not new:
            return
        remove = [self._listening[forward] for forward in gone]
        done = await uplink.change_forwards(self._run_dir, remove=remove, add=_sides(new, 0))
        self._listening = {forward: side for forward, side in self._listening.items() if forward not in gone}
        missed = {forward for forward in new if _side(forward, 0) not in done}
        again = {forward for forward in missed if forward.port < PRIVILEGED_PORTS}
        instead = await uplink.change_forwards(self._run_dir, remove=(), add=_sides(again, INSTEAD)) if again else set()
        for forward in new:
            for side in (_side(forward, 0), _side(forward, INSTEAD)):
                if side in done | instead:
                    self._listening[forward] = side
        self._given_up |= {forward for forward in missed if _side(forward, INSTEAD) not in instead}

    async def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
            self._process = None


def _side(forward: Forward, higher: int) -> str:
    return f"{forward.protocol}:{forward.address}:{forward.port + higher}"


def _sides(forwards: Collection[Forward], higher: int) -> list[tuple[str, str]]:
    return [(_side(forward, higher), f"{forward.inner}:{forward.port}") for forward in forwards]


def host_addresses() -> set[str]:
    """Every IPv4 address of this host's own, as the kernel's routing table has them."""
    try:
        lines = Path("/proc/net/fib_trie").read_text().splitlines()
    except OSError:
        return set()
    return {
        before.split()[-1]
        for before, line in itertools.pairwise(lines)
        if "host LOCAL" in line and not before.split()[-1].startswith("127.")
    }
